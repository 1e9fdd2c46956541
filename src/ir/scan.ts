/**
 * One look at every element of a constant tensor: how many are zero, whether any is NaN or
 * infinite, and which kernels (the elements along the axes after the first two) hold anything.
 * Remembered per tensor, so that all questions of the analysis cost one pass.
 */
import { countBits, setBit } from './bits.js';
import { alignedWords } from './scratch.js';
import { elementBytes, FLOAT, product, Tensor } from './tensor.js';

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
    scan = tensor.dataType === FLOAT ? scanFloats(tensor, taps) : scanValues(tensor, taps);
    scans.set(tensor, scan);
  }
  return scan;
}

/**
 * Float32 bits without their sign, moved up by one: 0 for zeros, this for infinities, more for NaN.
 */
const INFINITY_BITS = 0xff000000;

/** Elements a turn: 64 KiB stay in the cache between the copy that aligns them and the scan. */
const CHUNK = 1 << 14;

/**
 * Float32 as integers, and without branches: zeros of pruned weights come in no order that a
 * processor could predict. 25 million weights take half the time of a loop with branches, and a
 * tenth of one with an iterator.
 */
function scanFloats(tensor: Tensor, taps: number): Scan {
  const total = tensor.size;
  const nonzero = new Uint32Array(Math.ceil(total / 32));
  const found: Found = { nonzeros: 0, largest: 0 };
  let start = 0;
  for (const chunk of chunksOf(tensor, 4 * CHUNK)) {
    const words = alignedWords(chunk);
    scanWords(words, nonzero.subarray(start >>> 5), found);
    start += words.length;
  }
  const { largest } = found;
  const zeros = total - found.nonzeros;
  const hasInfinity = largest === INFINITY_BITS || (largest > INFINITY_BITS && holdsInfinity(tensor));
  return { zeros, hasNaN: largest > INFINITY_BITS, hasInfinity, connected: kernelBits(nonzero, total, taps) };
}

interface Found {
  nonzeros: number;
  /** Of the magnitudes, as INFINITY_BITS is one. */
  largest: number;
}

const HIGHEST_BIT = 0x80000000;

/** A function of its own: beside the generator of chunks the loop takes a third longer. */
function scanWords(words: Uint32Array, nonzero: Uint32Array, found: Found): void {
  let { nonzeros, largest } = found;
  for (let first = 0; first < words.length; first += 32) {
    const last = Math.min(32, words.length - first);
    let bits = 0;
    for (let at = first; at < first + last; at++) {
      const magnitude = (words[at] ?? 0) << 1;
      // Only of a zero neither it nor its negative has the highest bit: the bits come in from there.
      bits = (bits >>> 1) | ((magnitude | -magnitude) & HIGHEST_BIT);
      if (magnitude >>> 0 > largest) largest = magnitude >>> 0;
    }
    bits >>>= 32 - last;
    nonzeros += countBits(bits);
    nonzero[first >>> 5] = bits;
  }
  found.nonzeros = nonzeros;
  found.largest = largest;
}

/** The tensor's bytes, `length` at a time and the rest at the end. */
function* chunksOf(tensor: Tensor, length: number): Generator<Uint8Array> {
  const pending = new Uint8Array(length);
  let filled = 0;
  for (const piece of tensor.pieces()) {
    let at = 0;
    while (at < piece.length) {
      const end = Math.min(piece.length, at + length - filled);
      const part = piece.subarray(at, end);
      at = end;
      // What is a whole chunk anyway need not be copied.
      if (part.length === length) yield part;
      else {
        pending.set(part, filled);
        filled += part.length;
        if (filled < length) continue;
        yield pending;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield pending.subarray(0, filled);
}

/** Beside NaN, which hides it from the scan. */
function holdsInfinity(tensor: Tensor): boolean {
  for (const chunk of chunksOf(tensor, 4 * CHUNK))
    if (alignedWords(chunk).some((word) => (word << 1) >>> 0 === INFINITY_BITS)) return true;
  return false;
}

/** From one bit per element to one bit per kernel of `taps` elements. */
function kernelBits(nonzero: Uint32Array, elements: number, taps: number): Uint32Array {
  if (taps <= 1) return taps === 1 ? nonzero : new Uint32Array(0);
  const kernels = elements / taps;
  const connected = new Uint32Array(Math.ceil(kernels / 32));
  for (let kernel = 0; kernel < kernels; kernel++) {
    if (holdsBit(nonzero, kernel * taps, (kernel + 1) * taps))
      connected[kernel >>> 5] = (connected[kernel >>> 5] ?? 0) | (1 << (kernel & 31));
  }
  return connected;
}

/** Whether any bit from `start` to before `end` is set. */
function holdsBit(bits: Uint32Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 32 - (at & 31)) {
    const above = Math.max(0, 32 - (at & 31) - (end - at));
    if (((bits[at >>> 5] ?? 0) >>> (at & 31)) << (above + (at & 31)) !== 0) return true;
  }
  return false;
}

/** Elements of any type as numbers. Sums of zero tests cannot cancel: each is compared on its own. */
function scanValues(tensor: Tensor, taps: number): Scan {
  const total = tensor.size;
  const size = elementBytes(tensor.dataType) ?? 1;
  const nonzero = new Uint32Array(Math.ceil(total / 32));
  let zeros = total;
  let hasNaN = false;
  let hasInfinity = false;
  let at = 0;
  for (const chunk of chunksOf(tensor, size * CHUNK)) {
    for (const value of Tensor.of(tensor.dataType, [chunk.length / size], chunk).numbers()) {
      if (value !== 0) {
        zeros--;
        setBit(nonzero, at);
        hasNaN ||= Number.isNaN(value);
        hasInfinity ||= Math.abs(value) === Number.POSITIVE_INFINITY;
      }
      at++;
    }
  }
  return { zeros, hasNaN, hasInfinity, connected: kernelBits(nonzero, total, taps) };
}
