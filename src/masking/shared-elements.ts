/**
 * Whether one tensor holds elements of another: all of them in another order, each times the same
 * factor, or a part of them. Equal numbers are evidence as far as they are rare.
 *
 * A tensor of N elements, c pairs of which are equal, holds values from some S, with S about
 * N (N - 1) / 2 / (c + 3): of fewer values more pairs would be equal (birthdays; 3 for what chance
 * hides). At most there are as many as the significand has. So an unrelated number is one of the N
 * with the probability N / S, and one certain of them with 1 / S. Bits are the negative logarithm
 * of the probability that all that is equal is so by accident.
 */
import { BFLOAT16, FLOAT16, product, Tensor } from '../ir/tensor.js';

export type Numbers = Float32Array | Float64Array;

/** An accident in so many bits is not taken for one; each constant that is tried adds its own. */
export const LEAST_BITS = 8;

/** In the precision of another type. */
export function rounded(tensor: Tensor, dataType: number): Numbers {
  if (tensor.dataType === dataType) return tensor.numbers();
  return Tensor.fromNumbers(dataType, tensor.dims, tensor.numbers()).numbers();
}

/** Elements that are converted at once. */
const CHUNK = 4096;

/**
 * Whether all elements fit, in the precision of another type. Tensors of one size are many in a
 * network, and most differ at once: no more is converted than is looked at.
 */
export function everyRounded(tensor: Tensor, dataType: number, fits: (value: number, at: number) => boolean): boolean {
  const bytes = tensor.bytes();
  const each = bytes.length / tensor.size;
  for (let start = 0; start < tensor.size; start += CHUNK) {
    const count = Math.min(CHUNK, tensor.size - start);
    const part = Tensor.of(tensor.dataType, [count], bytes.subarray(start * each, (start + count) * each));
    if (!rounded(part, dataType).every((value, at) => fits(value, start + at))) return false;
  }
  return true;
}

/** Elements that are looked at to estimate S, and how often values occur. */
const SAMPLE = 8192;
/** Elements of a constant that are searched for in a parameter. */
export const PROBES = 64;
/** Axes of more extents than one that are tried in every order. */
const MOST_AXES = 5;
/** Quotients of two float32 products. */
const EQUAL_FACTOR = 2 ** -18;
const BITS_OF_FACTOR = 18;

/** The logarithm of S: how many values an element might have had. */
export function bitsOfValue(numbers: Numbers, dataType: number): number {
  const sample = sampleOf(numbers).toSorted();
  let pairs = 0;
  let run = 1;
  for (let at = 1; at <= sample.length; at++) {
    if (at < sample.length && sample[at] === sample[at - 1]) run++;
    else {
      pairs += (run * (run - 1)) / 2;
      run = 1;
    }
  }
  const most = dataType === FLOAT16 ? 12 : dataType === BFLOAT16 ? 9 : 23;
  const estimate = Math.log2((sample.length * (sample.length - 1)) / 2 / (pairs + 3));
  return Math.max(0, Math.min(most, estimate));
}

/** Bits of `count` elements in one certain order: by how often each value occurs. */
export function bitsOfOrder(numbers: Numbers, count = numbers.length): number {
  const sample = sampleOf(numbers);
  const counts = new Map<number, number>();
  for (const value of sample) counts.set(value, (counts.get(value) ?? 0) + 1);
  let entropy = 0;
  for (const seen of counts.values()) entropy -= (seen / sample.length) * Math.log2(seen / sample.length);
  return entropy * count;
}

function sampleOf(numbers: Numbers): Float64Array {
  const step = Math.max(1, Math.ceil(numbers.length / SAMPLE));
  return Float64Array.from({ length: Math.ceil(numbers.length / step) }, (_, at) => numbers[at * step] ?? 0);
}

/** One order of the axes in which a constant has all elements of a parameter. */
export interface Order {
  /** Per axis of the result that of the parameter. */
  readonly axes: readonly number[];
  /** What the parameter is multiplied with; undefined where that is not one number. */
  readonly factor: number | undefined;
}

/** All orders that fit; empty where the tensors are not the same elements. */
export function ordersOf(own: Numbers, dims: readonly number[], theirs: Numbers): Order[] {
  if (own.length !== theirs.length || own.length === 0) return [];
  return permutations(dims).flatMap((axes): Order[] => {
    const places = placesIn(dims, axes);
    if (isEqual(own, theirs, places)) return [{ axes, factor: 1 }];
    const factor = factorOf(own, theirs, places);
    if (factor !== undefined) return [{ axes, factor }];
    const extents = axes.map((axis) => dims[axis] ?? 1);
    const isScaled = extents.some((extent, at) => {
      const inner = product(extents.slice(at + 1));
      return extent > 1 && extent < own.length && isScaledAlong(own, theirs, places, { extent, inner });
    });
    return isScaled ? [{ axes, factor: undefined }] : [];
  });
}

/** Bits that a factor for all, or one for each index of an axis, leaves of the equal elements. */
export function bitsOfFactors(own: Numbers, dims: readonly number[], { factor }: Order): number {
  const groups = factor === undefined ? Math.max(...dims) : 1;
  const entropy = bitsOfOrder(own, 1);
  return (own.length - groups) * Math.min(entropy, BITS_OF_FACTOR) - groups * entropy;
}

/** Orders of the axes that differ: those of extent 1 stay where they are. */
function permutations(dims: readonly number[]): number[][] {
  const all = dims.map((_, axis) => axis);
  const wide = all.filter((axis) => dims[axis] !== 1);
  if (wide.length > MOST_AXES) return [all];
  const orders = (rest: readonly number[]): number[][] =>
    rest.length === 0
      ? [[]]
      : rest.flatMap((axis) => orders(rest.filter((other) => other !== axis)).map((order) => [axis, ...order]));
  return orders(wide).map((order) => {
    const pending = [...order];
    return all.map((axis) => (dims[axis] === 1 ? axis : (pending.shift() ?? axis)));
  });
}

/** The place in the parameter of each element of the other, one after the other. */
function placesIn(dims: readonly number[], axes: readonly number[]): (at: number) => number {
  const strides = dims.map((_, axis) => product(dims.slice(axis + 1)));
  const extents = axes.map((axis) => dims[axis] ?? 1);
  return (at) => {
    let rest = at;
    let place = 0;
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const extent = extents[axis] ?? 1;
      place += (rest % extent) * (strides[axes[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / extent);
    }
    return place;
  };
}

function isEqual(own: Numbers, theirs: Numbers, place: (at: number) => number): boolean {
  for (let at = 0; at < theirs.length; at++) if (theirs[at] !== own[place(at)]) return false;
  return true;
}

function factorOf(own: Numbers, theirs: Numbers, place: (at: number) => number): number | undefined {
  let factor: number | undefined;
  for (let at = 0; at < theirs.length; at++) {
    const next = quotient(own[place(at)] ?? 0, theirs[at] ?? 0);
    if (next === 'none' || (factor !== undefined && next !== 'any' && !isClose(next, factor))) return undefined;
    if (next !== 'any') factor ??= next;
  }
  return factor;
}

function isScaledAlong(
  own: Numbers,
  theirs: Numbers,
  place: (at: number) => number,
  { extent, inner }: { readonly extent: number; readonly inner: number },
): boolean {
  const factors: (number | undefined)[] = Array.from({ length: extent }, () => undefined);
  for (let at = 0; at < theirs.length; at++) {
    const next = quotient(own[place(at)] ?? 0, theirs[at] ?? 0);
    if (next === 'none') return false;
    if (next === 'any') continue;
    const index = Math.floor(at / inner) % extent;
    const factor = (factors[index] ??= next);
    if (!isClose(next, factor)) return false;
  }
  return true;
}

function quotient(own: number, theirs: number): number | 'any' | 'none' {
  if (own === 0) return theirs === 0 ? 'any' : 'none';
  return theirs === 0 ? 'none' : theirs / own;
}

function isClose(one: number, other: number): boolean {
  return Math.abs(one - other) <= EQUAL_FACTOR * Math.abs(other);
}

/** Different values that are not zero, from all over the tensor. */
export function probesOf(numbers: Numbers): readonly number[] {
  const step = Math.max(1, Math.floor(numbers.length / PROBES));
  const probes = new Set<number>();
  for (let at = 0; at < numbers.length && probes.size < PROBES; at += step) {
    const value = numbers[at];
    if (value !== undefined && value !== 0 && Number.isFinite(value)) probes.add(value);
  }
  return [...probes];
}

/** Bits of `found` of `count` numbers that are among those of a tensor, whatever their order. */
export function bitsOfSet(found: number, count: number, probability: number): number {
  const [share, chance] = [found / count, Math.min(probability, 0.999)];
  if (share <= chance) return 0;
  const other = share === 1 ? 0 : (1 - share) * Math.log2((1 - share) / (1 - chance));
  return count * (share * Math.log2(share / chance) + other);
}

/**
 * Bits of a block whose elements lie in the parameter at a stride per axis; 0 where they do not.
 * `placeOf`: where the parameter has a value, if that is in one place.
 */
export function bitsOfBlock(
  block: Numbers,
  dims: readonly number[],
  parameter: readonly number[],
  { bits, placeOf }: { readonly bits: number; readonly placeOf: (value: number) => number | undefined },
): number {
  const places = Array.from(block, placeOf);
  const wide = dims.flatMap((extent, axis) => (extent > 1 ? [{ extent, stride: product(dims.slice(axis + 1)) }] : []));
  const own = new Set(parameter.map((_, axis) => product(parameter.slice(axis + 1))));
  const start = places[0];
  if (start === undefined) return 0;
  const steps = wide.map(({ stride }) => (places[stride] ?? Number.NaN) - start);
  if (!steps.every((step) => own.has(Math.abs(step)))) return 0;
  const isBlock = places.every((place, at) => {
    const expected = wide.reduce(
      (sum, { extent, stride }, axis) => sum + (Math.floor(at / stride) % extent) * (steps[axis] ?? 0),
      start,
    );
    return place === expected;
  });
  return isBlock ? block.length * bits - Math.log2(product(parameter)) - wide.length * Math.log2(2 * own.size) : 0;
}
