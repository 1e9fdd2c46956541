/**
 * Which integer inputs of a model are indices into tables, such as ids of tokens, and which values
 * all of their tables have. An input is followed where its values stay what they are, plus a
 * constant at most; of what is computed otherwise nothing is said.
 */
import { product } from '../ir/tensor.js';
import { ExternalData } from '../onnx/external-data.js';
import {
  type GraphProto,
  type Int64,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  toClampedNumber,
} from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { readTensor } from '../onnx/tensors.js';

/**
 * What an input indexes: rows 0 to rows - 1 of it, by its values plus a shift between `least` and
 * `most`.
 */
export interface Table {
  readonly name: string;
  readonly rows: number;
  readonly least: number;
  readonly most: number;
}

/** Indices of an input are from `low` to `high`, both included. */
export interface IndexRange {
  readonly low: number;
  readonly high: number;
  readonly tables: readonly Table[];
}

/** A value is the input's, or parts of it, plus a shift. */
type Source = Pick<Table, 'least' | 'most'> & { readonly input: string };

/**
 * Operators whose result holds elements of these inputs: of the first, of all, or of those after
 * the first.
 */
const MOVES: ReadonlyMap<string, (inputs: readonly string[]) => readonly string[]> = new Map([
  ...(
    'Identity Cast CastLike Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Slice Split Gather GatherElements GatherND Compress ' +
    'Clip Pad'
  )
    .split(' ')
    .map((name) => [name, (inputs: readonly string[]) => inputs.slice(0, 1)] as const),
  ['Concat', (inputs: readonly string[]) => inputs],
  ['Where', (inputs: readonly string[]) => inputs.slice(1, 3)],
]);

/** Which rows an operator asks for: [what it reads by, the extents that its indices stay below]. */
const LOOKUPS: ReadonlyMap<string, (node: NodeProto, at: Scope) => readonly Lookup[]> = new Map([
  ['Gather', (node, at) => [lookup(node, 0, 1, at, extentAt(axisOf(node)))]],
  ['GatherElements', (node, at) => [lookup(node, 0, 1, at, extentAt(axisOf(node)))]],
  ['ScatterElements', (node, at) => [lookup(node, 0, 1, at, extentAt(axisOf(node)))]],
  ['GatherND', (node, at) => [lookup(node, 0, 1, at, smallestOf(node, at))]],
  ['ScatterND', (node, at) => [lookup(node, 0, 1, at, smallestOf(node, at))]],
  ['OneHot', oneHot],
  [
    'EmbedLayerNormalization',
    (node, at) => [
      lookup(node, 2, 0, at, extentAt(0)),
      lookup(node, 4, 1, at, extentAt(0)),
      lookup(node, 3, 8, at, extentAt(0)),
    ],
  ],
]);

interface Lookup {
  readonly table: string;
  readonly indices: string;
  readonly rows: number | undefined;
}

/**
 * What a value is made of: dims, 0 where they are not known, and the name that the model has for
 * it.
 */
interface Stored {
  readonly name: string;
  readonly dims: readonly number[];
}

interface Scope {
  readonly sources: Map<string, readonly Source[]>;
  readonly stored: Map<string, Stored>;
  readonly constants: Map<string, TensorProto>;
}

/** By name of the input, for those that index a table of known extent. */
export function indexRanges({ graph = {} }: ModelProto): ReadonlyMap<string, IndexRange> {
  const stored = new Set((graph.initializer ?? []).map(({ name }) => name));
  const inputs = (graph.input ?? []).flatMap(({ name = '' }) => (stored.has(name) ? [] : [name]));
  const scope: Scope = {
    sources: new Map(inputs.map((input) => [input, [{ input, least: 0, most: 0 }]])),
    stored: new Map(),
    constants: new Map(),
  };
  const found = new Map<string, Table[]>(inputs.map((input) => [input, []]));
  walk(graph, scope, (source, name, rows) => {
    const { input, least, most } = source;
    found.get(input)?.push({ name, rows, least, most });
  });
  return new Map(
    [...found].flatMap(([input, tables]) => {
      const range = rangeOf(tables);
      return range === undefined ? [] : [[input, range] as const];
    }),
  );
}

function rangeOf(tables: readonly Table[]): IndexRange | undefined {
  if (tables.length === 0) return undefined;
  const low = Math.max(...tables.map(({ least }) => -least));
  const high = Math.min(...tables.map(({ rows, most }) => rows - 1 - most));
  return high < low ? undefined : { low, high, tables };
}

function walk(graph: GraphProto, scope: Scope, visit: (source: Source, table: string, rows: number) => void): void {
  declare(graph, scope);
  for (const node of graph.node ?? []) {
    const { input = [], output = [] } = node;
    for (const inner of subgraphsOf(node)) walk(inner, scope, visit);
    for (const { indices, table, rows } of lookupsOf(node, scope))
      if (rows !== undefined && rows > 0)
        for (const source of scope.sources.get(indices) ?? []) visit(source, table, rows);
    const moved = MOVES.get(node.opType ?? '')?.(input).flatMap((name) => scope.sources.get(name) ?? []);
    const sources = moved ?? shifted(node, scope);
    if (sources.length > 0) for (const name of output) scope.sources.set(name, sources);
    const stored = storedBy(node, scope);
    if (stored !== undefined && output[0] !== undefined) scope.stored.set(output[0], stored);
  }
}

const KNOWN_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx', 'com.microsoft']);

function lookupsOf(node: NodeProto, scope: Scope): readonly Lookup[] {
  const { domain = '', opType = '' } = node;
  return KNOWN_DOMAINS.has(domain) ? (LOOKUPS.get(opType)?.(node, scope) ?? []) : [];
}

/** What the graph says of its own values; what it stores decides. */
function declare(graph: GraphProto, { stored, constants }: Scope): void {
  const { input = [], valueInfo = [], initializer = [], sparseInitializer = [] } = graph;
  for (const { name = '', type } of [...input, ...valueInfo]) {
    const dims = type?.tensorType?.shape?.dim?.map(({ dimValue }) => toClampedNumber(dimValue ?? 0));
    if (dims !== undefined) stored.set(name, { name, dims });
  }
  for (const tensor of initializer) {
    const { name = '', dims } = tensor;
    stored.set(name, { name, dims: numbersOf(dims) });
    constants.set(name, tensor);
  }
  for (const { dims, values: { name = '' } = {} } of sparseInitializer)
    stored.set(name, { name, dims: numbersOf(dims) });
}

function numbersOf(dims: readonly Int64[] = []): number[] {
  return dims.map((dim) => toClampedNumber(dim));
}

/** Arithmetic on weights that keeps their axes: masks multiplied in, types, scales. */
const ELEMENTWISE: ReadonlySet<string> = new Set(
  'Identity Cast CastLike Mul Add Sub Div Where QuantizeLinear DequantizeLinear'.split(' '),
);

const WIDENING: ReadonlySet<string> = new Set(['Unsqueeze']);

/**
 * Of what is computed from constants; undefined where nothing more is known than the graph says.
 */
function storedBy(node: NodeProto, { stored, constants }: Scope): Stored | undefined {
  const { opType = '', input = [], output: [name = ''] = [], attribute = [] } = node;
  if (opType === 'Constant') {
    const { t, sparseTensor } = attribute.find((entry) => entry.t ?? entry.sparseTensor) ?? {};
    if (t !== undefined) constants.set(name, t);
    const dims = (t ?? sparseTensor)?.dims;
    return dims && { name, dims: numbersOf(dims) };
  }
  if (WIDENING.has(opType)) return unsqueezed(node, stored, constants);
  const given = input.filter((entry) => entry !== '');
  const known = given.flatMap((entry) => stored.get(entry) ?? []);
  if (!ELEMENTWISE.has(opType) || known.length < given.length) return undefined;
  return known.reduce<Stored | undefined>(
    (widest, other) => (widest === undefined || product(other.dims) > product(widest.dims) ? other : widest),
    undefined,
  );
}

/** An extent of 1 at each of the axes. */
function unsqueezed(
  { input: [from = '', axesFrom = ''] = [], output: [name = ''] = [], attribute = [] }: NodeProto,
  stored: Scope['stored'],
  constants: Scope['constants'],
): Stored | undefined {
  const dims = stored.get(from)?.dims;
  const ints = attribute.find((entry) => entry.name === 'axes')?.ints;
  const axes = ints === undefined ? numbersIn(constants.get(axesFrom)) : numbersOf(ints);
  if (dims === undefined || axes === undefined) return undefined;
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  const rest = [...dims];
  return { name, dims: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? 0))) };
}

/** Plus or minus constants: offsets of features, or special tokens. */
function shifted(
  { opType = '', input: [a = '', b = ''] = [] }: NodeProto,
  { sources, constants }: Scope,
): readonly Source[] {
  const shift = SHIFTS.get(opType);
  if (shift === undefined) return [];
  const [moved, constant] = shift.isEitherWay && constants.has(a) ? [b, a] : [a, b];
  const from = sources.get(moved);
  const numbers = from && numbersIn(constants.get(constant));
  if (from === undefined || numbers === undefined || numbers.length === 0) return [];
  const shifts = numbers.map((number) => shift.sign * number);
  const [least, most] = [Math.min(...shifts), Math.max(...shifts)];
  return from.map((source) => ({ ...source, least: source.least + least, most: source.most + most }));
}

const SHIFTS: ReadonlyMap<string, { readonly sign: number; readonly isEitherWay: boolean }> = new Map([
  ['Add', { sign: 1, isEitherWay: true }],
  ['Sub', { sign: -1, isEitherWay: false }],
]);

const MOST_SHIFTS = 1024;

function numbersIn(proto: TensorProto | undefined): number[] | undefined {
  if (proto === undefined || product(numbersOf(proto.dims)) > MOST_SHIFTS) return undefined;
  try {
    const numbers = [...(readTensor(proto, new ExternalData(undefined))?.numbers() ?? [])];
    return numbers.every(Number.isSafeInteger) ? numbers : undefined;
  } catch {
    return undefined;
  }
}

function lookup(
  { input = [] }: NodeProto,
  table: number,
  indices: number,
  { stored }: Scope,
  rowsOf: (dims: readonly number[]) => number | undefined,
): Lookup {
  const known = stored.get(input[table] ?? '');
  return { table: known?.name ?? '', indices: input[indices] ?? '', rows: known && rowsOf(known.dims) };
}

/** Its depth is what it stores for rows. */
function oneHot({ input = [], output = [] }: NodeProto, { constants }: Scope): Lookup[] {
  const [indices = '', depth = ''] = input;
  return [{ table: output[0] ?? '', indices, rows: numbersIn(constants.get(depth))?.[0] }];
}

function axisOf({ attribute = [] }: NodeProto): number {
  return toClampedNumber(attribute.find(({ name }) => name === 'axis')?.i ?? 0);
}

function extentAt(axis: number): (dims: readonly number[]) => number | undefined {
  return (dims) => dims.at(axis);
}

/**
 * An index is a tuple of places, as many as its last extent says: below the smallest extent all are
 * right.
 */
function smallestOf(
  { input = [], attribute = [] }: NodeProto,
  { stored }: Scope,
): (dims: readonly number[]) => number | undefined {
  const batch = toClampedNumber(attribute.find(({ name }) => name === 'batch_dims')?.i ?? 0);
  const places = stored.get(input[1] ?? '')?.dims.at(-1) ?? 0;
  return (dims) => {
    const indexed = dims.slice(batch, places > 0 ? batch + places : dims.length);
    return indexed.length === 0 ? undefined : Math.min(...indexed);
  };
}
