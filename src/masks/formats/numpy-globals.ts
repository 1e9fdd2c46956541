/**
 * NumPy's scalars and plain arrays inside a pickle: checkpoints keep metrics and normalisation in
 * them. The state of an array is (version, shape, dtype, whether in Fortran order, bytes):
 * numpy/core/src/multiarray/methods.c, array_reduce.
 */
import { BOOL, elementBytes, INT16, INT64, product, UINT16, UINT32, UINT64 } from '../../ir/tensor.js';
import { FileTensor, rowMajor } from '../contents.js';
import { NUMPY_TYPES } from './numpy-types.js';
import { Callable, Opaque, Tuple, type Value } from './pickle-values.js';
import { damaged, notMasks } from './refuse.js';
import { shapeOf } from './shape.js';
import { swapped } from './torch-tensors.js';

class NumpyType {
  readonly dataType: number;
  readonly isBigEndian: boolean;

  constructor(dataType: number, isBigEndian: boolean) {
    this.dataType = dataType;
    this.isBigEndian = isBigEndian;
  }

  get width(): number {
    return elementBytes(this.dataType) ?? 1;
  }

  littleEndian(bytes: Uint8Array): Uint8Array {
    return this.isBigEndian && this.width > 1 ? swapped(bytes, this.width) : bytes;
  }
}

/** What an array is before it has a state: nothing that could be taken for one. */
const EMPTY_ARRAY = {};

export function numpyGlobals(path: string): [string, Value][] {
  const calls: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
    'numpy.dtype': ([name]) => dtype(name, path),
    'numpy.ndarray': () => emptyArray(path),
    ...Object.fromEntries(
      // NumPy 2 renamed the package.
      ['numpy.core', 'numpy._core'].flatMap((core) => [
        [`${core}.multiarray._reconstruct`, () => emptyArray(path)],
        [`${core}.multiarray.scalar`, ([type, bytes]: readonly Value[]) => scalar(type, bytes, path)],
        [
          `${core}.numeric._frombuffer`,
          ([bytes, type, shape, order]: readonly Value[]) => new Opaque(array(shape, type, order === 'F', bytes, path)),
        ],
      ]),
    ),
  };
  return Object.entries(calls).map(([name, call]) => [name, new Callable(name, call)]);
}

function dtype(name: Value | undefined, path: string): Opaque {
  const dataType = typeof name === 'string' ? NUMPY_TYPES.get(name) : undefined;
  if (dataType === undefined)
    throw notMasks(
      path,
      `a NumPy array of dtype ${typeof name === 'string' ? name.slice(0, 20) : 'unknown'} is in it`,
      'save tensors only, or plain numbers',
    );
  // Its state is (version, byte order, …).
  return new Opaque(new NumpyType(dataType, false), (state) => {
    const order = state instanceof Tuple ? state.items[1] : undefined;
    if (order !== '<' && order !== '>' && order !== '|' && order !== '=')
      throw damaged(path, 'a NumPy dtype in it is odd');
    return new NumpyType(dataType, order === '>');
  });
}

function emptyArray(path: string): Opaque {
  return new Opaque(EMPTY_ARRAY, (state) => {
    const [, shape, type, isFortran, bytes] = state instanceof Tuple ? state.items : [];
    return array(shape, type, isFortran === true, bytes, path);
  });
}

function array(
  shape: Value | undefined,
  type: Value | undefined,
  isFortran: boolean,
  bytes: Value | undefined,
  path: string,
): FileTensor {
  const dims = shape instanceof Tuple ? shapeOf(shape.items) : undefined;
  const numpyType = type instanceof Opaque && type.content instanceof NumpyType ? type.content : undefined;
  if (dims === undefined || numpyType === undefined || !(bytes instanceof Uint8Array))
    throw damaged(path, 'a NumPy array in it lacks its shape, dtype or bytes');
  if (bytes.length !== product(dims) * numpyType.width)
    throw damaged(path, `a NumPy array in it has ${bytes.length} bytes, which is not what its shape needs`);
  const strides = isFortran ? rowMajor(dims.toReversed()).toReversed() : rowMajor(dims);
  return new FileTensor({ dataType: numpyType.dataType, dims, strides, offset: 0 }, () =>
    numpyType.littleEndian(bytes),
  );
}

function scalar(type: Value | undefined, bytes: Value | undefined, path: string): Value {
  const tensor = array(new Tuple([]), type, false, bytes, path).toTensor();
  const view = new DataView(new Uint8Array(tensor.bytes()).buffer);
  switch (tensor.dataType) {
    case UINT64:
      return view.getBigUint64(0, true);
    case UINT32:
      return view.getUint32(0, true);
    case UINT16:
      return view.getUint16(0, true);
    case INT16:
      return view.getInt16(0, true);
    case INT64:
      return Number(view.getBigInt64(0, true));
    case BOOL:
      return view.getUint8(0) !== 0;
    default:
      return tensor.numbers()[0] ?? null;
  }
}
