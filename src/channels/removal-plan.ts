/**
 * From facts to a plan: which classes go, which removable ones stay as fillers, and how every
 * reader that loses a constant other than zero makes up for it. Pure: the graph is not touched.
 *
 * A class can go when nothing pins it and every reader that ends it either does not need it or can
 * absorb its constant.
 */
import type { CostModel } from '../cost/width-cost.js';
import { product } from '../ir/tensor.js';
import { Blockers } from './blockers.js';
import type { Facts } from './facts.js';
import { type AbsorbedPlaces, MapCosts } from './map-cost.js';
import type { Places } from './places.js';
import type { Axis } from './positions.js';
import type { LinearRead } from './propagate-demand.js';

/** A removed input channel of a reader that held a constant other than 0. */
export interface Absorbed {
  readonly index: number;
  readonly constant: number;
}

/** How a reader makes up for what it no longer reads. */
export type Compensation = ConstantCompensation | PlaceCompensation;

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
  readonly carrier?: Absorbed;
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
  /**
   * Per class: the largest constant it brings to a padded reader; classes worth keeping as carriers
   * come first.
   */
  readonly #carrierWorth = new Map<number, number>();
  readonly #mapCosts: MapCosts;

  constructor(facts: Facts, cost: CostModel) {
    this.#facts = facts;
    this.#cost = cost;
    this.#mapCosts = new MapCosts(facts, (axis) => this.#live(axis).length);
    this.#goes = new Uint8Array(facts.positions.count);
    this.#blockers = new Blockers(facts);
    for (let position = 0; position < facts.positions.count; position++) {
      if (facts.positions.classOf(position) === position && !this.#blockers.has(position)) this.#goes[position] = 1;
    }
    this.#widths = widthAxes(facts);
  }

  plan(): RemovalPlan {
    this.#rankCarriers();
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

  #rankCarriers(): void {
    for (const { axis, needed, relation } of this.#facts.linearReads) {
      if (!relation.padded) continue;
      for (let index = 0; index < axis.extent; index++) {
        const worth = Math.abs(this.#constantAt(axis, index));
        if (needed[index] !== 1 || !(worth > 0)) continue;
        const root = this.#classAt(axis, index);
        this.#carrierWorth.set(root, Math.max(worth, this.#carrierWorth.get(root) ?? 0));
      }
    }
  }

  /**
   * Keeps removable classes until every width is what the cost model wants; never fewer than one
   * channel.
   */
  #fill(): void {
    let changed = true;
    while (changed) {
      changed = false;
      for (const axis of this.#widths) {
        const live = this.#live(axis).length;
        if (live === axis.extent) continue;
        const missing = this.#cost.width(live, axis.extent) - live;
        if (missing <= 0) continue;
        this.#keepBest(axis, missing);
        changed = true;
      }
      // Between layers an axis may be a part of a width (a Slice, a branch of a Concat): no
      // operator takes nothing.
      for (const axis of this.#facts.positions.all) {
        if (axis.extent === 0 || this.#hasLive(axis)) continue;
        this.#keepBest(axis, 1);
        changed = true;
      }
    }
  }

  #keepBest(axis: Axis, count: number): void {
    const gone = Array.from({ length: axis.extent }, (_, index) => index).filter((index) => this.#isGone(axis, index));
    const worth = (index: number) => this.#carrierWorth.get(this.#classAt(axis, index)) ?? 0;
    gone.sort((a, b) => worth(b) - worth(a) || a - b);
    for (const index of gone.slice(0, count)) this.#goes[this.#classAt(axis, index)] = 0;
  }

  /** None when the reader loses nothing it needs; else one. */
  #compensate(read: LinearRead): ConstantCompensation[] {
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
    if (absorbed.length === 0) return [];
    if (!read.relation.padded) return [{ read, absorbed, form: 'bias' }];
    const size = (entry: Absorbed) => Math.abs(entry.constant);
    const carrier = candidates.toSorted((a, b) => size(b) - size(a))[0];
    const largest = Math.max(...absorbed.map(size));
    if (carrier !== undefined && size(carrier) * LARGEST_CARRIER_RATIO >= largest)
      return [{ read, absorbed, form: 'carrier', carrier }];
    return [{ read, absorbed, form: mapIsSmaller(read) ? 'map' : 'indicators' }];
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
    if (form === 'bias' || form === 'carrier') return [];
    const { extent } = read.axis;
    const width = this.#live(read.axis).length;
    const absorbed = compensation.absorbed.map(({ index }) => index);
    if (form === 'classes') {
      // Against keeping just these: others may go for nothing.
      const without = this.#cost.width(width + absorbed.length, extent);
      return this.#cost.paysFor(width, without, this.#mapCosts.ofClasses(read, compensation.absorbed)) ? [] : absorbed;
    }
    const added = form === 'map' ? 0 : this.#mapCosts.ofIndicators(read);
    if (!this.#cost.paysFor(width, extent, added)) return absorbed;
    if (!this.#cost.prefersCarrier(width, extent, added)) return [];
    const [largest] = compensation.absorbed.toSorted((a, b) => Math.abs(b.constant) - Math.abs(a.constant));
    return largest === undefined ? [] : [largest.index];
  }
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
  const [inside, outside] = [spatialDims(read, 'in'), spatialDims(read, 'out')];
  if (inside === undefined || outside === undefined) return false;
  const taps = read.at.site.constant(read.relation.weights.index)?.dims.slice(2) ?? [];
  return product(outside) <= product(taps);
}
