/**
 * ModelProto -> bytes, in chunks: large tensors are handed on as they are instead of being copied
 * into one growing buffer, which for a 100 MB model would cost another 200 MB. Fields come in the
 * order of their numbers, as every protobuf writer puts them, so that an unchanged model gives the
 * same bytes.
 */
import protobuf from 'protobufjs';
import type { GraphProto, ModelProto, TensorProto } from './proto.js';
import { GraphType, ModelType, TensorType } from './schema.js';

/** Tensors below this many bytes are encoded whole. */
const LARGE_TENSOR = 4096;

const GRAPH_FIELD = 7;
const INITIALIZER_FIELD = 5;
const RAW_DATA_FIELD = 9;

export function encodeChunks(proto: ModelProto): Uint8Array[] {
  const { graph } = proto;
  const body = graph === undefined ? [] : framed(GRAPH_FIELD, graphChunks(graph));
  return around(ModelType, proto, GRAPH_FIELD, body);
}

/** The message as one array. */
export function encodeProto(proto: ModelProto): Uint8Array {
  return Buffer.concat(encodeChunks(proto));
}

function graphChunks(graph: GraphProto): Uint8Array[] {
  const initializers = (graph.initializer ?? []).flatMap((tensor) => framed(INITIALIZER_FIELD, tensorChunks(tensor)));
  return around(GraphType, graph, INITIALIZER_FIELD, initializers);
}

function tensorChunks(tensor: TensorProto): Uint8Array[] {
  const { rawData } = tensor;
  if (rawData === undefined || rawData.length < LARGE_TENSOR) return [TensorType.encode(tensor).finish()];
  return around(TensorType, tensor, RAW_DATA_FIELD, framed(RAW_DATA_FIELD, [rawData]));
}

/** Tag and length of a length-delimited field, then its contents. */
function framed(field: number, chunks: readonly Uint8Array[]): Uint8Array[] {
  const length = chunks.reduce((total, chunk) => total + chunk.length, 0);
  const header = protobuf.Writer.create()
    .uint32((field << 3) | 2)
    .uint32(length)
    .finish();
  return [header, ...chunks];
}

/**
 * The message's fields below number `at`, then `middle`, then those above it and the unknown ones.
 */
function around(type: protobuf.Type, message: object, at: number, middle: readonly Uint8Array[]): Uint8Array[] {
  const below: Record<string, unknown> = {};
  const above: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    const id = type.fields[name]?.id ?? 0;
    if (id < at) below[name] = value;
    else if (id > at) above[name] = value;
  }
  const unknowns: unknown = '$unknowns' in message ? message.$unknowns : undefined;
  if (unknowns !== undefined) Object.defineProperty(above, '$unknowns', { value: unknowns });
  return [type.encode(below).finish(), ...middle, type.encode(above).finish()];
}
