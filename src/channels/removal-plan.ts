/**
 * From facts to a plan: which classes go, which removable ones stay as fillers, and how every
 * reader that loses a constant other than zero makes up for it. Pure: the graph is not touched.
 *
 * A class can go when nothing pins it and every reader that ends it either does not need it or can
 * absorb its constant.
 */
import type { CostModel } from '../cost/width-cost.js';
import { groupsOf } from '../ops/axes.js';
import { Blockers } from './blockers.js';
import { carrierWorth } from './carrier-worth.js';
import type { Facts } from './facts.js';
import type { GroupBalance } from './group-balance.js';
import type { Axis } from './positions.js';
import type { LinearRead } from './propagate-demand.js';

/** A removed input channel of a reader that held a constant other than 0. */
export interface Absorbed {
  readonly index: number;
  readonly constant: number;
}

/** How a reader makes up for the constants it no longer reads. */
export interface Compensation {
  readonly read: LinearRead;
  readonly absorbed: readonly Absorbed[];
  /**
   * bias: no padding, the sums are added to the bias. carrier: a kept constant channel takes over
   * the columns. ones: a convolution of a map of ones, exact at every size. map: its result, for
   * static sizes where that is smaller.
   */
  readonly form: 'bias' | 'carrier' | 'ones' | 'map';
  /** Of each group that absorbs anything one; a layer without groups is one group. */
  readonly carriers: readonly Absorbed[];
}

export interface RemovalPlan {
  /** Kept indices, ascending; undefined when the whole axis stays. */
  keptOf(axis: Axis | undefined): readonly number[] | undefined;
  readonly compensations: readonly Compensation[];
  /** Why the classes that cannot go stay, by representative. */
  readonly blockers: Blockers;
  readonly isEmpty: boolean;
}

/**
 * A carrier's constant may be this much smaller than the largest it stands for; beyond, rounding
 * would grow.
 */
const LARGEST_CARRIER_RATIO = 8;

export function planRemoval(facts: Facts, cost: CostModel): RemovalPlan {
  return new Planner(facts, cost).plan();
}

class Planner {
  readonly #facts: Facts;
  readonly #cost: CostModel;
  readonly #blockers: Blockers;
  /** Per position that is its class's representative: 1 when the class goes. */
  readonly #goes: Uint8Array;
  /** Axes whose extent is a layer's width. */
  readonly #widths: readonly Axis[];
  /** Classes worth keeping as carriers come first where some have to stay. */
  readonly #carrierWorth: ReadonlyMap<number, number>;

  constructor(facts: Facts, cost: CostModel) {
    this.#facts = facts;
    this.#cost = cost;
    this.#goes = new Uint8Array(facts.positions.count);
    this.#blockers = new Blockers(facts);
    for (let position = 0; position < facts.positions.count; position++) {
      if (facts.positions.classOf(position) === position && !this.#blockers.has(position)) this.#goes[position] = 1;
    }
    this.#carrierWorth = carrierWorth(facts);
    this.#widths = widthAxes(facts);
  }

  get #balance(): GroupBalance {
    return this.#blockers.balance;
  }

  plan(): RemovalPlan {
    let compensations: Compensation[];
    // Each round keeps more classes than the one before, so this ends.
    do {
      this.#fill();
      compensations = this.#facts.linearReads.flatMap((read) => this.#compensate(read) ?? []);
    } while (this.#keepWhatDoesNotPay(compensations));
    const kept = new Map<Axis, readonly number[]>();
    for (const axis of this.#facts.positions.all) {
      const indices = this.#live(axis);
      if (indices.length < axis.extent) kept.set(axis, indices);
    }
    return {
      keptOf: (axis) => (axis === undefined ? undefined : kept.get(axis)),
      compensations,
      blockers: this.#blockers,
      isEmpty: kept.size === 0,
    };
  }

  #classAt(axis: Axis, index: number): number {
    return this.#facts.positions.classOf(axis.base + index);
  }

  #isGone(axis: Axis, index: number): boolean {
    return this.#goes[this.#classAt(axis, index)] === 1;
  }

  #live(axis: Axis): number[] {
    const live: number[] = [];
    for (let index = 0; index < axis.extent; index++) if (!this.#isGone(axis, index)) live.push(index);
    return live;
  }

  #hasLive(axis: Axis): boolean {
    for (let index = 0; index < axis.extent; index++) if (!this.#isGone(axis, index)) return true;
    return false;
  }

  #constantAt(axis: Axis, index: number): number {
    return this.#facts.constant[axis.base + index] ?? Number.NaN;
  }

  /**
   * Keeps removable classes until every width is what the cost model wants; never fewer than one
   * channel.
   */
  #fill(): void {
    let changed = true;
    while (changed) {
      changed = this.#balance.settle(this.#goes).size > 0;
      for (const axis of this.#widths) {
        const live = this.#live(axis).length;
        if (live === axis.extent) continue;
        if (this.#fillGroups(axis, live) || this.#fillWidth(axis, live)) changed = true;
      }
      // Between layers an axis may be a part of a width (a Slice, a branch of a Concat): no
      // operator takes nothing.
      for (const axis of this.#facts.positions.all) {
        if (axis.extent === 0 || this.#hasLive(axis)) continue;
        this.#keepBest(axis, 1, () => true);
        changed = true;
      }
    }
  }

  /** A grouped layer is filled by one channel of each group. Whether that kept any. */
  #fillGroups(axis: Axis, live: number): boolean {
    const groups = this.#balance.groupsAt(axis);
    if (groups === undefined || groups.left === 0) return false;
    const missing = this.#cost.groupedWidth(live, groups.left, groups.width) - live;
    for (let row = 0; row < missing / groups.left; row++) this.#balance.keepRow(axis, this.#goes);
    return missing > 0;
  }

  /** What goes together with channels of a grouped layer is filled there. Whether that kept any. */
  #fillWidth(axis: Axis, live: number): boolean {
    const missing = this.#cost.width(live, axis.extent) - live;
    return missing > 0 && this.#keepBest(axis, missing, (root) => !this.#balance.has(root));
  }

  #keepBest(axis: Axis, count: number, isFit: (root: number) => boolean): boolean {
    const gone = Array.from({ length: axis.extent }, (_, index) => index).filter(
      (index) => this.#isGone(axis, index) && isFit(this.#classAt(axis, index)),
    );
    const worth = (index: number) => this.#carrierWorth.get(this.#classAt(axis, index)) ?? 0;
    gone.sort((a, b) => worth(b) - worth(a) || a - b);
    for (const index of gone.slice(0, count)) this.#goes[this.#classAt(axis, index)] = 0;
    return count > 0 && gone.length > 0;
  }

  /** Undefined when the reader loses nothing it needs. */
  #compensate(read: LinearRead): Compensation | undefined {
    const { axis, needed } = read;
    const absorbed: Absorbed[] = [];
    const candidates: Absorbed[] = [];
    for (let index = 0; index < axis.extent; index++) {
      const constant = this.#constantAt(axis, index);
      if (Number.isNaN(constant) || constant === 0) continue;
      if (!this.#isGone(axis, index)) candidates.push({ index, constant });
      // Without padding also what only constant outputs read: those that stay must keep their
      // value.
      else if (needed[index] === 1 || !read.relation.padded) absorbed.push({ index, constant });
    }
    if (absorbed.length === 0) return undefined;
    if (!read.relation.padded) return { read, absorbed, form: 'bias', carriers: [] };
    const carriers = carriersOf(read, absorbed, candidates);
    if (carriers !== undefined) return { read, absorbed, form: 'carrier', carriers };
    return { read, absorbed, form: mapIsSmaller(read) ? 'map' : 'ones', carriers: [] };
  }

  /**
   * Keeps classes where a ones convolution costs more than it gains, or cannot be written. True
   * when it kept any.
   */
  #keepWhatDoesNotPay(compensations: readonly Compensation[]): boolean {
    let changed = false;
    for (const { read, absorbed, form } of compensations) {
      if (form !== 'ones' && form !== 'map') continue;
      const width = this.#live(read.axis).length;
      const isStatic = spatialDims(read, 'in') !== undefined;
      const carriers = this.#balance.groupsAt(read.axis)?.left ?? 1;
      const keep = !this.#cost.paysFor(width, read.axis.extent, isStatic)
        ? absorbed
        : !canMakeOnes(read) || this.#cost.prefersCarrier(width, read.axis.extent, { carriers, isStatic })
          ? absorbed.toSorted((a, b) => Math.abs(b.constant) - Math.abs(a.constant)).slice(0, 1)
          : [];
      for (const { index } of keep) this.#goes[this.#classAt(read.axis, index)] = 0;
      changed ||= keep.length > 0;
    }
    return changed;
  }
}

/** For each group that absorbs anything its largest constant; undefined where one is too small. */
function carriersOf(
  { axis, relation }: LinearRead,
  absorbed: readonly Absorbed[],
  candidates: readonly Absorbed[],
): Absorbed[] | undefined {
  const size = (entry: Absorbed) => Math.abs(entry.constant);
  const groupOf = ({ index }: Absorbed) => Math.floor((index * groupsOf(relation)) / axis.extent);
  const carriers: Absorbed[] = [];
  for (const group of new Set(absorbed.map(groupOf))) {
    const inGroup = (entry: Absorbed) => groupOf(entry) === group;
    const largest = Math.max(...absorbed.filter(inGroup).map(size));
    const [carrier] = candidates.filter(inGroup).toSorted((a, b) => size(b) - size(a));
    if (carrier === undefined || size(carrier) * LARGEST_CARRIER_RATIO < largest) return undefined;
    carriers.push(carrier);
  }
  return carriers;
}

/** Output axes of layers with weights come first: filling them fills what concatenates them. */
function widthAxes({ nodes, linearReads }: Facts): Axis[] {
  const axes = new Set<Axis>();
  for (const { layer } of nodes) if (layer?.y !== undefined) axes.add(layer.y);
  for (const { axis } of linearReads) axes.add(axis);
  return [...axes];
}

/** Static spatial extents of the reader's input or output; undefined when any is symbolic. */
export function spatialDims({ at }: LinearRead, side: 'in' | 'out'): number[] | undefined {
  const dims = (side === 'in' ? at.site.inDims(0) : at.site.outDims(0))?.slice(2);
  const known = dims?.filter((dim) => typeof dim === 'number');
  return known !== undefined && known.length === dims?.length ? known : undefined;
}

/**
 * A map of Cout * H * W numbers against Cout * taps: for tiny images the map is the smaller one.
 */
function mapIsSmaller(read: LinearRead): boolean {
  if (read.relation.needsCarrier === true) return false;
  const [inside, outside] = [spatialDims(read, 'in'), spatialDims(read, 'out')];
  if (inside === undefined || outside === undefined) return false;
  const taps = read.at.site.constant(read.relation.weights.index)?.dims.slice(2) ?? [];
  const size = (dims: readonly number[]) => dims.reduce((total, dim) => total * dim, 1);
  return size(outside) <= size(taps);
}

/** Ones of a dynamic size need ConstantOfShape, which came with opset 9. */
function canMakeOnes(read: LinearRead): boolean {
  if (read.relation.needsCarrier === true) return false;
  return spatialDims(read, 'in') !== undefined || read.at.site.opset >= 9;
}
