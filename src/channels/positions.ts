/**
 * Positions: (value, axis, index), numbered. Only static extents have positions, and of these only
 * the ones that anything ties to a layer (tied-axes.ts); an axis without them cannot shrink. A
 * constant operand has positions of its own per reader, so that one initializer may be cut
 * differently for each.
 */
import { PruneCompileError } from '../errors.js';
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

/**
 * Each takes some 40 bytes here and there, 320 MiB in all. A model that stores more numbers than
 * that may have as many positions.
 */
const MOST_POSITIONS = 2 ** 23;

function checkCount(count: number, axes: readonly Axis[]): void {
  const operands = new Set(axes.flatMap(({ slot }) => (isOperand(slot) ? [slot.tensor] : [])));
  const stored = [...operands].reduce((total, { size }) => total + size, 0);
  if (count <= Math.max(MOST_POSITIONS, stored)) return;
  const largest = axes.reduce((most, axis) => (axis.extent > most.extent ? axis : most));
  const { name } = isOperand(largest.slot) ? largest.slot.value : largest.slot;
  throw new PruneCompileError('E-MODEL-LIMIT', {
    what: `the channel axes of the model have ${count} positions, more than can be analysed`,
    facts: [
      ['where', `axis ${largest.axis} of ${name} has ${largest.extent}`],
      ['why', `the limit is ${MOST_POSITIONS}, or the number of values that the model stores`],
      ['try', 'export the model again at the size it is used at'],
    ],
  });
}

/**
 * Numbers the positions and keeps them in classes (union-find): positions of a class shrink
 * together.
 */
export class Positions {
  readonly #axes = new Map<Slot, (Axis | undefined)[]>();
  readonly all: readonly Axis[];
  readonly count: number;
  readonly #parent: Int32Array;

  /** Throws E-MODEL-LIMIT. */
  constructor(slots: ReadonlyMap<Slot, readonly Dim[]>, isTied: (slot: Slot, axis: number) => boolean) {
    const all: Axis[] = [];
    let count = 0;
    for (const [slot, dims] of slots) {
      const axes = dims.map((extent, axis): Axis | undefined => {
        if (typeof extent !== 'number' || !isTied(slot, axis)) return undefined;
        const added: Axis = { slot, axis, extent, base: count };
        count += extent;
        all.push(added);
        return added;
      });
      this.#axes.set(slot, axes);
    }
    checkCount(count, all);
    this.all = all;
    this.count = count;
    this.#parent = new Int32Array(count);
    for (let position = 0; position < count; position++) this.#parent[position] = position;
  }

  /** Whether the slot's rank is known. */
  knows(slot: Slot): boolean {
    return this.#axes.has(slot);
  }

  /**
   * One entry per axis; undefined entries have no static extent. Empty when the rank is unknown (or
   * zero).
   */
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
    // Axes of extent 0 share a base with their successor; they have no positions, so the last one
    // is meant.
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

  /** The representatives of all classes, ascending. */
  classes(): number[] {
    const roots: number[] = [];
    for (let position = 0; position < this.count; position++)
      if (this.#parent[position] === position) roots.push(position);
    return roots;
  }

  unite(a: number, b: number): void {
    const x = this.classOf(a);
    const y = this.classOf(b);
    if (x !== y) this.#parent[Math.max(x, y)] = Math.min(x, y);
  }

  /** Index by index. */
  uniteAxes(one: Axis, other: Axis): void {
    for (let index = 0; index < one.extent; index++) this.unite(one.base + index, other.base + index);
  }
}
