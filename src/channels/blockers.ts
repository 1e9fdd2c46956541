/** What keeps classes from going: a pin, a reader that needs them, or a group that is fuller. */
import { carrierWorth } from './carrier-worth.js';
import { codedForm, isCoded } from './coded-layers.js';
import type { Facts } from './facts.js';
import { zeroOf } from '../ops/axes.js';
import { GroupBalance, type Imbalance } from './group-balance.js';
import type { Pin } from './pins.js';
import type { LinearRead } from './propagate-demand.js';

/** Why a class stays. */
export type Blocker =
  | { readonly kind: 'pin'; readonly pin: Pin }
  | { readonly kind: 'read'; readonly read: LinearRead; readonly index: number }
  | { readonly kind: 'codes'; readonly read: LinearRead }
  | { readonly kind: 'group'; readonly imbalance: Imbalance };

/** What is rounded to whole numbers takes nothing over but whole numbers, and those only in a sum. */
export function describeStuck({ at, relation }: LinearRead): string {
  const why = relation.padded ? 'pads with zeros' : 'has no bias in the scale of its sums';
  return `${at.node.label}, whose weights are quantised, ${why}: nothing takes that over exactly`;
}

/** Why classes stay, by representative, with the first reason found. Classes without one may go. */
export class Blockers {
  readonly balance: GroupBalance;
  readonly #facts: Facts;
  /** Per class: 1 + the number of the read that needs it, and at which index. */
  readonly #readAt: Int32Array;
  readonly #indexAt: Int32Array;
  /** Classes whose constants nothing takes over. */
  readonly #stuckAt = new Map<number, LinearRead>();
  /** Classes that nothing else keeps. */
  readonly #imbalances: ReadonlyMap<number, Imbalance>;

  constructor(facts: Facts) {
    const { positions, constant, places, linearReads } = facts;
    this.#facts = facts;
    this.#readAt = new Int32Array(positions.count);
    this.#indexAt = new Int32Array(positions.count);
    for (const [number, read] of linearReads.entries()) {
      const { axis, needed, relation, at } = read;
      const isOfCodes = isCoded(at, relation);
      const isStuck = isOfCodes && codedForm(at, relation, facts.graphInfo) === undefined;
      for (let index = 0; index < axis.extent; index++) {
        const held = constant[axis.base + index] ?? Number.NaN;
        if (isStuck && held !== zeroOf(relation) && !Number.isNaN(held) && (needed[index] === 1 || !relation.padded)) {
          this.#stuckAt.set(positions.classOf(axis.base + index), read);
          continue;
        }
        if (needed[index] !== 1 || !Number.isNaN(held)) continue;
        if (relation.hasWindow === true && !isOfCodes && places.has(axis.base + index)) continue;
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
    for (const root of positions.classes())
      if (this.#readAt[root] === 0 && !this.#stuckAt.has(root) && pinOf(root) === undefined) free[root] = 1;
    return free;
  }

  has(root: number): boolean {
    const isRead = this.#readAt[root] !== 0 || this.#stuckAt.has(root);
    return this.#facts.pinOf(root) !== undefined || isRead || this.#imbalances.has(root);
  }

  get(root: number): Blocker | undefined {
    const pin = this.#facts.pinOf(root);
    if (pin !== undefined) return { kind: 'pin', pin };
    const read = this.#facts.linearReads[(this.#readAt[root] ?? 0) - 1];
    if (read !== undefined) return { kind: 'read', read, index: this.#indexAt[root] ?? 0 };
    const stuck = this.#stuckAt.get(root);
    if (stuck !== undefined) return { kind: 'codes', read: stuck };
    const imbalance = this.#imbalances.get(root);
    return imbalance && { kind: 'group', imbalance };
  }
}
