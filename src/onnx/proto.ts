/**
 * The decoded messages of schema.ts as TypeScript sees them. Fields that are absent in the file are
 * absent here.
 */
import type Long from 'long';
import onnxProto from 'onnx-proto';

// Names are written down, not taken from onnx-proto's types: those do not stand up to a user's
// check of the libraries.
type DataTypeName =
  | 'UNDEFINED'
  | 'FLOAT'
  | 'UINT8'
  | 'INT8'
  | 'UINT16'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'STRING'
  | 'BOOL'
  | 'FLOAT16'
  | 'DOUBLE'
  | 'UINT32'
  | 'UINT64'
  | 'COMPLEX64'
  | 'COMPLEX128'
  | 'BFLOAT16';
type Singular = 'FLOAT' | 'INT' | 'STRING' | 'TENSOR' | 'GRAPH' | 'SPARSE_TENSOR' | 'TYPE_PROTO';
type AttributeTypeName = 'UNDEFINED' | Singular | `${Singular}S`;

export const DataType: Readonly<Record<DataTypeName, number>> = onnxProto.onnx.TensorProto.DataType;
export const AttributeType: Readonly<Record<AttributeTypeName, number>> = onnxProto.onnx.AttributeProto.AttributeType;

/**
 * Key in a node's metadata under which the compiler says what it made the node for
 * (src/ir/origin.ts).
 */
export const ORIGIN_KEY = 'prune-compile.origin';

/**
 * Format of small models of our own: the oldest that has every dtype, where initializers need not
 * be inputs. ONNX Runtime reads all opsets in it.
 */
export const SMALL_MODEL_IR = 8;

/** An int64 as protobufjs gives it; numbers are accepted when writing. */
export type Int64 = Long | number;

/**
 * Fields of a message that schema.ts does not know, as raw wire bytes, written again at the
 * message's end.
 */
interface Message {
  $unknowns?: Uint8Array[];
}

export interface StringStringEntryProto extends Message {
  key?: string;
  value?: string;
}

export interface TensorProto extends Message {
  dims?: Int64[];
  dataType?: number;
  floatData?: Uint8Array[];
  int32Data?: Uint8Array[];
  stringData?: Uint8Array[];
  int64Data?: Uint8Array[];
  doubleData?: Uint8Array[];
  uint64Data?: Uint8Array[];
  name?: string;
  docString?: string;
  rawData?: Uint8Array;
  externalData?: StringStringEntryProto[];
  dataLocation?: number;
  metadataProps?: StringStringEntryProto[];
}

export interface DimensionProto extends Message {
  dimValue?: Int64;
  dimParam?: string;
}

export interface TypeProto extends Message {
  tensorType?: { elemType?: number; shape?: { dim?: DimensionProto[] } };
}

export interface ValueInfoProto extends Message {
  name?: string;
  type?: TypeProto;
  docString?: string;
}

export interface SparseTensorProto extends Message {
  values?: TensorProto;
  indices?: TensorProto;
  dims?: Int64[];
}

export interface AttributeProto extends Message {
  name?: string;
  refAttrName?: string;
  type?: number;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  sparseTensor?: SparseTensorProto;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  tensors?: TensorProto[];
  graphs?: GraphProto[];
}

export interface NodeProto extends Message {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  domain?: string;
  overload?: string;
  attribute?: AttributeProto[];
  docString?: string;
  metadataProps?: StringStringEntryProto[];
}

export interface GraphProto extends Message {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  sparseInitializer?: SparseTensorProto[];
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
  quantizationAnnotation?: Message[];
  metadataProps?: StringStringEntryProto[];
}

export interface OperatorSetIdProto extends Message {
  domain?: string;
  version?: Int64;
}

export interface FunctionProto extends Message {
  name?: string;
  domain?: string;
  overload?: string;
  input?: string[];
  output?: string[];
  /** Attributes without a default. */
  attribute?: string[];
  /** Attributes with their defaults. */
  attributeProto?: AttributeProto[];
  node?: NodeProto[];
  opsetImport?: OperatorSetIdProto[];
}

export interface ModelProto extends Message {
  irVersion?: Int64;
  opsetImport?: OperatorSetIdProto[];
  producerName?: string;
  producerVersion?: string;
  graph?: GraphProto;
  metadataProps?: StringStringEntryProto[];
  functions?: FunctionProto[];
}

/** An open end such as INT64_MAX in a Slice becomes the nearest safe integer. */
export function toClampedNumber(value: Int64 | bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}
