/** The one function that cuts tensors. A slice is a lazy view: its bytes are gathered when they are asked for. */
import { elementBytes, product, Tensor } from './tensor.js';

/** Kept indices per axis, ascending; undefined keeps the whole axis. Works for every dtype of whole bytes. */
export function sliceTensor(tensor: Tensor, kept: readonly (readonly number[] | undefined)[]): Tensor {
  const size = elementBytes(tensor.dataType);
  if (size === undefined) throw new TypeError(`tensors of data type ${tensor.dataType} cannot be sliced`);
  const dims = tensor.dims.map((extent, axis) => kept[axis]?.length ?? extent);
  return new Tensor(tensor.dataType, dims, () => gather(tensor.bytes(), tensor.dims, dims, kept, size));
}

function gather(
  source: Uint8Array,
  from: readonly number[],
  to: readonly number[],
  kept: readonly (readonly number[] | undefined)[],
  elementSize: number,
): Uint8Array {
  const target = new Uint8Array(product(to) * elementSize);
  // Behind the last cut axis everything is one contiguous run.
  const lastCut = kept.findLastIndex((indices) => indices !== undefined);
  const run = product(from.slice(lastCut + 1)) * elementSize;
  let written = 0;
  const copy = (axis: number, offset: number): void => {
    if (axis > lastCut) {
      target.set(source.subarray(offset, offset + run), written);
      written += run;
      return;
    }
    const stride = product(from.slice(axis + 1)) * elementSize;
    const indices = kept[axis];
    if (indices === undefined) for (let index = 0; index < (from[axis] ?? 0); index++) copy(axis + 1, offset + index * stride);
    else for (const index of indices) copy(axis + 1, offset + index * stride);
  };
  copy(0, 0);
  return target;
}
