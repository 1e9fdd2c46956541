/**
 * What a mask file holds, before anybody asks what it means: containers, scalars and tensors.
 * Tensors are strided views of a storage, so that an expanded mask (strides 0) or a compressed one
 * costs nothing until its elements are asked for.
 */
import { alignedScratch } from '../ir/scratch.js';
import { elementBytes, product, Tensor } from '../ir/tensor.js';

export type Entry =
  | FileTensor
  | readonly Entry[]
  | ReadonlyMap<string, Entry>
  | number
  | bigint
  | boolean
  | string
  /** Bytes of a pickle. */
  | Uint8Array
  | null;

export function isMap(entry: Entry | undefined): entry is ReadonlyMap<string, Entry> {
  return entry instanceof Map;
}

export function isList(entry: Entry | undefined): entry is readonly Entry[] {
  return Array.isArray(entry);
}

export interface MaskFile {
  readonly path: string;
  /** For people: 'PyTorch (zip)', 'safetensors', 'NumPy npz', … */
  readonly format: string;
  readonly root: Entry;
  /** SHA-256 of the bytes that were read, as hexadecimal digits. */
  readonly sha256: string;
}

/** What a file says, for who need not know which bytes said it. */
export type MaskContents = Omit<MaskFile, 'sha256'>;

export interface TensorView {
  /** ONNX TensorProto.DataType (see ir/tensor.ts). */
  readonly dataType: number;
  readonly dims: readonly number[];
  /**
   * In elements, one per dim; 0 repeats. Readers have checked that every element lies inside the
   * storage.
   */
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

  /**
   * `storage` gives little-endian elements; it is called when elements are asked for and may throw
   * E-MASK-DAMAGED then.
   */
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

  /**
   * The same elements seen with other axes: `axes[i]` is the axis that becomes axis i; undefined
   * adds an axis of extent 1.
   */
  permuted(axes: readonly (number | undefined)[]): FileTensor {
    const pick = (from: readonly number[], added: number) =>
      axes.map((axis) => (axis === undefined ? added : (from[axis] ?? added)));
    const view = { dataType: this.dataType, dims: pick(this.dims, 1), strides: pick(this.strides, 0) };
    return new FileTensor({ ...view, offset: this.offset }, this.#storage);
  }

  /**
   * Repeated along axes of extent 1 to the extents of `dims`; undefined where an extent does not
   * fit.
   */
  broadcast(dims: readonly number[]): FileTensor | undefined {
    const isFit =
      dims.length === this.dims.length &&
      dims.every((extent, axis) => this.dims[axis] === extent || this.dims[axis] === 1);
    if (!isFit) return undefined;
    const strides = this.strides.map((stride, axis) => (this.dims[axis] === dims[axis] ? stride : 0));
    return new FileTensor({ dataType: this.dataType, dims, strides, offset: this.offset }, this.#storage);
  }

  /** Those from `start` on, along the first axis. */
  rows(start: number, count: number): FileTensor {
    const [, ...others] = this.dims;
    const offset = this.offset + start * (this.strides[0] ?? 0);
    return new FileTensor({ ...this.#view(), dims: [count, ...others], offset }, this.#storage);
  }

  /**
   * Whether it has no more elements than it touches: a view may repeat what little there is without
   * end.
   */
  get isCompact(): boolean {
    return this.size <= extentOf(this);
  }

  /**
   * Whether any element is 0. What repeats is looked at once, however large the view says it is.
   */
  holdsZero(): boolean {
    const isRepeated = (axis: number) => this.strides[axis] === 0;
    const dims = this.dims.map((extent, axis) => (extent > 0 && isRepeated(axis) ? 1 : extent));
    const view = new FileTensor({ ...this.#view(), dims }, this.#storage);
    // Strides that overlap otherwise: all that they touch.
    const touched = extentOf(view);
    const elements =
      view.size <= touched ? view : FileTensor.contiguous(this.dataType, [touched], () => view.#touched());
    return elements.toTensor().numbers().includes(0);
  }

  #view(): TensorView {
    return { dataType: this.dataType, dims: this.dims, strides: this.strides, offset: this.offset };
  }

  #touched(): Uint8Array {
    const bytesEach = elementBytes(this.dataType) ?? 1;
    return this.#storage().subarray(this.offset * bytesEach, (this.offset + extentOf(this)) * bytesEach);
  }

  /**
   * The elements in row-major order: a view of the file where they lie so already, else a copy. Ask
   * `size` first.
   */
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

/**
 * Elements between the first and the last one that a view touches, both included; 0 for an empty
 * view.
 */
export function extentOf({ dims, strides }: Pick<TensorView, 'dims' | 'strides'>): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((total, extent, axis) => total + (extent - 1) * Math.abs(strides[axis] ?? 0), 1);
}

/**
 * Element by element in row-major order; masks may be expanded or transposed to millions of them.
 */
function gather(storage: Uint8Array, { dims, strides, offset, size }: FileTensor, bytesEach: number): Uint8Array {
  const bytes = new Uint8Array(size * bytesEach);
  const source = wordsOf(storage, bytesEach);
  const target = wordsOf(bytes, bytesEach);
  const words = bytesEach / target.BYTES_PER_ELEMENT;
  const last = dims.length - 1;
  const [count, stride] = [dims[last] ?? 1, strides[last] ?? 0];
  const at = dims.slice(0, -1).map(() => 0);
  let from = offset;
  let written = 0;
  while (written < target.length) {
    for (let index = 0, place = from * words; index < count; index++, place += stride * words) {
      for (let word = 0; word < words; word++) target[written++] = source[place + word] ?? 0;
    }
    for (let axis = last - 1; axis >= 0; axis--) {
      const next = (at[axis] ?? 0) + 1;
      const step = strides[axis] ?? 0;
      if (next < (dims[axis] ?? 0)) {
        at[axis] = next;
        from += step;
        break;
      }
      at[axis] = 0;
      from -= step * (next - 1);
    }
  }
  return bytes;
}

/**
 * The largest words that elements consist of: 8-byte elements are two, because doubles do not keep
 * all bits of a NaN.
 */
function wordsOf(bytes: Uint8Array, bytesEach: number): Uint8Array | Uint16Array | Uint32Array {
  if (bytesEach === 1) return bytes;
  const size = bytesEach === 2 ? 2 : 4;
  const { buffer, byteOffset, byteLength } = alignedScratch(bytes, size);
  const count = Math.floor(byteLength / size);
  return size === 2 ? new Uint16Array(buffer, byteOffset, count) : new Uint32Array(buffer, byteOffset, count);
}
