/**
 * A graph as text, for tests that show what a pass makes of it: one line a node, in the order of
 * the graph.
 *
 *     inputs: x [1,4,8,8]
 *     y [1,4,8,8] = Conv(x, w [4,4,3,3], b [4] {1 0 0.5 2}) pads=1,1,1,1
 *     outputs: y
 *
 * A constant has its dims, its type where that is not float32, and its numbers where there are few.
 * Attributes that have their default value, and kernel_shape where a weight tells it, are left out.
 */
import { expect } from 'vitest';
import { inferShapes } from '../../src/graph-info/shapes.js';
import { type Attribute, type Dim, type Graph, type Node, SPARSE_DOMAIN, type Value } from '../../src/ir/graph.js';
import { dataTypeName, FLOAT, type Tensor } from '../../src/ir/tensor.js';
import { type Model, readModel } from '../../src/onnx/read.js';

/** Constants of up to so many numbers are written out. */
const FEW = 8;

type DimsByName = ReadonlyMap<string, readonly Dim[]>;

export async function show(bytes: Uint8Array): Promise<string> {
  const model = readModel(bytes);
  const { graph } = model;
  const dims = await dimsOf(model);
  const inputs = graph.inputs.filter(({ initializer }) => initializer === undefined);
  return [
    `inputs: ${inputs.map((value) => withDims(value, dims)).join(', ')}`,
    ...graph.nodes.map((node) => line(node, dims)),
    `outputs: ${graph.outputs.map(({ name }) => name).join(', ')}`,
    ...unread(graph),
  ].join('\n');
}

/** Before and after; a graph that stayed as it was is shown once. */
export async function showBoth(before: Uint8Array, after: Uint8Array): Promise<string> {
  const [from, to] = [await show(before), await show(after)];
  return `${from}\n=> ${from === to ? 'unchanged' : `\n${to}`}`.replaceAll(/ $/gm, '');
}

/**
 * As ONNX Runtime infers them; with native operators, which not every machine can run, as the file
 * declares them.
 */
async function dimsOf({ graph, proto }: Model): Promise<DimsByName> {
  if (graph.nodes.every(({ domain }) => domain !== SPARSE_DOMAIN)) return (await inferShapes(graph, proto)).byName;
  const { input = [], output = [], valueInfo = [] } = proto.graph ?? {};
  return new Map(
    [...input, ...output, ...valueInfo].flatMap(({ name, type }) => {
      const dims = type?.tensorType?.shape?.dim;
      return dims
        ? [[name ?? '', dims.map(({ dimValue, dimParam }) => dimParam ?? Number(dimValue ?? 0))] as const]
        : [];
    }),
  );
}

function line(node: Node, dims: DimsByName): string {
  const outputs = node.outputs.map((value) => (value === undefined ? '-' : withDims(value, dims)));
  const inputs = node.inputs.map((value) => {
    if (value === undefined) return '-';
    return value.initializer === undefined ? value.name : `${value.name} ${contents(value.initializer)}`;
  });
  const attributes = [...node.attributes].flatMap(([name, attribute]) => attributeText(name, attribute, node) ?? []);
  const captures = node.captures.length > 0 ? [`reads ${node.captures.map(({ name }) => name).join(', ')}`] : [];
  return [`${outputs.join(', ')} = ${node.qualifiedOp}(${inputs.join(', ')})`, ...attributes, ...captures].join(' ');
}

/** Initializers that no node reads. */
function unread(graph: Graph): string[] {
  const values = [...graph.initializers()].filter(({ uses, isSeenOutside }) => uses.length === 0 && !isSeenOutside);
  return values.map(({ name, initializer }) => `unread: ${name} ${contents(initializer)}`);
}

function withDims({ name }: Value, dims: DimsByName): string {
  const known = dims.get(name);
  return known === undefined ? name : `${name} [${known.map((dim) => (dim === '' ? '?' : dim)).join(',')}]`;
}

function contents(tensor: Tensor): string {
  const type = tensor.dataType === FLOAT ? '' : `${dataTypeName(tensor.dataType)} `;
  const numbers = tensor.size > FEW ? '' : ` {${Array.from(tensor.numbers(), short).join(' ')}}`;
  return `${type}[${tensor.dims.join(',')}]${numbers}`;
}

/** With three digits: enough to tell numbers apart, too few for rounding to show. */
const short = (value: number | bigint): string => String(Number(Number(value).toPrecision(3)));

const DEFAULTS: Readonly<Record<string, number | string>> = {
  allowzero: 0,
  alpha: 1,
  auto_pad: 'NOTSET',
  beta: 1,
  ceil_mode: 0,
  count_include_pad: 0,
  dilations: 1,
  epsilon: 1e-5,
  group: 1,
  momentum: 0.9,
  pads: 0,
  storage_order: 0,
  strides: 1,
  training_mode: 0,
};

function attributeText(name: string, attribute: Attribute, { inputs }: Node): string | undefined {
  if (name === 'kernel_shape' && inputs[1]?.initializer !== undefined) return undefined;
  if (attribute.kind === 'other') return `${name}=…`;
  if (attribute.kind === 'tensor') return `${name}=${contents(attribute.value)}`;
  const values = [attribute.value].flat().map((value) => (typeof value === 'number' ? Number(short(value)) : value));
  const isDefault = Object.hasOwn(DEFAULTS, name) && values.every((value) => value === DEFAULTS[name]);
  return isDefault ? undefined : `${name}=${values.join(',')}`;
}

// Without quotes: lines then begin at the same column.
expect.addSnapshotSerializer({
  test: (value) => typeof value === 'string' && value.startsWith('inputs: '),
  serialize: String,
});
