/**
 * Values that are the same in every run at every place, but not at all places: what a zero-padded
 * depthwise convolution or mean makes of a constant. Such a value depends only on which taps of the
 * window lie inside the image. The sets of taps that occur, from the first window to the last, are
 * the classes of places; a value has one number for each.
 *
 * A channel is a scalar, or else a function of the class, or else it varies.
 */
import { ExtentKeys } from '../graph-info/extent-keys.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import type { Dim, Node, Value } from '../ir/graph.js';
import { product, type Tensor } from '../ir/tensor.js';
import { Window } from '../ops/attributes.js';
import type { AnalyzedNode } from './analyzed-node.js';

/** Taps that lie inside the image along one axis: those from `first` up to, and without, `end`. */
interface Interval {
  readonly first: number;
  readonly end: number;
}

/** The classes of places of one window on images of one size. */
export interface Places {
  readonly taps: readonly number[];
  /** Per class, for each tap of the kernel: 1 where it lies inside. */
  readonly classes: readonly Uint8Array[];
}

/** What one channel holds: a number per class. */
export interface PlaceValues {
  readonly places: Places;
  /** The node with that window. Its first input has the size of the image. */
  readonly source: AnalyzedNode;
  readonly values: Float64Array;
}

/** 5x5 with padding 2 has 81. With more, a map costs more than most layers. */
const MOST_CLASSES = 128;

/**
 * Undefined where the window is none of which the classes are known. `image`: spatial extents of the
 * input.
 */
function placesOf(node: Node, image: readonly Dim[], weights?: Tensor): Places | undefined {
  const window = new Window(node, weights);
  const taps = window.kernel;
  // Where padding follows from the size, ONNX Runtime's kernels differ in what they make of dilation.
  if (taps === undefined || taps.length !== image.length || window.roundsUp) return undefined;
  if (window.autoPad === 'VALID' || (window.isSame && window.isDilated)) return undefined;
  const axes = image.map((extent, axis) => intervals(window, axis, extent));
  if (product(axes.map(({ length }) => length)) > MOST_CLASSES) return undefined;
  let classes: Interval[][] = [[]];
  for (const axis of axes) classes = classes.flatMap((before) => axis.map((interval) => [...before, interval]));
  // Where no tap lies inside along one axis, none does at all, whatever the other axes say.
  const distinct = new Map(classes.map((inside) => hits(taps, inside)).map((inside) => [inside.join(''), inside]));
  return { taps, classes: [...distinct.values()] };
}

/** Those that occur along one axis: at any size, where the extent is not known. */
function intervals(window: Window, axis: number, extent: Dim): Interval[] {
  const { stride, begin, end } = window.along(axis);
  const span = window.reach(axis, 1);
  // From this size on one end at most is cut off; what is cut there repeats with the stride.
  const largest = span + begin + end + 2 * stride;
  const sizes =
    typeof extent === 'number'
      ? [extent <= largest ? extent : largest + ((extent - largest) % stride)]
      : Array.from({ length: largest }, (_, index) => index + 1);
  const found = new Map<string, Interval>();
  for (const size of sizes) {
    for (const interval of intervalsAt(window, axis, size)) found.set(`${interval.first} ${interval.end}`, interval);
  }
  return [...found.values()];
}

function* intervalsAt(window: Window, axis: number, size: number): Generator<Interval> {
  const { kernel = 1, stride, dilation, begin, end } = window.along(axis);
  const span = window.reach(axis, 1);
  const same = Math.ceil(size / stride);
  const missing = Math.max(0, window.reach(axis, same) - size);
  const count = window.isSame ? same : Math.floor((size + begin + end - span) / stride) + 1;
  const before = !window.isSame
    ? begin
    : window.autoPad === 'SAME_LOWER'
      ? Math.ceil(missing / 2)
      : Math.floor(missing / 2);
  for (let place = 0; place < count; place++) {
    const inside = Array.from({ length: kernel }, (_, tap) => tap).filter((tap) => {
      const at = place * stride - before + tap * dilation;
      return at >= 0 && at < size;
    });
    yield { first: inside[0] ?? 0, end: (inside.at(-1) ?? -1) + 1 };
  }
}

/** For each tap of the kernel, whether it lies inside along every axis. */
function hits(taps: readonly number[], inside: readonly Interval[]): Uint8Array {
  return Uint8Array.from({ length: product(taps) }, (_, tap) => {
    let rest = tap;
    for (const [axis, { first, end }] of [...inside.entries()].toReversed()) {
      const extent = taps[axis] ?? 1;
      const index = rest % extent;
      if (index < first || index >= end) return 0;
      rest = Math.floor(rest / extent);
    }
    return 1;
  });
}

/** The sum of `weights`, one per tap, over the taps inside; one number per class. */
export function sumsOverTaps({ classes }: Places, weights: (tap: number) => number): Float64Array {
  return Float64Array.from(classes, (inside) =>
    inside.reduce((total, isInside, tap) => (isInside === 1 ? total + weights(tap) : total), 0),
  );
}

/** The classes at each node of a graph; nodes with one window on images of one size share them. */
export class KnownPlaces {
  readonly #keys: ExtentKeys;
  readonly #dataTypeOf: (value: Value) => number | undefined;
  readonly #known = new Map<string, Places | undefined>();

  constructor(graphInfo: GraphInfo) {
    this.#keys = new ExtentKeys(graphInfo);
    this.#dataTypeOf = (value) => graphInfo.shapes.dataTypeOf(value);
  }

  at({ node, site }: AnalyzedNode): Places | undefined {
    const [data] = node.inputs;
    const dims = site.inDims(0);
    if (data === undefined || dims === undefined || dims.length < 3) return undefined;
    const weights = site.constant(1);
    const key = JSON.stringify([windowAsList(new Window(node, weights)), this.#extents(data, dims.length)]);
    if (!this.#known.has(key)) this.#known.set(key, placesOf(node, dims.slice(2), weights));
    return this.#known.get(key);
  }

  /** Whether the two have one type, and the same extents on every axis but that of the channels. */
  areSame(a: Value, b: Value): boolean {
    const dataType = this.#dataTypeOf(a);
    if (dataType === undefined || dataType !== this.#dataTypeOf(b)) return false;
    const rank = this.#keys.rankOf(a);
    return (
      rank !== undefined &&
      rank === this.#keys.rankOf(b) &&
      JSON.stringify(this.#extents(a, rank)) === JSON.stringify(this.#extents(b, rank))
    );
  }

  #extents(value: Value, rank: number): string[] {
    return Array.from({ length: rank }, (_, axis) => (axis === 1 ? '' : this.#keys.key(value, axis)));
  }
}

function windowAsList(window: Window): unknown[] {
  return [window.autoPad, ...(window.kernel ?? []).map((_, axis) => window.along(axis))];
}
