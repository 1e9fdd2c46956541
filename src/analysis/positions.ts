/**
 * Positions: (value, axis, index), numbered. Only static extents have positions; an axis without them cannot shrink.
 * A constant operand has positions of its own per reader, so that one initializer may be cut differently for each.
 */
import type { Dim, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

/** Input `index` of `node`, when it is constant. */
export interface Operand {
  readonly node: Node;
  readonly index: number;
  readonly value: Value;
  readonly tensor: Tensor;
}

/** What owns axes: a computed value or graph input, or a constant operand. */
export type Slot = Value | Operand;

export interface Axis {
  readonly slot: Slot;
  readonly axis: number;
  readonly extent: number;
  /** The position of index i is base + i. */
  readonly base: number;
}

export function isOperand(slot: Slot): slot is Operand {
  return 'tensor' in slot;
}

/** Numbers the positions and keeps them in classes (union-find): positions of a class shrink together. */
export class Positions {
  readonly #axes = new Map<Slot, (Axis | undefined)[]>();
  readonly all: Axis[] = [];
  count = 0;
  #parent = new Int32Array(0);

  addSlot(slot: Slot, dims: readonly Dim[]): void {
    const axes = dims.map((extent, axis): Axis | undefined => {
      if (typeof extent !== 'number') return undefined;
      const added: Axis = { slot, axis, extent, base: this.count };
      this.count += extent;
      this.all.push(added);
      return added;
    });
    this.#axes.set(slot, axes);
  }

  /** Call once after the last addSlot. */
  freeze(): void {
    this.#parent = new Int32Array(this.count);
    for (let position = 0; position < this.count; position++) this.#parent[position] = position;
  }

  /** Whether the slot's rank is known. */
  knows(slot: Slot): boolean {
    return this.#axes.has(slot);
  }

  /** One entry per axis; undefined entries have no static extent. Empty when the rank is unknown (or zero). */
  axesOf(slot: Slot): readonly (Axis | undefined)[] {
    return this.#axes.get(slot) ?? [];
  }

  /** The axis of a position, by bisection. */
  axisAt(position: number): Axis | undefined {
    let low = 0;
    let high = this.all.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.all[middle]?.base ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    // Axes of extent 0 share a base with their successor; they have no positions, so the last one is meant.
    return this.all[low];
  }

  classOf(position: number): number {
    const parent = this.#parent;
    let at = position;
    for (;;) {
      const up = parent[at];
      // A position that is none would be looked for for ever.
      if (up === undefined) throw new RangeError(`there is no position ${at}`);
      if (up === at) return at;
      const above = parent[up] ?? up;
      parent[at] = above;
      at = above;
    }
  }

  unite(a: number, b: number): void {
    const [x, y] = [this.classOf(a), this.classOf(b)];
    if (x !== y) this.#parent[Math.max(x, y)] = Math.min(x, y);
  }
}
