/**
 * External data in odd places: tensors of attributes, subgraphs and functions, sparse tensors,
 * types of several elements to a byte. They are small and rare. Read at once and put inside, they
 * need no further thought: their entries would otherwise go on naming the input's data file, from
 * wherever the output is.
 */
import { elementBytes, product } from '../ir/tensor.js';
import type { ExternalData } from './external-data.js';
import {
  type AttributeProto,
  DataType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type SparseTensorProto,
  type TensorProto,
} from './proto.js';
import { graphsOf } from './subgraphs.js';
import { isExternal, readDims } from './tensors.js';

export function embedOddTensors(model: ModelProto, external: ExternalData): void {
  for (const tensor of model.graph?.initializer ?? [])
    if (elementBytes(tensor.dataType ?? 0) === undefined) embed(tensor, external);
  embedSparse(model.graph ?? {}, external);
  embedNodes(model.graph?.node ?? [], external);
  for (const { node } of model.functions ?? []) embedNodes(node ?? [], external);
}

function embedNodes(nodes: readonly NodeProto[], external: ExternalData): void {
  for (const { attribute } of nodes) for (const entry of attribute ?? []) embedAttribute(entry, external);
}

function embedAttribute(attribute: AttributeProto, external: ExternalData): void {
  if (attribute.t !== undefined) embed(attribute.t, external);
  for (const tensor of attribute.tensors ?? []) embed(tensor, external);
  if (attribute.sparseTensor !== undefined) embedParts(attribute.sparseTensor, external);
  for (const graph of graphsOf(attribute)) embedGraph(graph, external);
}

function embedGraph(graph: GraphProto, external: ExternalData): void {
  for (const tensor of graph.initializer ?? []) embed(tensor, external);
  embedSparse(graph, external);
  embedNodes(graph.node ?? [], external);
}

function embedSparse(graph: GraphProto, external: ExternalData): void {
  for (const sparse of graph.sparseInitializer ?? []) embedParts(sparse, external);
}

function embedParts({ values, indices }: SparseTensorProto, external: ExternalData): void {
  for (const tensor of [values, indices]) if (tensor !== undefined) embed(tensor, external);
}

function embed(tensor: TensorProto, external: ExternalData): void {
  if (!isExternal(tensor)) return;
  const range = external.locate(tensor, storedBytes(tensor));
  tensor.rawData = new Uint8Array(range.length);
  external.read(range, 0, tensor.rawData);
  delete tensor.externalData;
  delete tensor.dataLocation;
}

const PACKED_BITS: Readonly<Record<number, number>> = { 21: 4, 22: 4, 23: 4, 25: 2, 26: 2 };

function storedBytes(tensor: TensorProto): number {
  const count = product(readDims(tensor));
  const dataType = tensor.dataType ?? DataType.UNDEFINED;
  const whole = elementBytes(dataType);
  return whole === undefined ? Math.ceil((count * (PACKED_BITS[dataType] ?? 8)) / 8) : count * whole;
}
