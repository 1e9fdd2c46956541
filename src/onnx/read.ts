/**
 * ONNX bytes -> Model: decodes without losing a field and builds the IR graph. Nothing is computed
 * yet.
 */
import { readFileSync, statSync } from 'node:fs';
import protobuf from 'protobufjs';
import { messageOf, PruneCompileError } from '../errors.js';
import { type Attribute, Graph, Node } from '../ir/graph.js';
import { isStoredKind, makesOnes } from '../ir/origin.js';
import { verifyGraph } from '../ir/verifier.js';
import { embedOddTensors } from './embed.js';
import { ExternalData } from './external-data.js';
import { inlineFunctions } from './inline-functions.js';
import { describeLookalike } from './not-onnx.js';
import {
  type AttributeProto,
  AttributeType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  ORIGIN_KEY,
  toClampedNumber,
  type ValueInfoProto,
} from './proto.js';
import { graphsOf, subgraphsOf } from './subgraphs.js';
import { ModelType } from './schema.js';
import { readSparseTensor } from './sparse-tensors.js';
import { isExternal, readTensor } from './tensors.js';

/** Versions of the default operator domain whose operators the rules describe. */
export const OPSETS = { oldest: 7, newest: 25 } as const;

export interface Model {
  /** Where it was read from; undefined when it came as bytes. */
  readonly path: string | undefined;
  /** Size of the model file plus its external data, in bytes. */
  readonly sizeBytes: number;
  readonly proto: ModelProto;
  readonly graph: Graph;
  /** Whether any tensor was external data: then it is written so again. */
  readonly hasExternalData: boolean;
  readonly externalBytes: number;
  /** Paths of the data files it reads from. */
  readonly externalFiles: readonly string[];
}

/** Reads a model from a file or from bytes. Throws E-INPUT-…, E-MODEL-… and E-EXTERNAL-… errors. */
export function readModel(source: string | Uint8Array): Model {
  const path = typeof source === 'string' ? source : undefined;
  const bytes = typeof source === 'string' ? readInput(source) : source;
  const name = path ?? 'the model';
  const proto = decodeModel(bytes, name);
  const opset = checkOpset(proto, name);
  const graph = new Graph(opset);
  const external = new ExternalData(path);
  const counted = { bytes: 0 };
  embedOddTensors(proto, external);
  inlineFunctions(proto);
  buildGraph(graph, proto.graph ?? {}, external, counted);
  checkGraph(graph, name);
  return {
    path,
    sizeBytes: bytes.length + counted.bytes,
    externalBytes: counted.bytes,
    proto,
    graph,
    hasExternalData: counted.bytes > 0,
    externalFiles: external.files(),
  };
}

function readInput(path: string): Uint8Array {
  try {
    if (statSync(path).isDirectory()) throw new Error('it is a directory');
    return readFileSync(path);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new PruneCompileError(missing ? 'E-INPUT-MISSING' : 'E-INPUT-UNREADABLE', {
      what: missing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}`,
      facts: [['try', 'the path of an .onnx file']],
      cause: error,
    });
  }
}

export function decodeModel(bytes: Uint8Array, name: string): ModelProto {
  const lookalike = describeLookalike(bytes);
  if (lookalike !== undefined) throw notOnnx(name, lookalike.is, lookalike.hint);
  let model: ModelProto;
  try {
    const reader = protobuf.Reader.create(bytes);
    reader.discardUnknown = false;
    model = ModelType.decode(reader);
  } catch (error) {
    // ir_version comes first in what every exporter writes: bytes 08 NN (field 1, varint).
    if (bytes[0] !== 0x08)
      throw notOnnx(name, `its bytes are not a protobuf message (${messageOf(error)})`, undefined, error);
    const ends = error instanceof RangeError && error.message.startsWith('index out of range');
    const why = ends ? `the file ends after ${bytes.length} bytes, in the middle of a field` : messageOf(error);
    throw truncated(name, `it begins like an ONNX model, but ${ends ? why : `cannot be decoded: ${why}`}`, error);
  }
  const { graph, opsetImport = [] } = model;
  if (graph !== undefined && opsetImport.length > 0) return model;
  // Exporters write the version first, then the graph, then the operator sets.
  if (bytes[0] === 0x08 && model.irVersion !== undefined)
    throw truncated(
      name,
      `it begins like an ONNX model, but its ${graph === undefined ? 'graph' : 'operator sets'} are missing`,
    );
  throw notOnnx(name, 'it has no graph or names no operator set');
}

function notOnnx(name: string, why: string, hint?: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MODEL-NOT-ONNX', {
    what: `${name} is not an ONNX model`,
    facts: [
      ['why', why],
      ['try', hint ?? 'a file written by torch.onnx.export, tf2onnx or another ONNX exporter'],
    ],
    cause,
  });
}

function truncated(name: string, why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MODEL-TRUNCATED', {
    what: `${name} is damaged or incomplete`,
    facts: [
      ['why', why],
      ['try', 'copy or download the file again and compare its size'],
    ],
    cause,
  });
}

function checkOpset(proto: ModelProto, name: string): number {
  const entry = proto.opsetImport?.find(({ domain }) => domain === undefined || domain === '' || domain === 'ai.onnx');
  if (entry === undefined) {
    const domains = proto.opsetImport?.map(({ domain = '' }) => domain).join(', ') ?? '';
    throw new PruneCompileError('E-MODEL-OPSET', {
      what: `${name} uses no operators of the ai.onnx domain`,
      facts: [
        ['why', `only these operators can be pruned; the model uses ${domains}`],
        ['try', 'the model as the training framework exported it, before a converter replaced its operators'],
      ],
    });
  }
  const opset = Number(entry.version ?? 0);
  if (opset >= OPSETS.oldest && opset <= OPSETS.newest) return opset;
  throw new PruneCompileError('E-MODEL-OPSET', {
    what: `${name} uses opset ${opset}`,
    facts: [
      [
        'why',
        `the operators of opsets ${OPSETS.oldest} to ${OPSETS.newest} are known; in others they may mean something else`,
      ],
      ['try', 'export again with opset_version=17, or convert with onnx.version_converter'],
    ],
  });
}

/**
 * What the file says must hold together before anybody edits it: later, a broken graph would look
 * like our own bug.
 */
function checkGraph(graph: Graph, name: string): void {
  const problems = verifyGraph(graph);
  if (problems.length > 0) throw invalidGraph(name, problems);
}

/** Such a file can be read and written, and nothing can be asked of it. Throws E-MODEL-INVALID. */
export function requireOutputs({ graph, path }: Pick<Model, 'graph' | 'path'>): void {
  if (graph.outputs.length === 0)
    throw invalidGraph(path ?? 'the model', ['it has no outputs, so there is nothing to compute']);
}

function invalidGraph(name: string, problems: readonly string[]): PruneCompileError {
  return new PruneCompileError('E-MODEL-INVALID', {
    what: `${name} is not a valid ONNX graph`,
    facts: [
      ...problems.slice(0, 3).map((problem) => ['why', problem] as const),
      ...(problems.length > 3 ? [['and', `${problems.length - 3} more like these`] as const] : []),
      ['try', 'python -c "import onnx; onnx.checker.check_model(\'model.onnx\')" and export the model again'],
    ],
  });
}

function buildGraph(graph: Graph, proto: GraphProto, external: ExternalData, counted: { bytes: number }): void {
  for (const tensor of proto.initializer ?? []) {
    const value = graph.value(tensor.name ?? '');
    const read = readTensor(tensor, external);
    value.initializer = read;
    if (read === undefined) value.isOpaqueConstant = true;
    else value.initializerSource = { tensor: read, source: tensor, isSparse: false };
    if (isExternal(tensor)) counted.bytes += read?.sizeBytes ?? 0;
  }
  for (const sparse of proto.sparseInitializer ?? []) {
    const value = graph.value(sparse.values?.name ?? '');
    const read = readSparseTensor(sparse, external);
    value.initializer = read;
    if (read === undefined) value.isOpaqueConstant = true;
    else value.initializerSource = { tensor: read, source: sparse, isSparse: true };
  }
  for (const input of proto.input ?? []) {
    const value = graph.value(input.name ?? '');
    value.isGraphInput = true;
    graph.inputs.push(value);
  }
  for (const node of proto.node ?? []) addNode(graph, node, external);
  for (const info of proto.valueInfo ?? []) readDeclared(graph, info);
  for (const output of proto.output ?? []) {
    const value = graph.value(output.name ?? '');
    value.isGraphOutput = true;
    graph.outputs.push(value);
  }
}

/**
 * What an earlier compilation declared is known again; what exporters wrote is inferred anew, for
 * it may be stale.
 */
function readDeclared(graph: Graph, { name = '', type }: ValueInfoProto): void {
  const value = graph.values.get(name);
  const dataType = type?.tensorType?.elemType;
  const dims = type?.tensorType?.shape?.dim?.map(({ dimValue, dimParam }) => dimParam ?? Number(dimValue ?? 0));
  if (value === undefined || !makesOnes(value.producer) || dataType === undefined || dims === undefined) return;
  value.declared = { dataType, dims };
}

function addNode(graph: Graph, proto: NodeProto, external: ExternalData): void {
  const node = new Node(proto.opType ?? '', proto.domain ?? '', proto.name ?? '');
  node.source = proto;
  const kind = proto.metadataProps?.find(({ key }) => key === ORIGIN_KEY)?.value ?? '';
  if (isStoredKind(kind)) node.origin = { kind };
  for (const [index, name] of (proto.input ?? []).entries()) {
    const value = name === '' ? undefined : graph.value(name);
    node.inputs.push(value);
    value?.uses.push({ node, index });
  }
  for (const name of proto.output ?? []) {
    const value = name === '' ? undefined : graph.value(name);
    node.outputs.push(value);
    if (value !== undefined) value.producer = node;
  }
  for (const attribute of proto.attribute ?? []) {
    node.attributes.set(attribute.name ?? '', readAttribute(attribute, external));
    for (const subgraph of graphsOf(attribute)) {
      node.hasSubgraph = true;
      for (const name of capturedNames(subgraph, graph.reservedNames)) {
        const value = graph.value(name);
        if (value.capturedBy.includes(node)) continue;
        value.capturedBy.push(node);
        node.captures.push(value);
      }
    }
  }
  graph.attach(node);
}

function readAttribute(proto: AttributeProto, external: ExternalData): Attribute {
  const source = proto;
  if (proto.refAttrName !== undefined) return { kind: 'other', source };
  // Writers before IR 4 may leave the type out; the field that is set tells it.
  switch (proto.type ?? guessType(proto)) {
    case AttributeType.INT:
      return { kind: 'int', value: toClampedNumber(proto.i ?? 0), source };
    case AttributeType.INTS:
      return { kind: 'ints', value: (proto.ints ?? []).map(toClampedNumber), source };
    case AttributeType.FLOAT:
      return { kind: 'float', value: proto.f ?? 0, source };
    case AttributeType.FLOATS:
      return { kind: 'floats', value: proto.floats ?? [], source };
    case AttributeType.STRING:
      return { kind: 'string', value: Buffer.from(proto.s ?? []).toString('utf8'), source };
    case AttributeType.STRINGS:
      return {
        kind: 'strings',
        value: (proto.strings ?? []).map((text) => Buffer.from(text).toString('utf8')),
        source,
      };
    case AttributeType.TENSOR: {
      const tensor = proto.t === undefined ? undefined : readTensor(proto.t, external);
      return tensor === undefined ? { kind: 'other', source } : { kind: 'tensor', value: tensor, source };
    }
    case AttributeType.SPARSE_TENSOR: {
      const tensor = proto.sparseTensor === undefined ? undefined : readSparseTensor(proto.sparseTensor, external);
      return tensor === undefined ? { kind: 'other', source } : { kind: 'tensor', value: tensor, source };
    }
    default:
      return { kind: 'other', source };
  }
}

function guessType(proto: AttributeProto): number {
  if (proto.ints !== undefined && proto.ints.length > 0) return AttributeType.INTS;
  if (proto.floats !== undefined && proto.floats.length > 0) return AttributeType.FLOATS;
  if (Object.hasOwn(proto, 'i')) return AttributeType.INT;
  if (Object.hasOwn(proto, 'f')) return AttributeType.FLOAT;
  if (Object.hasOwn(proto, 's')) return AttributeType.STRING;
  if (proto.sparseTensor !== undefined) return AttributeType.SPARSE_TENSOR;
  return proto.t === undefined ? AttributeType.UNDEFINED : AttributeType.TENSOR;
}

/**
 * Names that a subgraph (and its own subgraphs) reads from outside; every name it defines goes to
 * `reserved`.
 */
export function capturedNames(graph: GraphProto, reserved = new Set<string>()): Set<string> {
  const defined = new Set<string>();
  const read = new Set<string>();
  for (const { name } of [...(graph.input ?? []), ...(graph.initializer ?? [])]) defined.add(name ?? '');
  for (const { values } of graph.sparseInitializer ?? []) defined.add(values?.name ?? '');
  for (const node of graph.node ?? []) {
    for (const name of node.input ?? []) read.add(name);
    for (const inner of subgraphsOf(node)) for (const name of capturedNames(inner, reserved)) read.add(name);
    for (const name of node.output ?? []) defined.add(name);
  }
  for (const { name } of graph.output ?? []) read.add(name ?? '');
  for (const name of defined) reserved.add(name);
  return new Set([...read].filter((name) => name !== '' && !defined.has(name)));
}
