/**
 * The one function that cuts tensors. A slice is a lazy view: its bytes are gathered when they are
 * asked for.
 */
import { alignedWords } from './scratch.js';
import { elementBytes, product, Tensor } from './tensor.js';

/**
 * Kept indices per axis, ascending; undefined keeps the whole axis. Works for every dtype of whole
 * bytes.
 */
export function sliceTensor(tensor: Tensor, kept: readonly (readonly number[] | undefined)[]): Tensor {
  const size = elementBytes(tensor.dataType);
  if (size === undefined) throw new TypeError(`tensors of data type ${tensor.dataType} cannot be sliced`);
  const dims = tensor.dims.map((extent, axis) => kept[axis]?.length ?? extent);
  let gathered: Uint8Array | undefined;
  // Kept once gathered: analysis, counting and writing all read it, and it is smaller than what it
  // was cut from.
  return new Tensor(tensor.dataType, dims, () => (gathered ??= gather(tensor.bytes(), tensor.dims, dims, kept, size)));
}

/**
 * Runs shorter than this many elements are copied one by one: a call per run would cost more than
 * the copy.
 */
const SHORT_RUN = 64;

function gather(
  source: Uint8Array,
  from: readonly number[],
  to: readonly number[],
  kept: readonly (readonly number[] | undefined)[],
  elementSize: number,
): Uint8Array {
  const bytes = new Uint8Array(product(to) * elementSize);
  // After the last cut axis everything is one contiguous run.
  const lastCut = Math.max(
    0,
    kept.findLastIndex((indices) => indices !== undefined),
  );
  const run = product(from.slice(lastCut + 1));
  const copyRuns = run >= SHORT_RUN ? copyLongRuns : elementSize === 4 ? copyShortRunsOfWords : copyShortRuns;
  const allOf = (axis: number) => Array.from({ length: from[axis] ?? 1 }, (_, index) => index);
  const indices = kept[lastCut] ?? allOf(lastCut);
  const slab = (from[lastCut] ?? 1) * run * elementSize;
  let written = 0;
  /** `slabs` counts, of those before, along the axes in front of the last cut one. */
  const copy = (axis: number, slabs: number): void => {
    if (axis < lastCut) {
      for (const index of kept[axis] ?? allOf(axis)) copy(axis + 1, slabs * (from[axis] ?? 1) + index);
      return;
    }
    const target = bytes.subarray(written, written + indices.length * run * elementSize);
    copyRuns(source.subarray(slabs * slab, (slabs + 1) * slab), target, indices, run * elementSize);
    written += target.length;
  };
  copy(0, 0);
  return bytes;
}

/** Writes the runs of `size` bytes at these indices one after the other. */
function copyLongRuns(source: Uint8Array, target: Uint8Array, indices: readonly number[], size: number): void {
  for (const [at, index] of indices.entries()) {
    target.set(source.subarray(index * size, (index + 1) * size), at * size);
  }
}

function copyShortRuns(
  source: Uint8Array | Uint32Array,
  target: Uint8Array | Uint32Array,
  indices: readonly number[],
  size: number,
): void {
  let written = 0;
  for (const index of indices) {
    for (let at = index * size; at < (index + 1) * size; at++) target[written++] = source[at] ?? 0;
  }
}

/** Of 4-byte elements; `size` is still in bytes. */
function copyShortRunsOfWords(source: Uint8Array, target: Uint8Array, indices: readonly number[], size: number): void {
  copyShortRuns(alignedWords(source), alignedWords(target), indices, size / 4);
}
