/**
 * One look at every element of a constant tensor: how many are zero, whether any is NaN or
 * infinite, and which kernels (the elements behind the first two axes) hold anything. Remembered
 * per tensor, so that all questions of the analysis cost one pass.
 */
import { DOUBLE, FLOAT, product, type Tensor } from './tensor.js';
import { alignedScratch } from './scratch.js';

export interface Scan {
  readonly zeros: number;
  readonly hasNaN: boolean;
  readonly hasInfinity: boolean;
  /**
   * One bit per kernel, the first in the lowest: whether kernel number `first axis * extent of the
   * second + second axis` has a nonzero element.
   */
  readonly connected: Uint32Array;
}

const scans = new WeakMap<Tensor, Scan>();

export function scanTensor(tensor: Tensor): Scan {
  let scan = scans.get(tensor);
  if (scan === undefined) {
    const taps = product(tensor.dims.slice(2));
    scan = tensor.dataType === FLOAT ? scanFloats(tensor, taps) : scanValues(valuesOf(tensor), taps);
    scans.set(tensor, scan);
  }
  return scan;
}

/** All bits of a float32 but the sign; an exponent of all ones is what infinities and NaN have. */
const MAGNITUDE = 0x7fffffff;
const INFINITY_BITS = 0x7f800000;

/**
 * Float32 as integers, in place or through scratch memory: half the time of comparing numbers, for
 * all weights of large models are of this type. By index: an iterator over 25 million weights costs
 * ten times as much.
 */
function scanFloats(tensor: Tensor, taps: number): Scan {
  const { buffer, byteOffset, byteLength } = alignedScratch(tensor.bytes(), 4);
  const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  const kernels = taps === 0 ? 0 : words.length / taps;
  const connected = new Uint32Array(Math.ceil(kernels / 32));
  let zeros = 0;
  let largest = 0;
  let hasInfinity = false;
  for (let kernel = 0, at = 0; kernel < kernels; kernel++) {
    let isLive = false;
    for (const end = at + taps; at < end; at++) {
      const magnitude = (words[at] ?? 0) & MAGNITUDE;
      if (magnitude === 0) zeros++;
      else {
        isLive = true;
        if (magnitude >= INFINITY_BITS) {
          hasInfinity ||= magnitude === INFINITY_BITS;
          largest = Math.max(largest, magnitude);
        }
      }
    }
    if (isLive) connected[kernel >>> 5] = (connected[kernel >>> 5] ?? 0) | (1 << (kernel & 31));
  }
  return { zeros, hasNaN: largest > INFINITY_BITS, hasInfinity, connected };
}

/** Doubles are read as floats are; other types are converted. */
function valuesOf(tensor: Tensor): Float32Array | Float64Array {
  if (tensor.dataType !== DOUBLE) return tensor.numbers();
  const { buffer, byteOffset, byteLength } = alignedScratch(tensor.bytes(), 8);
  return new Float64Array(buffer, byteOffset, byteLength / 8);
}

/** Sums of zero tests cannot cancel: every element is compared on its own. */
function scanValues(values: Float32Array | Float64Array, taps: number): Scan {
  const kernels = taps === 0 ? 0 : values.length / taps;
  const connected = new Uint32Array(Math.ceil(kernels / 32));
  let zeros = 0;
  let hasNaN = false;
  let hasInfinity = false;
  for (let kernel = 0, at = 0; kernel < kernels; kernel++) {
    let isLive = false;
    for (const end = at + taps; at < end; at++) {
      const value = values[at] ?? 0;
      if (value === 0) zeros++;
      else {
        isLive = true;
        hasNaN ||= Number.isNaN(value);
        hasInfinity ||= Math.abs(value) === Number.POSITIVE_INFINITY;
      }
    }
    if (isLive) connected[kernel >>> 5] = (connected[kernel >>> 5] ?? 0) | (1 << (kernel & 31));
  }
  return { zeros, hasNaN, hasInfinity, connected };
}
