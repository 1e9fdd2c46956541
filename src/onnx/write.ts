/**
 * Model -> ONNX bytes and files. What was not edited is written from what was read, field for
 * field.
 */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { LONGEST_NAME } from '../files/place.js';
import { requirePlace, writeFiles } from '../files/write-files.js';
import {
  type Attribute,
  COMPUTED_EXTENT,
  type Dim,
  type Graph,
  type Node,
  SPARSE_DOMAIN,
  SPARSE_VERSION,
  type Value,
} from '../ir/graph.js';
import { storedKindOf } from '../ir/origin.js';
import type { Tensor } from '../ir/tensor.js';
import {
  type AttributeProto,
  AttributeType,
  type DimensionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type OperatorSetIdProto,
  ORIGIN_KEY,
  type SparseTensorProto,
  type TensorProto,
  type ValueInfoProto,
} from './proto.js';
import { encodeChunks, encodeProto } from './encode.js';
import type { Model } from './read.js';
import { writeSparseTensor } from './sparse-tensors.js';
import { EXTERNAL, isExternal, writeTensor } from './tensors.js';

/** No protobuf reader takes a message of 2 GiB or more. */
const LARGEST_MESSAGE = 2 ** 31 - 1;
/**
 * Smaller tensors stay in the model file: they carry shapes, and ONNX Runtime wants those inline.
 */
const SMALLEST_EXTERNAL = 1024;

/** From this IR version on, initializers need not be inputs; those that are may be fed. */
export const INITIALIZERS_ALONE = 4;

export type Shapes = ReadonlyMap<string, readonly Dim[]>;

export interface WriteOptions {
  /**
   * Shapes of the edited graph: value_info is brought up to date with them; without them stale
   * entries are dropped.
   */
  shapes?: Shapes;
  /** Keys added to (or replaced in) the model's metadata. */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Bytes above which weights go into a file of their own. Default: what protobuf can hold, 2 GiB.
   */
  largestMessage?: number;
  /**
   * Initializers are no inputs any more, where the format allows that (from IR 4 on): they were
   * taken as constants, and what is computed from other values was not proved. Default: as read.
   */
  fixesInitializers?: boolean;
}

/**
 * The bytes of the model as one message, weights inside. Throws E-MODEL-TOO-LARGE when it would
 * pass 2 GiB.
 */
export function encodeModel(model: Model, options: WriteOptions = {}): Uint8Array {
  const { largestMessage = LARGEST_MESSAGE } = options;
  const weights = weightBytes(model.graph);
  const bytes = weights > largestMessage ? undefined : encodeProto(modelProto(model, options, INSIDE));
  if (bytes !== undefined && bytes.length <= largestMessage) return bytes;
  throw new PruneCompileError('E-MODEL-TOO-LARGE', {
    what: `the model is too large for one piece: ${bytes?.length ?? weights} bytes`,
    facts: [
      ['why', `an ONNX message holds at most ${largestMessage} bytes`],
      ['try', '--output FILE: weights then go into FILE.data beside it'],
    ],
  });
}

function weightBytes(graph: Graph): number {
  const dense = [...graph.initializers()].filter((value) => sparseProto(value) === undefined);
  return dense.reduce((total, { initializer }) => total + initializer.sizeBytes, 0);
}

/**
 * How a tensor is written that was read without its zeros, unless it has too few of them now. It
 * goes inside: sparse ones are small.
 */
function sparseProto({ name, initializer, initializerSource }: Value): SparseTensorProto | undefined {
  if (initializer === undefined || initializerSource?.isSparse !== true) return undefined;
  if (initializerSource.tensor === initializer) return initializerSource.source;
  return writeSparseTensor(name, initializer);
}

/**
 * Size of the model as it would be written, external data included; then to some bytes per tensor.
 */
export function encodedSize(model: Model, options: WriteOptions = {}): number {
  const weights = weightBytes(model.graph);
  const isInside = !model.hasExternalData && weights <= (options.largestMessage ?? LARGEST_MESSAGE);
  const chunks = encodeChunks(modelProto(model, options, isInside ? INSIDE : NOWHERE));
  return chunks.reduce((total, { length }) => total + length, isInside ? 0 : weights);
}

/**
 * Writes the model to `given` (and a file of the same name and `.data` where the input had external
 * data or the message would pass 2 GiB). Links are followed; see writeFiles. Returns the total size
 * in bytes.
 */
export function writeModel(model: Model, given: string, options: WriteOptions = {}): number {
  const { largestMessage = LARGEST_MESSAGE } = options;
  // Weights go beside the file itself, not beside a link to it.
  const path = requirePlace(given);
  if (!model.hasExternalData && weightBytes(model.graph) <= largestMessage) {
    const chunks = encodeChunks(modelProto(model, options, INSIDE));
    // The graph counts too, and is seldom known to be small.
    if (chunks.reduce((total, chunk) => total + chunk.length, 0) <= largestMessage)
      return writeFiles([{ path, chunks }]);
  }
  const dataPath = join(dirname(path), dataName(basename(path)));
  const tensors: Tensor[] = [];
  let offset = 0;
  const proto = modelProto(model, options, {
    mayKeep: () => false,
    write: (name, tensor) => {
      if (tensor.sizeBytes < SMALLEST_EXTERNAL) return writeTensor(name, tensor);
      const entry = externalTensor(name, tensor, basename(dataPath), offset);
      tensors.push(tensor);
      offset += tensor.sizeBytes;
      return entry;
    },
  });
  const main = { path, chunks: encodeChunks(proto) };
  if (tensors.length === 0) return writeFiles([main]);
  checkNotRead(dataPath, model);
  return writeFiles([{ path: dataPath, chunks: lazyBytes(tensors) }, main]);
}

/** `model.onnx.data`; of a name that leaves no room for that, as much as there is room for. */
function dataName(model: string): string {
  const letters = Array.from(model);
  const name = () => `${letters.join('')}.data`;
  while (Buffer.byteLength(name()) > LONGEST_NAME) letters.pop();
  return name();
}

/** Weights that were not edited are still to be read from the input's data file. */
function checkNotRead(dataPath: string, { externalFiles }: Model): void {
  if (!existsSync(dataPath)) return;
  const target = realpathSync(dataPath);
  if (!externalFiles.some((file) => existsSync(file) && realpathSync(file) === target)) return;
  throw new PruneCompileError('E-OUTPUT-IS-INPUT', {
    what: `${dataPath} holds weights of the input`,
    facts: [
      ['why', 'the input is never overwritten, because the result is compared with it'],
      ['try', '--output with another name or folder'],
    ],
  });
}

function* lazyBytes(tensors: readonly Tensor[]): Generator<Uint8Array> {
  for (const tensor of tensors) yield* tensor.pieces();
}

function externalTensor(name: string, tensor: Tensor, location: string, offset: number): TensorProto {
  return {
    dims: [...tensor.dims],
    dataType: tensor.dataType,
    name,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(tensor.sizeBytes) },
    ],
    dataLocation: EXTERNAL,
  };
}

/** Where weights go: into the message, or into a file beside it. */
interface Place {
  /** Whether an unchanged tensor may be written as it was read. */
  mayKeep(original: TensorProto): boolean;
  write(name: string, tensor: Tensor): TensorProto;
}

/** An external tensor is written anew even when unchanged: its file is the input's. */
const INSIDE: Place = { mayKeep: (original) => !isExternal(original), write: writeTensor };

/** For measuring: the weights of a large model need not be read for that. */
const NOWHERE: Place = {
  mayKeep: () => false,
  write: (name, { dims, dataType }) => ({ name, dims: [...dims], dataType }),
};

function modelProto(model: Model, options: WriteOptions, place: Place): ModelProto {
  const source = model.proto;
  const metadata = Object.entries(options.metadata ?? {});
  const others = (source.metadataProps ?? []).filter(({ key }) => !metadata.some(([name]) => name === key));
  return withFields(source, {
    graph: graphProto(model.graph, source.graph ?? {}, options.shapes, place, {
      fixesInitializers: options.fixesInitializers === true && Number(source.irVersion ?? 0) >= INITIALIZERS_ALONE,
    }),
    opsetImport: withDomains(source.opsetImport ?? [], model.graph),
    ...(metadata.length > 0 ? { metadataProps: [...others, ...metadata.map(([key, value]) => ({ key, value }))] } : {}),
  });
}

/**
 * Domains of nodes that the compiler added are imported too; the list itself where there are none.
 */
function withDomains(imports: OperatorSetIdProto[], graph: Graph): OperatorSetIdProto[] {
  const known = new Set(imports.map(({ domain = '' }) => (domain === 'ai.onnx' ? '' : domain)));
  const added = [...new Set(graph.nodes.map(({ domain }) => domain))].filter((domain) => !known.has(domain));
  return added.length === 0 ? imports : [...imports, ...added.map(importOf)];
}

/** Of domains that are not ours nothing but the first version is known. */
function importOf(domain: string): OperatorSetIdProto {
  return { domain, version: domain === SPARSE_DOMAIN ? SPARSE_VERSION : 1 };
}

function graphProto(
  graph: Graph,
  source: GraphProto,
  shapes: Shapes | undefined,
  { mayKeep, write }: Place,
  { fixesInitializers }: { readonly fixesInitializers: boolean },
): GraphProto {
  const known = new Set<string>();
  const initializer: TensorProto[] = [];
  const add = (value: Value) => {
    const tensor = value.initializer;
    if (tensor === undefined) return;
    known.add(value.name);
    const original =
      value.initializerSource?.tensor === tensor ? (value.initializerSource.source as TensorProto) : undefined;
    const unchanged = original !== undefined && mayKeep(original) ? original : undefined;
    initializer.push(unchanged ?? describedAs(original, write(value.name, tensor)));
  };
  const sparseInitializer = (source.sparseInitializer ?? []).flatMap((proto) => {
    const value = graph.values.get(proto.values?.name ?? '');
    const kept = value?.isOpaqueConstant === true ? proto : value && sparseProto(value);
    if (kept !== undefined && value !== undefined) known.add(value.name);
    return kept ?? [];
  });
  for (const proto of source.initializer ?? []) {
    const value = graph.values.get(proto.name ?? '');
    if (value?.isOpaqueConstant === true) initializer.push(proto);
    else if (value !== undefined) add(value);
  }
  for (const value of graph.initializers()) if (!known.has(value.name)) add(value);

  const inputProtos = new Map((source.input ?? []).map((proto) => [proto.name, proto]));
  const inputs = graph.inputs.filter((value) => !fixesInitializers || value.initializer === undefined);
  return withFields(source, {
    node: graph.nodes.map(nodeProto),
    initializer,
    ...(source.sparseInitializer !== undefined && { sparseInitializer }),
    input: inputs.map((value) => inputProto(inputProtos.get(value.name) ?? { name: value.name }, value)),
    valueInfo: [
      ...(source.valueInfo ?? []).flatMap((proto) => valueInfo(proto, graph, shapes)),
      ...declaredTypes(graph, new Set((source.valueInfo ?? []).map(({ name }) => name))),
    ],
  });
}

/** Types of values that the compiler added, but for those that are written down already. */
function declaredTypes(graph: Graph, written: ReadonlySet<string | undefined>): ValueInfoProto[] {
  return [...graph.values.values()].flatMap(({ name, declared }) =>
    declared === undefined || written.has(name) ? [] : [typeOf(name, declared.dataType, declared.dims)],
  );
}

/** Extents that the model has no names for are left open. */
export function typeOf(name: string, elemType: number | undefined, dims: readonly Dim[]): ValueInfoProto {
  const dim = dims.map((extent) => {
    if (typeof extent === 'number') return { dimValue: extent };
    return extent.startsWith(COMPUTED_EXTENT) ? {} : { dimParam: extent };
  });
  return { name, type: { tensorType: { ...(elemType !== undefined && { elemType }), shape: { dim } } } };
}

/** Fields of TensorProto that hold numbers; unpacked ones come as unknown fields. */
const NUMBER_FIELDS = [4, 5, 7, 10, 11];

/** What was said of the tensor besides its data comes along. */
function describedAs(original: TensorProto | undefined, tensor: TensorProto): TensorProto {
  const { docString, metadataProps, $unknowns } = original ?? {};
  if (docString !== undefined) tensor.docString = docString;
  if (metadataProps !== undefined) tensor.metadataProps = metadataProps;
  const value = $unknowns?.filter((raw) => !NUMBER_FIELDS.includes((raw[0] ?? 0) >> 3));
  if (value !== undefined) Object.defineProperty(tensor, '$unknowns', { value, enumerable: false });
  return tensor;
}

/** A graph input that is also an initializer follows the initializer's shape. */
function inputProto(proto: ValueInfoProto, value: Value): ValueInfoProto {
  return value.initializer === undefined ? proto : withDims(proto, value.initializer.dims);
}

function valueInfo(proto: ValueInfoProto, graph: Graph, shapes: Shapes | undefined): ValueInfoProto[] {
  const value = graph.values.get(proto.name ?? '');
  if (value === undefined) return [];
  const dims = value.initializer?.dims ?? shapes?.get(value.name);
  if (dims === undefined) return shapes === undefined ? [proto] : [];
  // A value that was reshaped has other axes than those that are written down.
  const rank = proto.type?.tensorType?.shape?.dim?.length;
  return rank === undefined || rank === dims.length ? [withDims(proto, dims)] : [];
}

/** Numbers that are written down become those of now; what is not known now is left open. */
function withDims(proto: ValueInfoProto, dims: readonly Dim[]): ValueInfoProto {
  const tensorType = proto.type?.tensorType;
  const before = tensorType?.shape?.dim;
  if (proto.type === undefined || tensorType === undefined || before === undefined || before.length !== dims.length)
    return proto;
  const isStale = ({ dimValue }: DimensionProto, axis: number) =>
    dimValue !== undefined && Number(dimValue) !== dims[axis];
  if (!before.some(isStale)) return proto;
  const dim = before.map((entry, axis): DimensionProto => {
    const now = dims[axis];
    if (!isStale(entry, axis)) return entry;
    const changed = withFields(entry, typeof now === 'number' ? { dimValue: now } : {});
    if (typeof now !== 'number') delete changed.dimValue;
    return changed;
  });
  const shape = withFields(tensorType.shape ?? {}, { dim });
  return withFields(proto, { type: withFields(proto.type, { tensorType: withFields(tensorType, { shape }) }) });
}

export function nodeProto(node: Node): NodeProto {
  const names = (values: readonly (Value | undefined)[]) => values.map((value) => value?.name ?? '');
  return withFields((node.source ?? { name: node.name, opType: node.opType, domain: node.domain }) as NodeProto, {
    input: names(node.inputs),
    output: names(node.outputs),
    attribute: [...node.attributes].map(([name, attribute]) => attributeProto(name, attribute)),
    ...originProps(node),
  });
}

/** What the compiler made a node for is read again from its metadata, not from its name. */
function originProps(node: Node): Pick<NodeProto, 'metadataProps'> {
  const kind = storedKindOf(node);
  return kind === undefined || node.source !== undefined ? {} : { metadataProps: [{ key: ORIGIN_KEY, value: kind }] };
}

function attributeProto(name: string, attribute: Attribute): AttributeProto {
  if (attribute.source !== undefined) return attribute.source;
  switch (attribute.kind) {
    case 'int':
      return { name, type: AttributeType.INT, i: attribute.value };
    case 'ints':
      return { name, type: AttributeType.INTS, ints: [...attribute.value] };
    case 'float':
      return { name, type: AttributeType.FLOAT, f: attribute.value };
    case 'floats':
      return { name, type: AttributeType.FLOATS, floats: [...attribute.value] };
    case 'string':
      return { name, type: AttributeType.STRING, s: Buffer.from(attribute.value) };
    case 'strings':
      return { name, type: AttributeType.STRINGS, strings: attribute.value.map((text) => Buffer.from(text)) };
    case 'tensor':
      return { name, type: AttributeType.TENSOR, t: writeTensor('', attribute.value) };
    case 'other':
      throw new Error(`attribute ${name} was not read from a file and cannot be written`);
  }
}

/** A copy of the message with some fields replaced; unknown fields come along. */
function withFields<Message extends object>(message: Message, fields: Partial<Message>): Message {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(message) as object) as Message, message, fields);
  const unknowns = (message as { $unknowns?: Uint8Array[] }).$unknowns;
  if (unknowns !== undefined) Object.defineProperty(copy, '$unknowns', { value: unknowns, enumerable: false });
  return copy;
}
