/**
 * A constant tensor: dtype, dims and a lazy view of its bytes (little-endian, row-major, as ONNX
 * raw_data). Nothing is copied until somebody asks for typed values of unaligned bytes; slices are
 * computed when read. What lies in a file, and what is cut from it, can be read in pieces, so that
 * a model may be larger than the memory.
 */
import { Float16Array as HalfArray } from '@petamoriken/float16';

/** ONNX TensorProto.DataType numbers; names for those the compiler computes with. */
export const FLOAT = 1;
export const UINT8 = 2;
export const INT8 = 3;
export const UINT16 = 4;
export const INT16 = 5;
export const INT32 = 6;
export const INT64 = 7;
export const BOOL = 9;
export const FLOAT16 = 10;
export const DOUBLE = 11;
export const UINT32 = 12;
export const UINT64 = 13;
export const BFLOAT16 = 16;

/**
 * Bytes of one element; undefined for strings and for types that pack several elements into a byte.
 */
const ELEMENT_BYTES: Readonly<Record<number, number>> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  12: 4,
  13: 8,
  14: 8,
  15: 16,
  16: 2,
  17: 1,
  18: 1,
  19: 1,
  20: 1,
  24: 1,
};

const INTEGERS: ReadonlySet<number> = new Set([UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL, UINT32, UINT64]);

const NAMES: ReadonlyMap<number, string> = new Map(
  (
    'float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64 complex64 complex128 bfloat16 ' +
    'float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 float8e8m0 uint2 int2'
  )
    .split(' ')
    .map((name, at) => [at + 1, name]),
);

/** As NumPy calls it: float32, uint8. */
export function dataTypeName(dataType: number): string {
  return NAMES.get(dataType) ?? `data type ${dataType}`;
}

export function elementBytes(dataType: number): number | undefined {
  return ELEMENT_BYTES[dataType];
}

/**
 * Whether numbers() reads it: all but strings, complex numbers and the floats of eight bits and
 * fewer.
 */
export function isNumeric(dataType: number): boolean {
  return isFloating(dataType) || INTEGERS.has(dataType);
}

/** The types that ONNX operators take shapes, axes and bounds in. */
export function isShapeInteger(dataType: number): boolean {
  return dataType === INT64 || dataType === INT32;
}

export function isFloating(dataType: number): boolean {
  return dataType === FLOAT || dataType === FLOAT16 || dataType === DOUBLE || dataType === BFLOAT16;
}

export function product(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}

/** Bytes of a piece: calls cost nothing beside the reading, and pieces nothing beside the tensors. */
const PIECE = 1 << 20;

/** How to read a tensor that is not in memory. */
export interface Remote {
  /** Fills `into` with the bytes from `start` on. Left out where only `pieces` can be had. */
  readonly read?: (start: number, into: Uint8Array) => void;
  /** All bytes in order, of whatever lengths; each is valid until the next. */
  readonly pieces: () => Iterable<Uint8Array>;
}

export class Tensor {
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Undefined where the bytes are in memory, or stay there once they were asked for. */
  readonly remote: Remote | undefined;
  readonly #load: () => Uint8Array;

  /**
   * `load` may be called several times and must give the same bytes; it throws when they cannot be
   * had.
   */
  constructor(dataType: number, dims: readonly number[], load: () => Uint8Array, remote?: Remote) {
    this.dataType = dataType;
    this.dims = dims;
    this.remote = remote;
    this.#load = load;
  }

  /** One that is read from elsewhere each time. */
  static stored(dataType: number, dims: readonly number[], read: (start: number, into: Uint8Array) => void): Tensor {
    const length = product(dims) * (elementBytes(dataType) ?? 0);
    const load = () => {
      const bytes = new Uint8Array(length);
      read(0, bytes);
      return bytes;
    };
    return new Tensor(dataType, dims, load, { read, pieces: () => piecesOf(length, read) });
  }

  static of(dataType: number, dims: readonly number[], bytes: Uint8Array): Tensor {
    return new Tensor(dataType, dims, () => bytes);
  }

  /** Values are rounded once to the dtype. */
  static fromNumbers(dataType: number, dims: readonly number[], values: ArrayLike<number>): Tensor {
    return Tensor.of(dataType, dims, encodeNumbers(dataType, values));
  }

  get size(): number {
    return product(this.dims);
  }

  get sizeBytes(): number {
    return this.size * (elementBytes(this.dataType) ?? 0);
  }

  bytes(): Uint8Array {
    return this.#load();
  }

  /** The bytes in order; each piece is valid until the next. */
  pieces(): Iterable<Uint8Array> {
    return this.remote?.pieces() ?? [this.bytes()];
  }

  /**
   * The values as numbers, for FLOAT, FLOAT16, BFLOAT16, DOUBLE and the integer types up to 64 bits
   * (which must be safe integers or are clamped). A zero-copy view where dtype and alignment allow
   * it: do not write to it.
   */
  numbers(): Float32Array | Float64Array {
    return decodeNumbers(this.dataType, this.bytes());
  }
}

function* piecesOf(length: number, read: (start: number, into: Uint8Array) => void): Generator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(PIECE, length));
  for (let start = 0; start < length; start += PIECE) {
    const piece = buffer.subarray(0, Math.min(PIECE, length - start));
    read(start, piece);
    yield piece;
  }
}

function aligned(bytes: Uint8Array, elementSize: number): Uint8Array {
  // Not slice(): a file read by Node is a Buffer, whose slice is a view of the same unaligned
  // memory.
  return bytes.byteOffset % elementSize === 0 ? bytes : new Uint8Array(bytes);
}

function decodeNumbers(dataType: number, raw: Uint8Array): Float32Array | Float64Array {
  const bytes = aligned(raw, elementBytes(dataType) ?? 1);
  const { buffer, byteOffset, byteLength } = bytes;
  switch (dataType) {
    case FLOAT:
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case DOUBLE:
      return new Float64Array(buffer, byteOffset, byteLength / 8);
    case FLOAT16:
      return Float32Array.from(new HalfArray(buffer, byteOffset, byteLength / 2));
    case BFLOAT16: {
      const words = new Uint16Array(buffer, byteOffset, byteLength / 2);
      return new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);
    }
    case INT64: {
      const big = new BigInt64Array(buffer, byteOffset, byteLength / 8);
      const limit = Number.MAX_SAFE_INTEGER;
      return Float64Array.from(big, (value) => Math.max(-limit, Math.min(limit, Number(value))));
    }
    case UINT64: {
      const big = new BigUint64Array(buffer, byteOffset, byteLength / 8);
      return Float64Array.from(big, (value) => Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
    }
    case INT32:
      return Float64Array.from(new Int32Array(buffer, byteOffset, byteLength / 4));
    case UINT32:
      return Float64Array.from(new Uint32Array(buffer, byteOffset, byteLength / 4));
    case INT16:
      return Float64Array.from(new Int16Array(buffer, byteOffset, byteLength / 2));
    case UINT16:
      return Float64Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case INT8:
      return Float64Array.from(new Int8Array(buffer, byteOffset, byteLength));
    case UINT8:
    case BOOL:
      return Float64Array.from(bytes);
    default:
      throw new TypeError(`tensor values of data type ${dataType} are not numbers`);
  }
}

function encodeNumbers(dataType: number, values: ArrayLike<number>): Uint8Array {
  switch (dataType) {
    case FLOAT:
      return new Uint8Array(Float32Array.from(values).buffer);
    case DOUBLE:
      return new Uint8Array(Float64Array.from(values).buffer);
    case FLOAT16:
      return new Uint8Array(HalfArray.from(values).buffer);
    case BFLOAT16:
      return new Uint8Array(
        Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), roundToBfloat16).buffer,
      );
    case INT64:
      return new Uint8Array(BigInt64Array.from(Array.from(values), BigInt).buffer);
    case UINT64:
      return new Uint8Array(BigUint64Array.from(Array.from(values), BigInt).buffer);
    case INT32:
      return new Uint8Array(Int32Array.from(values).buffer);
    case UINT32:
      return new Uint8Array(Uint32Array.from(values).buffer);
    case INT16:
      return new Uint8Array(Int16Array.from(values).buffer);
    case UINT16:
      return new Uint8Array(Uint16Array.from(values).buffer);
    case INT8:
      return new Uint8Array(Int8Array.from(values).buffer);
    case BOOL:
    case UINT8:
      return Uint8Array.from(values);
    default:
      throw new TypeError(`cannot make a tensor of data type ${dataType} from numbers`);
  }
}

/** Round to nearest even on the upper 16 bits of a float32. */
function roundToBfloat16(bits: number): number {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
