/** What keeps positions from going. */
import type { Node } from '../ir/graph.js';
import type { Axis, Positions } from './positions.js';

/** Why a position cannot go. `node` is undefined for the model's own inputs and outputs. */
export interface Pin {
  readonly node: Node | undefined;
  readonly reason: string;
}

/**
 * The first pin of each position. Numbers, not objects: a network has as many positions as rows,
 * columns and channels.
 */
export class PinBoard {
  readonly #pins: Pin[] = [];
  /** Per position: 1 + the number of its pin; 0 where it is free. */
  readonly #pinAt: Int32Array;

  constructor(positions: Positions) {
    this.#pinAt = new Int32Array(positions.count);
  }

  pinAxis(axis: Axis | undefined, pin: Pin): void {
    if (axis === undefined) return;
    const number = this.#pins.push(pin);
    for (let position = axis.base; position < axis.base + axis.extent; position++) this.#pinAt[position] ||= number;
  }

  pinPositions(positions: readonly number[], pin: Pin): void {
    const number = this.#pins.push(pin);
    for (const position of positions) this.#pinAt[position] ||= number;
  }

  /** Per class representative the first pin of any of its positions. */
  byClass(positions: Positions): (root: number) => Pin | undefined {
    const ofClass = new Int32Array(this.#pinAt.length);
    for (let position = 0; position < ofClass.length; position++) {
      const number = this.#pinAt[position] ?? 0;
      if (number !== 0) ofClass[positions.classOf(position)] ||= number;
    }
    return (root) => this.#pins[(ofClass[root] ?? 0) - 1];
  }
}
