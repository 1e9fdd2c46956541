/** What keeps classes from going: a pin, a reader that needs them, or a group that is fuller. */
import { carrierWorth } from './carrier-worth.js';
import type { Facts } from './facts.js';
import { GroupBalance, type Imbalance } from './group-balance.js';
import type { Pin } from './pins.js';
import type { LinearRead } from './propagate-demand.js';

/** Why a class stays. */
export type Blocker =
  | { readonly kind: 'pin'; readonly pin: Pin }
  | { readonly kind: 'read'; readonly read: LinearRead; readonly index: number }
  | { readonly kind: 'group'; readonly imbalance: Imbalance };

/** Why classes stay, by representative, with the first reason found. Classes without one may go. */
export class Blockers {
  readonly balance: GroupBalance;
  readonly #facts: Facts;
  /** Per class: 1 + the number of the read that needs it, and at which index. */
  readonly #readAt: Int32Array;
  readonly #indexAt: Int32Array;
  /** Classes that nothing else keeps. */
  readonly #imbalances: ReadonlyMap<number, Imbalance>;

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
    const worths = carrierWorth(facts);
    this.balance = new GroupBalance(facts, (root) => worths.get(root) ?? 0);
    this.#imbalances = this.balance.settle(this.#free());
  }

  /** Per class representative 1 where neither a pin nor a reader keeps it. */
  #free(): Uint8Array {
    const { positions, pinOf } = this.#facts;
    const free = new Uint8Array(positions.count);
    for (let position = 0; position < positions.count; position++) {
      const isRoot = positions.classOf(position) === position;
      if (isRoot && pinOf(position) === undefined && this.#readAt[position] === 0) free[position] = 1;
    }
    return free;
  }

  has(root: number): boolean {
    return this.#facts.pinOf(root) !== undefined || this.#readAt[root] !== 0 || this.#imbalances.has(root);
  }

  get(root: number): Blocker | undefined {
    const pin = this.#facts.pinOf(root);
    if (pin !== undefined) return { kind: 'pin', pin };
    const read = this.#facts.linearReads[(this.#readAt[root] ?? 0) - 1];
    if (read !== undefined) return { kind: 'read', read, index: this.#indexAt[root] ?? 0 };
    const imbalance = this.#imbalances.get(root);
    return imbalance && { kind: 'group', imbalance };
  }
}
