/**
 * Storages of a PyTorch file, their dtypes, and tensors as views of them (torch/storage.py,
 * torch/_utils.py).
 */
import {
  BFLOAT16,
  BOOL,
  DOUBLE,
  elementBytes,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../../ir/tensor.js';
import { extentOf, FileTensor } from '../contents.js';
import { Dict, Opaque, Tuple, type Value } from './pickle-values.js';
import { damaged, notMasks } from './refuse.js';
import { shapeOf } from './shape.js';

/**
 * Names of classes and dtypes, with the data type; undefined: bytes, the dtype stands with the
 * tensor.
 */
export const STORAGE_TYPES: ReadonlyMap<string, number | undefined> = new Map([
  ['torch.DoubleStorage', DOUBLE],
  ['torch.FloatStorage', FLOAT],
  ['torch.HalfStorage', FLOAT16],
  ['torch.BFloat16Storage', BFLOAT16],
  ['torch.LongStorage', INT64],
  ['torch.IntStorage', INT32],
  ['torch.ShortStorage', INT16],
  ['torch.CharStorage', INT8],
  ['torch.ByteStorage', UINT8],
  ['torch.BoolStorage', BOOL],
  ['torch.UntypedStorage', undefined],
  ['torch.storage.UntypedStorage', undefined],
]);

export const DTYPES: ReadonlyMap<string, number> = new Map([
  ['torch.float64', DOUBLE],
  ['torch.float32', FLOAT],
  ['torch.float16', FLOAT16],
  ['torch.bfloat16', BFLOAT16],
  ['torch.int64', INT64],
  ['torch.int32', INT32],
  ['torch.int16', INT16],
  ['torch.int8', INT8],
  ['torch.uint64', UINT64],
  ['torch.uint32', UINT32],
  ['torch.uint16', UINT16],
  ['torch.uint8', UINT8],
  ['torch.bool', BOOL],
]);

/**
 * What the name of a storage class stands for, until a persistent id says which storage of that
 * class.
 */
export class StorageType {
  readonly dataType: number | undefined;

  constructor(dataType: number | undefined) {
    this.dataType = dataType;
  }

  /** Bytes that `count` of its elements take. */
  bytesOf(count: number): number {
    return count * (this.dataType === undefined ? 1 : (elementBytes(this.dataType) ?? 1));
  }
}

export interface Storage {
  readonly type: StorageType;
  readonly sizeBytes: number;
  /** Little-endian elements of `width` bytes. */
  load(width: number): Uint8Array;
}

/**
 * Wraps storages for the pickle machine; `instanceof` tells them from whatever else a file puts in
 * their place.
 */
export class StorageRef {
  readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }
}

/**
 * The second to fourth argument of torch._utils._rebuild_tensor: where the view begins, its
 * extents, its strides.
 */
export function rebuildTensor(args: readonly Value[], path: string, dtype?: number): Opaque {
  const [source, offset, size, stride] = args;
  if (!(source instanceof Opaque) || !(source.content instanceof StorageRef))
    throw damaged(path, 'a tensor in it has no storage');
  refuseLazy(args, path);
  const { storage } = source.content;
  const dataType = dtype ?? storage.type.dataType;
  const dims = size instanceof Tuple ? shapeOf(size.items) : undefined;
  const strides = stride instanceof Tuple && stride.items.every(isCount) ? stride.items : undefined;
  if (dataType === undefined || dims === undefined || strides === undefined || strides.length !== dims.length)
    throw damaged(path, 'a tensor in it has no shape, or strides that do not fit it');
  if (!isCount(offset)) throw damaged(path, 'a tensor in it begins nowhere');
  const width = elementBytes(dataType) ?? 1;
  const end = (offset + extentOf({ dims, strides })) * width;
  if (!dims.includes(0) && end > storage.sizeBytes)
    throw damaged(path, `a tensor in it ends at byte ${end} of a storage of ${storage.sizeBytes} bytes`);
  const view = { dataType, dims, strides, offset: dims.includes(0) ? 0 : offset };
  return new Opaque(new FileTensor(view, () => storage.load(width)));
}

export function isCount(value: Value | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/**
 * PyTorch keeps some negations undone, marked by {'neg': True} in the last argument (torch._utils,
 * set_tensor_metadata).
 */
function refuseLazy(args: readonly Value[], path: string): void {
  const metadata = args.at(-1);
  const marks = metadata instanceof Dict ? [...metadata.entries] : [];
  if (marks.some(([, isSet]) => isSet === true))
    throw notMasks(
      path,
      'a tensor in it is a conjugate or a negative, not yet computed',
      'call resolve_neg() before saving',
    );
}

/** The bytes with each element's bytes in reverse: numbers of the other byte order. */
export function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) result[at] = bytes[at - (at % width) + width - 1 - (at % width)] ?? 0;
  return result;
}
