/**
 * From facts to a plan: which classes go, which removable ones stay as fillers, and how every
 * reader that loses a constant other than zero makes up for it. Pure: the graph is not touched.
 *
 * A class can go when nothing pins it and every reader that ends it either does not need it or can
 * absorb its constant.
 */
import type { CostModel } from '../cost/width-cost.js';
import { product } from '../ir/tensor.js';
import { groupsOf, zeroOf } from '../ops/axes.js';
import { Blockers } from './blockers.js';
import { carrierWorth } from './carrier-worth.js';
import { type CodedLayer, codedForm, isCoded } from './coded-layers.js';
import type { Facts } from './facts.js';
import type { GroupBalance } from './group-balance.js';
import { type AbsorbedPlaces, MapCosts } from './map-cost.js';
import type { Places } from './places.js';
import type { Axis } from './positions.js';
import type { LinearRead } from './propagate-demand.js';
import { weightMatrix } from './weight-matrix.js';

/** A removed input channel of a reader that held a constant other than 0. */
export interface Absorbed {
  readonly index: number;
  readonly constant: number;
}

/** How a reader makes up for what it no longer reads. */
export type Compensation = ConstantCompensation | PlaceCompensation | CodeCompensation;

/** Of constants. */
export interface ConstantCompensation {
  readonly read: LinearRead;
  readonly absorbed: readonly Absorbed[];
  /**
   * bias: no padding, the sums are added to the bias. carrier: a kept constant channel takes over
   * the columns. indicators: a map of the place, from indicators of the taps inside the image, exact
   * at every size. map: the same as a constant, for static sizes where that is smaller.
   */
  readonly form: 'bias' | 'carrier' | 'indicators' | 'map';
  /** Of each group that absorbs anything one; a layer without groups is one group. */
  readonly carriers: readonly Absorbed[];
}

/**
 * Of channels that depend on the place, all by the same classes: a map from indicators of the
 * classes, exact at every size.
 */
export interface PlaceCompensation {
  readonly read: LinearRead;
  readonly absorbed: readonly [AbsorbedPlaces, ...AbsorbedPlaces[]];
  readonly form: 'classes';
}

/** Of constants, in a quantised layer without padding: whole numbers are added to the bias's. */
export interface CodeCompensation {
  readonly read: LinearRead;
  readonly absorbed: readonly Absorbed[];
  readonly form: 'codes';
  readonly layer: CodedLayer;
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
  readonly #mapCosts: MapCosts;

  constructor(facts: Facts, cost: CostModel) {
    this.#facts = facts;
    this.#cost = cost;
    this.#mapCosts = new MapCosts(facts, (axis) => this.#live(axis));
    this.#goes = new Uint8Array(facts.positions.count);
    this.#blockers = new Blockers(facts);
    for (const root of facts.positions.classes()) if (!this.#blockers.has(root)) this.#goes[root] = 1;
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
      compensations = this.#facts.linearReads.flatMap((read) => [
        ...this.#compensate(read),
        ...this.#compensatePlaces(read),
      ]);
    } while (this.#keepWhatDoesNotPay(compensations));
    const kept = new Map<Axis, readonly number[]>();
    for (const axis of this.#facts.positions.all) {
      if (this.#width(axis) < axis.extent) kept.set(axis, this.#live(axis));
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

  /** How many are live. */
  #width(axis: Axis): number {
    let width = 0;
    for (let index = 0; index < axis.extent; index++) if (!this.#isGone(axis, index)) width++;
    return width;
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
        const live = this.#width(axis);
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

  /** None when the reader loses nothing it needs; else one. */
  #compensate(read: LinearRead): (ConstantCompensation | CodeCompensation)[] {
    const { axis, needed } = read;
    const lost: Absorbed[] = [];
    const candidates: Absorbed[] = [];
    for (let index = 0; index < axis.extent; index++) {
      const constant = this.#constantAt(axis, index);
      if (Number.isNaN(constant) || constant === zeroOf(read.relation)) continue;
      if (!this.#isGone(axis, index)) candidates.push({ index, constant });
      // Also what only constant outputs read, where these may depend on it: those that stay must
      // keep their value.
      else if (needed[index] === 1 || !read.relation.padded || makesPlaces(read)) lost.push({ index, constant });
    }
    const absorbed = makesPlaces(read) ? this.#readByThoseThatStay(read, lost) : lost;
    if (absorbed.length === 0) return [];
    const layer = isCoded(read.at, read.relation) && codedForm(read.at, read.relation, this.#facts.graphInfo);
    if (typeof layer === 'object') return [{ read, absorbed, form: 'codes', layer }];
    if (!read.relation.padded) return [{ read, absorbed, form: 'bias', carriers: [] }];
    const carriers = carriersOf(read, absorbed, candidates);
    if (carriers !== undefined) return [{ read, absorbed, form: 'carrier', carriers }];
    return [{ read, absorbed, form: mapIsSmaller(read) ? 'map' : 'indicators', carriers: [] }];
  }

  /** What no output reads that stays is not given back. */
  #readByThoseThatStay({ at, relation }: LinearRead, lost: Absorbed[]): Absorbed[] {
    const matrix = weightMatrix(at.site, relation);
    const y = at.layer?.y;
    if (matrix === undefined || y === undefined || lost.length === 0) return lost;
    const read = matrix.inputsOf(this.#live(y));
    return lost.filter(({ index }) => read[index] === 1);
  }

  /** One for each window that made what it loses of the place. */
  #compensatePlaces(read: LinearRead): PlaceCompensation[] {
    const { axis, needed } = read;
    const byPlaces = new Map<Places, [AbsorbedPlaces, ...AbsorbedPlaces[]]>();
    for (let index = 0; index < axis.extent; index++) {
      const held = this.#facts.places.get(axis.base + index);
      if (held === undefined || needed[index] !== 1 || !this.#isGone(axis, index)) continue;
      const known = byPlaces.get(held.places);
      if (known === undefined) byPlaces.set(held.places, [{ index, held }]);
      else known.push({ index, held });
    }
    return [...byPlaces.values()].map((absorbed) => ({ read, absorbed, form: 'classes' }));
  }

  /** Keeps classes where maps cost more than they gain. True when it kept any. */
  #keepWhatDoesNotPay(compensations: readonly Compensation[]): boolean {
    let changed = false;
    for (const compensation of compensations) {
      const { axis } = compensation.read;
      for (const index of this.#notPaying(compensation)) {
        this.#goes[this.#classAt(axis, index)] = 0;
        changed = true;
      }
    }
    return changed;
  }

  /** Indices of the reader's channels that are better kept. */
  #notPaying(compensation: Compensation): number[] {
    const { read, form } = compensation;
    if (form === 'bias' || form === 'carrier' || form === 'codes') return [];
    const { axis, relation } = read;
    const { extent } = axis;
    const width = this.#width(axis);
    const absorbed = compensation.absorbed.map(({ index }) => index);
    if (form === 'classes') {
      // Against keeping just these: others may go for nothing.
      const without = this.#cost.width(width + absorbed.length, extent);
      return this.#cost.paysFor(width, without, this.#mapCosts.ofClasses(read, compensation.absorbed)) ? [] : absorbed;
    }
    const needsCarrier = relation.needsCarrier === true;
    const added = form === 'map' || needsCarrier ? 0 : this.#mapCosts.ofIndicators(read);
    if (!this.#cost.paysFor(width, extent, added)) return absorbed;
    const carriers = this.#balance.groupsAt(axis)?.left ?? 1;
    if (!needsCarrier && !this.#cost.prefersCarrier(width, extent, { carriers, added })) return [];
    const [largest] = compensation.absorbed.toSorted((a, b) => Math.abs(b.constant) - Math.abs(a.constant));
    return largest === undefined ? [] : [largest.index];
  }
}

/**
 * Whether outputs that read only constants depend on the place alone, or are constant because all
 * places are of one class, or because an activation makes them so. They read what constants there
 * are all the same, and may go.
 */
function makesPlaces({ relation }: LinearRead): boolean {
  return relation.kind === 'grouped' && relation.padded && relation.hasWindow === true;
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
  return product(outside) <= product(taps);
}
