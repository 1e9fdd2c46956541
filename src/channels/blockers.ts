/** What keeps classes from going: a pin, or a reader that needs them. */
import type { Facts } from './facts.js';
import type { Pin } from './pins.js';
import type { LinearRead } from './propagate-demand.js';

/** Why a class stays. */
export type Blocker =
  | { readonly kind: 'pin'; readonly pin: Pin }
  | { readonly kind: 'read'; readonly read: LinearRead; readonly index: number };

/** Why classes stay, by representative, with the first reason found. Classes without one may go. */
export class Blockers {
  readonly #facts: Facts;
  /** Per class: 1 + the number of the read that needs it, and at which index. */
  readonly #readAt: Int32Array;
  readonly #indexAt: Int32Array;

  constructor(facts: Facts) {
    const { positions, constant, places, linearReads } = facts;
    this.#facts = facts;
    this.#readAt = new Int32Array(positions.count);
    this.#indexAt = new Int32Array(positions.count);
    for (const [number, { axis, needed, relation }] of linearReads.entries()) {
      for (let index = 0; index < axis.extent; index++) {
        if (needed[index] !== 1 || !Number.isNaN(constant[axis.base + index] ?? Number.NaN)) continue;
        if (relation.hasWindow === true && places.has(axis.base + index)) continue;
        const root = positions.classOf(axis.base + index);
        if (this.#readAt[root] !== 0) continue;
        this.#readAt[root] = number + 1;
        this.#indexAt[root] = index;
      }
    }
  }

  has(root: number): boolean {
    return this.#facts.pinOf(root) !== undefined || this.#readAt[root] !== 0;
  }

  get(root: number): Blocker | undefined {
    const pin = this.#facts.pinOf(root);
    if (pin !== undefined) return { kind: 'pin', pin };
    const read = this.#facts.linearReads[(this.#readAt[root] ?? 0) - 1];
    return read === undefined ? undefined : { kind: 'read', read, index: this.#indexAt[root] ?? 0 };
  }
}
