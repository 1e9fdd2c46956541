/**
 * What a mask file holds, before anybody asks what it means: containers, scalars and tensors. Tensors are strided views of a
 * storage, so that an expanded mask (strides 0) or a compressed one costs nothing until its elements are asked for.
 */
import { elementBytes, product, Tensor } from '../ir/tensor.js';

export type Entry =
  FileTensor | readonly Entry[] | ReadonlyMap<string, Entry> | number | bigint | boolean | string | null;

export interface MaskFile {
  readonly path: string;
  /** For people: 'PyTorch (zip)', 'safetensors', 'NumPy npz', … */
  readonly format: string;
  readonly root: Entry;
}

export interface TensorView {
  /** ONNX TensorProto.DataType (see ir/tensor.ts). */
  readonly dataType: number;
  readonly dims: readonly number[];
  /** In elements, one per dim; 0 repeats. Readers have checked that every element lies inside the storage. */
  readonly strides: readonly number[];
  /** First element, in elements. */
  readonly offset: number;
}

export class FileTensor {
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly #storage: () => Uint8Array;

  /** `storage` gives little-endian elements; it is called when elements are asked for and may throw E-MASK-DAMAGED then. */
  constructor(view: TensorView, storage: () => Uint8Array) {
    this.dataType = view.dataType;
    this.dims = view.dims;
    this.strides = view.strides;
    this.offset = view.offset;
    this.#storage = storage;
  }

  /** A row-major tensor without gaps. */
  static contiguous(dataType: number, dims: readonly number[], storage: () => Uint8Array): FileTensor {
    return new FileTensor({ dataType, dims, strides: rowMajor(dims), offset: 0 }, storage);
  }

  get size(): number {
    return product(this.dims);
  }

  /** The same elements seen with other axes: `axes[i]` is the axis that becomes axis i; undefined adds an axis of extent 1. */
  permuted(axes: readonly (number | undefined)[]): FileTensor {
    const pick = (from: readonly number[], added: number) =>
      axes.map((axis) => (axis === undefined ? added : (from[axis] ?? added)));
    const view = { dataType: this.dataType, dims: pick(this.dims, 1), strides: pick(this.strides, 0) };
    return new FileTensor({ ...view, offset: this.offset }, this.#storage);
  }

  /** Repeated along axes of extent 1 to the extents of `dims`; undefined where an extent does not fit. */
  broadcast(dims: readonly number[]): FileTensor | undefined {
    const isFit =
      dims.length === this.dims.length &&
      dims.every((extent, axis) => this.dims[axis] === extent || this.dims[axis] === 1);
    if (!isFit) return undefined;
    const strides = this.strides.map((stride, axis) => (this.dims[axis] === dims[axis] ? stride : 0));
    return new FileTensor({ dataType: this.dataType, dims, strides, offset: this.offset }, this.#storage);
  }

  /** The elements in row-major order: a view of the file where they lie so already, else a copy. Ask `size` first. */
  toTensor(): Tensor {
    const { dataType, dims, strides, offset, size } = this;
    const bytesEach = elementBytes(dataType) ?? 1;
    const storage = this.#storage();
    const rows = rowMajor(dims);
    if (size === 0 || dims.every((extent, axis) => extent === 1 || strides[axis] === rows[axis])) {
      return Tensor.of(dataType, dims, storage.subarray(offset * bytesEach, (offset + size) * bytesEach));
    }
    return Tensor.of(dataType, dims, gather(storage, this, bytesEach));
  }
}

export function rowMajor(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1);
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] ?? 1) * (dims[axis + 1] ?? 1);
  return strides;
}

/** Elements between the first and the last one that a view touches, both included; 0 for an empty view. */
export function extentOf({ dims, strides }: Pick<TensorView, 'dims' | 'strides'>): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((total, extent, axis) => total + (extent - 1) * Math.abs(strides[axis] ?? 0), 1);
}

/** Innermost runs that lie together are copied whole, repeated elements are filled in: masks are often expanded by millions. */
function gather(source: Uint8Array, { dims, strides, offset, size }: FileTensor, bytesEach: number): Uint8Array {
  const result = new Uint8Array(size * bytesEach);
  const last = dims.length - 1;
  // Trailing axes that the view repeats, or that lie together, are one run.
  let run = 1;
  let axis = last;
  const isRepeated = strides[last] === 0;
  for (; axis >= 0 && strides[axis] === (isRepeated ? 0 : run); axis--) run *= dims[axis] ?? 1;
  const outer = dims.slice(0, axis + 1);
  const at = outer.map(() => 0);
  let from = offset;
  for (let written = 0; written < size; written += run) {
    const start = written * bytesEach;
    result.set(source.subarray(from * bytesEach, (from + (isRepeated ? 1 : run)) * bytesEach), start);
    if (isRepeated) repeat(result, start, bytesEach, run);
    for (let digit = axis; digit >= 0; digit--) {
      const next = (at[digit] ?? 0) + 1;
      const stride = strides[digit] ?? 0;
      if (next < (outer[digit] ?? 0)) {
        at[digit] = next;
        from += stride;
        break;
      }
      at[digit] = 0;
      from -= stride * (next - 1);
    }
  }
  return result;
}

/** Fills `count` elements with the first, by doubling. */
function repeat(bytes: Uint8Array, start: number, bytesEach: number, count: number): void {
  const total = count * bytesEach;
  for (let done = bytesEach; done < total; done *= 2) {
    bytes.copyWithin(start + done, start, start + Math.min(done, total - done));
  }
}
