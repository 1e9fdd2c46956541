/**
 * TensorProto <-> Tensor: raw data, packed typed fields and external data, all as lazy
 * little-endian views.
 */
import protobuf from 'protobufjs';
import { PruneCompileError } from '../errors.js';
import { elementBytes, product, Tensor } from '../ir/tensor.js';
import type { ExternalData } from './external-data.js';
import { DataType, type TensorProto } from './proto.js';

/** TensorProto.DataLocation.EXTERNAL */
export const EXTERNAL = 1;

export function isExternal(proto: TensorProto): boolean {
  return proto.dataLocation === EXTERNAL;
}

/**
 * Undefined for tensors that are not plain numbers (strings, 4-bit types): they are kept as they
 * were read.
 */
export function readTensor(proto: TensorProto, external: ExternalData): Tensor | undefined {
  const dataType = proto.dataType ?? 0;
  const size = elementBytes(dataType);
  if (size === undefined) return undefined;
  const dims = readDims(proto);
  const length = product(dims) * size;
  if (isExternal(proto)) {
    const where = external.locate(proto, length);
    return Tensor.stored(dataType, dims, (start, into) => external.read(where, start, into));
  }
  const load =
    proto.rawData === undefined ? () => typedBytes(proto, dataType, length) : constantly(plainView(proto.rawData));
  if (proto.rawData !== undefined && proto.rawData.length !== length)
    throw wrongLength(proto, length, proto.rawData.length);
  return new Tensor(dataType, dims, load);
}

/** The same bytes without Buffer's ways: its subarray is slow and its slice does not copy. */
function plainView({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Extents as numbers; impossible ones are the model's fault. */
export function readDims(proto: TensorProto): number[] {
  const dims = (proto.dims ?? []).map(Number);
  if (dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) && Number.isSafeInteger(product(dims) * 16))
    return dims;
  throw invalidTensor(proto, 'has impossible dims');
}

function constantly(bytes: Uint8Array): () => Uint8Array {
  return () => bytes;
}

/** A new TensorProto with the bytes inside (raw_data). */
export function writeTensor(name: string, tensor: Tensor): TensorProto {
  return { dims: [...tensor.dims], dataType: tensor.dataType, name, rawData: tensor.bytes() };
}

/**
 * The bytes of float_data, int32_data, int64_data, double_data or uint64_data as raw_data would
 * have them.
 */
function typedBytes(proto: TensorProto, dataType: number, length: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = fixedWidthBytes(proto, dataType) ?? varintBytes(proto, dataType);
  } catch (error) {
    throw invalidTensor(proto, 'has damaged data', error);
  }
  if (bytes.length !== length) throw wrongLength(proto, length, bytes.length);
  return bytes;
}

function fixedWidthBytes(proto: TensorProto, dataType: number): Uint8Array | undefined {
  if (dataType === DataType.FLOAT || dataType === DataType.COMPLEX64)
    return concat([...(proto.floatData ?? []), ...unpackedFixed(proto, 4, 4)]);
  if (dataType === DataType.DOUBLE || dataType === DataType.COMPLEX128)
    return concat([...(proto.doubleData ?? []), ...unpackedFixed(proto, 10, 8)]);
  return undefined;
}

function varintBytes(proto: TensorProto, dataType: number): Uint8Array {
  const chunks64 = dataType === DataType.INT64 ? proto.int64Data : proto.uint64Data;
  if (dataType === DataType.INT64 || dataType === DataType.UINT64 || dataType === DataType.UINT32) {
    const field = dataType === DataType.INT64 ? 7 : 11;
    const values = [...varints(chunks64 ?? []), ...unpackedVarints(proto, field)];
    return dataType === DataType.UINT32
      ? new Uint8Array(Uint32Array.from(values, Number).buffer)
      : new Uint8Array(BigInt64Array.from(values).buffer);
  }
  // int32_data also holds the narrower types, float16 and bfloat16 as bit patterns.
  const values = [...varints(proto.int32Data ?? []), ...unpackedVarints(proto, 5)].map((value) =>
    Number(value & 0xffffffffn),
  );
  const width = elementBytes(dataType);
  if (width === 4) return new Uint8Array(Uint32Array.from(values).buffer);
  if (width === 2) return new Uint8Array(Uint16Array.from(values).buffer);
  return Uint8Array.from(values);
}

function varints(chunks: readonly Uint8Array[]): bigint[] {
  const values: bigint[] = [];
  for (const chunk of chunks) {
    const reader = protobuf.Reader.create(chunk);
    while (reader.pos < reader.len) values.push(BigInt(reader.int64().toString()));
  }
  return values;
}

/** Elements of a number list that a writer did not pack; they are among the unknown fields. */
function unpackedFixed(proto: TensorProto, field: number, width: number): Uint8Array[] {
  const tag = (field << 3) | (width === 4 ? 5 : 1);
  return (proto.$unknowns ?? []).filter((raw) => raw[0] === tag).map((raw) => raw.subarray(1, 1 + width));
}

function unpackedVarints(proto: TensorProto, field: number): bigint[] {
  return varints((proto.$unknowns ?? []).filter((raw) => raw[0] === field << 3).map((raw) => raw.subarray(1)));
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : new Uint8Array(Buffer.concat(chunks));
}

function wrongLength(proto: TensorProto, expected: number, found: number): PruneCompileError {
  return invalidTensor(proto, `has ${found} bytes of data where its shape needs ${expected}`);
}

function invalidTensor(proto: TensorProto, fault: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MODEL-INVALID', {
    what: `tensor ${proto.name ?? '(without a name)'} ${fault}`,
    facts: [
      ['where', `dims [${(proto.dims ?? []).map(String).join(', ')}], data type ${proto.dataType ?? 'missing'}`],
      ['try', 'export the model again: the file is damaged or was cut'],
    ],
    cause,
  });
}
