/**
 * What maps of the place cost: multiplications at one place of a reader's output, in those of one
 * of its input channels. Readers that share indicators pay less than is said here.
 */
import { product } from '../ir/tensor.js';
import { Window } from '../ops/attributes.js';
import { groupsOf } from '../ops/axes.js';
import type { AnalyzedNode } from './analyzed-node.js';
import type { Facts } from './facts.js';
import type { Places, PlaceValues } from './places.js';
import type { Axis } from './positions.js';
import type { LinearRead } from './propagate-demand.js';

/** A removed input channel of a reader that held a number for each class of places. */
export interface AbsorbedPlaces {
  readonly index: number;
  readonly held: PlaceValues;
}

/**
 * Channels come in steps of the largest block of ONNX Runtime's blocked layout (AVX-512: 16
 * floats), which images have.
 */
const BLOCK = 16;

/**
 * Channels of the indicators of a kernel (one per tap, further ones are always 0), and of the ones
 * that they are made of. Only images have a blocked layout: elsewhere one channel of ones is enough
 * for all taps.
 */
export function indicatorCounts(taps: readonly number[]): { count: number; groups: number } {
  const count = inBlocks(product(taps), taps);
  return { count, groups: taps.length === 2 ? count : 1 };
}

/** Channels of the indicators of classes: one per class, and further ones that are always 0. */
export function classLanes({ classes, taps }: Places): number {
  return inBlocks(classes.length, taps);
}

function inBlocks(channels: number, taps: readonly number[]): number {
  return taps.length === 2 ? Math.ceil(channels / BLOCK) * BLOCK : channels;
}

export class MapCosts {
  readonly #facts: Facts;
  readonly #live: (axis: Axis) => readonly number[];
  #sizes: ReadonlyMap<number, number> | undefined = undefined;

  /** `live`: the indices of an axis that stay. */
  constructor(facts: Facts, live: (axis: Axis) => readonly number[]) {
    this.#facts = facts;
    this.#live = live;
  }

  /** The ones, the indicators and the map itself. */
  ofIndicators(read: LinearRead): number {
    const { taps, outputs, channel } = this.#windowOf(read);
    const { count } = indicatorCounts(taps);
    return (this.#ones(read.at, taps) + count * product(taps) + count * outputs) / channel;
  }

  /**
   * The ones, the indicators, the classes and the map, less the filters that go: many of these
   * channels were computed for nothing but this reader. Not counted: that those before a stride ran
   * at more places.
   */
  ofClasses(read: LinearRead, absorbed: readonly [AbsorbedPlaces, ...AbsorbedPlaces[]]): number {
    const { taps, outputs, channel } = this.#windowOf(read);
    const [{ held }] = absorbed;
    const inner = held.places.taps;
    const { count } = indicatorCounts(inner);
    const lanes = classLanes(held.places);
    const made = this.#ones(held.source, inner) + count * product(inner) + count * lanes;
    const gone = new Set(absorbed.map(({ index }) => this.#facts.positions.classOf(read.axis.base + index)));
    const saved = [...gone].reduce((total, root) => total + (this.#filterSizes().get(root) ?? 0), 0);
    return (lanes * outputs * product(taps) + strideOf(read.at, taps) * (made - saved)) / channel;
  }

  /** `channel`: what one of the reader's input channels costs, which only its own group reads. */
  #windowOf({ at, relation }: LinearRead): { taps: readonly number[]; outputs: number; channel: number } {
    const taps = at.site.constant(relation.weights.index)?.dims.slice(2) ?? [];
    const y = at.layer?.y;
    const live = y === undefined ? [0] : this.#live(y);
    const groups = new Set(live.map((index) => Math.floor((index * groupsOf(relation)) / (y?.extent ?? 1))));
    return { taps, outputs: live.length, channel: (live.length * product(taps)) / groups.size };
  }

  /** Of the ones for the window of a node, at one place of its output. */
  #ones(at: AnalyzedNode, taps: readonly number[]): number {
    const [slot] = at.inSlots;
    const channels = slot === undefined ? undefined : this.#facts.positions.axesOf(slot)[1];
    return (
      strideOf(at, taps) * indicatorCounts(taps).groups * (channels === undefined ? 1 : this.#live(channels).length)
    );
  }

  /** Per class the weights of the filters in it. */
  #filterSizes(): ReadonlyMap<number, number> {
    if (this.#sizes !== undefined) return this.#sizes;
    const sizes = new Map<number, number>();
    for (const { layer, site } of this.#facts.nodes) {
      const dims = layer === undefined ? undefined : site.constant(layer.relation.weights.index)?.dims;
      const y = layer?.y;
      if (dims === undefined || y === undefined) continue;
      for (let index = 0; index < y.extent; index++) {
        const root = this.#facts.positions.classOf(y.base + index);
        sizes.set(root, (sizes.get(root) ?? 0) + product(dims) / y.extent);
      }
    }
    this.#sizes = sizes;
    return sizes;
  }
}

/** Input places for each output place. */
function strideOf({ node }: AnalyzedNode, taps: readonly number[]): number {
  const window = new Window(node);
  return taps.reduce((total, _, axis) => total * window.along(axis).stride, 1);
}
