/**
 * One look at every element of a constant tensor: how many are zero, whether any is NaN or infinite, and which kernels (the elements
 * behind the first two axes) hold anything. Remembered per tensor, so that all questions of the analysis cost one pass.
 */
import { DOUBLE, FLOAT, product, type Tensor } from './tensor.js';
import { alignedScratch } from './scratch.js';

export interface Scan {
  readonly zeros: number;
  readonly hasNaN: boolean;
  readonly hasInfinity: boolean;
  /** Whether kernel number `index` (first axis * extent of the second + second axis) has a nonzero element. */
  isConnected(index: number): boolean;
}

const scans = new WeakMap<Tensor, Scan>();

export function scanTensor(tensor: Tensor): Scan {
  let scan = scans.get(tensor);
  if (scan === undefined) {
    scan = scanValues(valuesOf(tensor), product(tensor.dims.slice(2)));
    scans.set(tensor, scan);
  }
  return scan;
}

/** Large models are float32 or double: those are read in place or through scratch memory, never copied for good. */
function valuesOf(tensor: Tensor): Float32Array | Float64Array {
  const size = tensor.dataType === FLOAT ? 4 : tensor.dataType === DOUBLE ? 8 : 0;
  if (size === 0) return tensor.numbers();
  const { buffer, byteOffset, byteLength } = alignedScratch(tensor.bytes(), size);
  return size === 4
    ? new Float32Array(buffer, byteOffset, byteLength / 4)
    : new Float64Array(buffer, byteOffset, byteLength / 8);
}

/** Sums of zero tests cannot cancel: every element is compared on its own. */
function scanValues(values: Float32Array | Float64Array, taps: number): Scan {
  const kernels = taps === 0 ? 0 : values.length / taps;
  const bits = new Uint32Array(Math.ceil(kernels / 32));
  let zeros = 0;
  let hasNaN = false;
  let hasInfinity = false;
  // By index: an iterator over 25 million weights costs ten times as much.
  for (let kernel = 0, at = 0; kernel < kernels; kernel++) {
    let live = false;
    for (const end = at + taps; at < end; at++) {
      const value = values[at] ?? 0;
      if (value === 0) zeros++;
      else {
        live = true;
        // One test for both in the usual case: what is not finite minus itself is NaN.
        if (value - value !== 0) {
          if (value !== value) hasNaN = true;
          else hasInfinity = true;
        }
      }
    }
    if (live) bits[kernel >>> 5] = (bits[kernel >>> 5] ?? 0) | (1 << (kernel & 31));
  }
  const isConnected = (index: number) => (((bits[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1;
  return { zeros, hasNaN, hasInfinity, isConnected };
}
