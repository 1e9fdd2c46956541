/**
 * Grouped layers need equal groups: of every group that stays as many inputs go as of the others,
 * and as many outputs. Which channel of one group goes with which of another depends on what is
 * dead, so no class says it; it is settled here.
 *
 *   outputs of three groups, dead ones in capitals      what goes
 *   A b c d | e F G h | i J k l                         A, F, J: 3 groups of 3; G stays as a filler
 *   A B C D | e F G h | i J k l                         A-D, F, J: 2 groups of 3, if the inputs of
 *                                                       the first group can go as well
 *
 * A class may have channels in several grouped layers, and each of them has to be balanced. Classes
 * are put back, one at a time, until all are: first those that are too many wherever they are, then
 * those that unbalance the least elsewhere.
 */
import type { AnalyzedNode } from './analyzed-node.js';
import type { Facts } from './facts.js';
import { type GroupedLayer, groupedLayer, macsPerPair, type Side } from './grouped-layers.js';
import type { Axis } from './positions.js';

/** Why a class has to stay: its group would have fewer channels than another one. */
export interface Imbalance {
  readonly at: AnalyzedNode;
  readonly side: Side['name'];
  /** The group that needs the most; undefined where one channel stays that no group needs. */
  readonly fullest: number | undefined;
  /** How many channels of a group there are, and how many each group keeps. */
  readonly perGroup: number;
  readonly kept: number;
}

/** `group 3 needs 4 of its 8 input channels, and every group has to keep as many`. */
export function describeImbalance({ side, fullest, perGroup, kept }: Imbalance): string {
  if (fullest === undefined) return `a group that stays keeps at least one ${side} channel`;
  const needs = kept === perGroup ? `all ${perGroup}` : `${kept} of its ${perGroup}`;
  return `group ${fullest} needs ${needs} ${side} channels, and every group has to keep as many`;
}

/** The channels of a class in one group of a grouped layer. */
interface Share {
  readonly side: Side;
  readonly group: number;
  count: number;
}

/** A class that could be put back. */
interface Candidate {
  readonly root: number;
  /** Channels that are too many and stay, less those that have to stay on account of them. */
  readonly score: number;
  /** Whether no other has to stay on account of it. */
  readonly isFree: boolean;
}

type PutBack = Map<number, Imbalance>;

export class GroupBalance {
  readonly #facts: Facts;
  readonly #sideOf = new Map<Axis, Side>();
  readonly #shares = new Map<number, Share[]>();
  /** Layers that share classes, directly or not. */
  readonly #components: readonly (readonly GroupedLayer[])[];
  /** Of classes that are put back equally well, those worth more are. */
  readonly #worth: (root: number) => number;

  constructor(facts: Facts, worth: (root: number) => number) {
    this.#facts = facts;
    this.#worth = worth;
    const layers = facts.nodes.flatMap((at) => groupedLayer(at) ?? []);
    for (const { input, output } of layers) for (const side of [input, output]) this.#addSide(side);
    this.#components = components(layers, this.#shares);
  }

  /** Whether the class has channels in a grouped layer. */
  has(root: number): boolean {
    return this.#shares.has(root);
  }

  /** Which groups of which layers the class is in, as text; of equal text: in the same. */
  groupsOf(root: number): string {
    const sides = [...this.#sideOf.values()];
    return (this.#shares.get(root) ?? []).map(({ side, group }) => `${sides.indexOf(side)}:${group}`).join(' ');
  }

  /** Of an axis that is a side of a grouped layer: how many groups stay, and how wide these were. */
  groupsAt(axis: Axis): { readonly left: number; readonly width: number } | undefined {
    const side = this.#sideOf.get(axis);
    return side && { left: side.layer.left, width: side.layer.left * side.perGroup };
  }

  /**
   * Puts classes back until every grouped layer is balanced. `goes`: per class representative 1
   * where it goes. Returns what stays, and why.
   */
  settle(goes: Uint8Array): PutBack {
    const all: PutBack = new Map();
    for (const layers of this.#components) {
      for (const layer of layers) this.#count(layer, goes, true);
      // Whole groups of one layer may be parts of groups in another one: then equal numbers from
      // every group can be more.
      const hasChoice = layers.length > 1 && layers.some(({ left, groups }) => left < groups);
      let putBack = this.#settle(layers, goes, true);
      if (hasChoice) {
        const macs = this.#macs(layers, goes);
        for (const root of putBack.keys()) goes[root] = 1;
        const equal = this.#settle(layers, goes, false);
        if (this.#macs(layers, goes) < macs) putBack = equal;
        else {
          for (const root of equal.keys()) goes[root] = 1;
          for (const root of putBack.keys()) goes[root] = 0;
        }
        for (const layer of layers) this.#count(layer, goes, true);
      }
      for (const [root, why] of putBack) all.set(root, why);
    }
    return all;
  }

  /** Of every group that stays one more channel stays. */
  keepRow(axis: Axis, goes: Uint8Array): void {
    const side = this.#sideOf.get(axis);
    if (side === undefined) return;
    const wanted = side.target - 1;
    for (let group = 0; group < side.layer.groups; group++) {
      while (!side.layer.isGone(group) && side.removed(group) > wanted) {
        const best = this.#best(side, group, goes, false);
        if (best === undefined) break;
        this.#putBack(best.root, goes);
      }
    }
  }

  #addSide(side: Side): void {
    this.#sideOf.set(side.axis, side);
    for (let index = 0; index < side.axis.extent; index++) {
      const root = this.#facts.positions.classOf(side.axis.base + index);
      const group = side.groupOf(index);
      const shares = this.#shares.get(root) ?? [];
      const known = shares.find((share) => share.side === side && share.group === group);
      if (known === undefined) shares.push({ side, group, count: 1 });
      else known.count++;
      this.#shares.set(root, shares);
    }
  }

  #count(layer: GroupedLayer, goes: Uint8Array, wholeGroups: boolean): void {
    const { positions } = this.#facts;
    layer.count((axis, index) => goes[positions.classOf(axis.base + index)] === 1, wholeGroups);
  }

  #settle(layers: readonly GroupedLayer[], goes: Uint8Array, wholeGroups: boolean): PutBack {
    for (const layer of layers) this.#count(layer, goes, wholeGroups);
    const sides = layers.flatMap(({ input, output }) => [input, output]);
    const putBack: PutBack = new Map();
    for (;;) {
      const next = this.#next(sides, goes, true) ?? this.#next(sides, goes, false);
      if (next === undefined) return putBack;
      putBack.set(next.root, imbalanceOf(next.side));
      this.#putBack(next.root, goes);
    }
  }

  #putBack(root: number, goes: Uint8Array): void {
    goes[root] = 0;
    const shares = this.#shares.get(root) ?? [];
    for (const { side, group, count } of shares) side.add(group, -count);
    for (const { side } of shares) side.layer.aim();
  }

  /** What is put back next: the first free class, or the best of all. Undefined: balanced. */
  #next(sides: readonly Side[], goes: Uint8Array, isFree: boolean): (Candidate & { side: Side }) | undefined {
    let best: (Candidate & { side: Side }) | undefined;
    for (const side of sides) {
      for (let group = 0; group < side.layer.groups; group++) {
        const found = side.excess(group) > 0 ? this.#best(side, group, goes, isFree) : undefined;
        if (found === undefined || (best !== undefined && best.score >= found.score)) continue;
        best = { ...found, side };
        if (isFree) return best;
      }
    }
    return best;
  }

  /** The best to put back of the classes that go from the group. */
  #best(side: Side, group: number, goes: Uint8Array, isFree: boolean): Candidate | undefined {
    let best: Candidate | undefined;
    for (let index = group * side.perGroup; index < (group + 1) * side.perGroup; index++) {
      const root = this.#facts.positions.classOf(side.axis.base + index);
      if (goes[root] !== 1) continue;
      const found = candidate(root, this.#shares.get(root) ?? []);
      if (isFree && !found.isFree) continue;
      const isEqual = found.score === best?.score && this.#worth(root) > this.#worth(best.root);
      if (best === undefined || found.score > best.score || isEqual) best = found;
    }
    return best;
  }

  /** Of the layers and of those that share channels with them. */
  #macs(layers: readonly GroupedLayer[], goes: Uint8Array): number {
    const { positions, nodes } = this.#facts;
    const isTheirs = (axis: Axis) => {
      for (let index = 0; index < axis.extent; index++)
        for (const { side } of this.#shares.get(positions.classOf(axis.base + index)) ?? [])
          if (layers.includes(side.layer)) return true;
      return false;
    };
    const live = (axis: Axis) => {
      let count = 0;
      for (let index = 0; index < axis.extent; index++) count += 1 - (goes[positions.classOf(axis.base + index)] ?? 0);
      return count;
    };
    const grouped = layers.reduce((total, { macs }) => total + macs, 0);
    return nodes.reduce((total, at) => {
      const { x, y, relation } = at.layer ?? {};
      const isOther = relation?.kind === 'linear' && x !== undefined && y !== undefined && (isTheirs(x) || isTheirs(y));
      return isOther ? total + live(x) * live(y) * macsPerPair(at) : total;
    }, grouped);
  }
}

function candidate(root: number, shares: readonly Share[]): Candidate {
  let [relief, burden] = [0, 0];
  for (const { side, group, count } of shares) {
    const { layer } = side;
    if (layer.isGone(group)) {
      // The group would have to stay, with as many channels as the others.
      for (const { perGroup, target } of [layer.input, layer.output]) burden += perGroup - target;
      burden -= count;
      continue;
    }
    const excess = Math.max(0, side.excess(group));
    relief += Math.min(count, excess);
    // Of each other group one more would have to stay.
    burden += Math.max(0, count - excess) * (layer.left - 1);
  }
  return { root, score: relief - burden, isFree: burden === 0 };
}

function imbalanceOf(side: Side): Imbalance {
  const { layer, name, fullest, perGroup, target } = side;
  return { at: layer.at, side: name, fullest, perGroup, kept: perGroup - target };
}

function components(
  layers: readonly GroupedLayer[],
  sharesOf: ReadonlyMap<number, readonly Share[]>,
): (readonly GroupedLayer[])[] {
  const componentOf = new Map(layers.map((layer) => [layer, new Set([layer])]));
  for (const shares of sharesOf.values()) {
    for (const { side } of shares) {
      const [one, other] = [shares[0]?.side.layer ?? side.layer, side.layer].map((layer) => componentOf.get(layer));
      if (one === undefined || other === undefined || one === other) continue;
      for (const layer of other) {
        one.add(layer);
        componentOf.set(layer, one);
      }
    }
  }
  return [...new Set(componentOf.values())].map((component) => [...component]);
}
