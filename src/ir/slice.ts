/**
 * The one function that cuts tensors. A slice is a lazy view: its bytes are gathered when they are
 * asked for.
 */
import { alignedScratch } from './scratch.js';
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
  const [input, output] = elementSize === 4 ? [words(source), words(bytes)] : [source, bytes];
  // Behind the last cut axis everything is one contiguous run.
  const lastCut = kept.findLastIndex((indices) => indices !== undefined);
  const unit = elementSize === 4 ? 1 : elementSize;
  const run = product(from.slice(lastCut + 1)) * unit;
  let written = 0;
  const copyRun = (offset: number): void => {
    if (run < SHORT_RUN) for (let at = 0; at < run; at++) output[written + at] = input[offset + at] ?? 0;
    else output.set(input.subarray(offset, offset + run), written);
    written += run;
  };
  const copy = (axis: number, offset: number): void => {
    if (axis > lastCut) return copyRun(offset);
    const stride = product(from.slice(axis + 1)) * unit;
    const indices = kept[axis];
    const count = indices?.length ?? from[axis] ?? 0;
    for (let at = 0; at < count; at++) {
      const start = offset + (indices === undefined ? at : (indices[at] ?? 0)) * stride;
      if (axis === lastCut) copyRun(start);
      else copy(axis + 1, start);
    }
  };
  copy(0, 0);
  return bytes;
}

function words(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset, byteLength } = alignedScratch(bytes, 4);
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}
