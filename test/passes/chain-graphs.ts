/**
 * Graphs of sparse operators as convert-sparse leaves them, written down by hand, and what
 * chain-sparse makes of them. Nothing is run: numbers are in chain-sparse-results.test.ts.
 */
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { chainSparse } from '../../passes/chain-sparse.js';
import type { PassContext } from '../../passes/pass.js';
import { Editor } from '../../src/ir/editor.js';
import { type Graph, type Node, SPARSE_DOMAIN, type Value } from '../../src/ir/graph.js';
import { encodeModel } from '../../src/onnx/write.js';
import { readModel } from '../../src/onnx/read.js';
import { passContext } from '../../src/pipeline.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { showBoth } from '../support/show-graph.js';

export interface ConvSpec {
  readonly kernel?: number | readonly [number, number];
  readonly residual?: string;
  readonly channels?: number;
  readonly filters?: number;
  readonly size?: readonly number[];
  /** Weights kept. */
  readonly kept?: number;
  readonly hasBias?: boolean;
  /** Further attributes, or others in their place. */
  readonly attributes?: Readonly<Record<string, number | string | readonly number[] | undefined>>;
}

/** A sparse convolution called `name`, as its value is. */
export function sparse(g: GraphBuilder, name: string, x: string, spec: ConvSpec = {}): string {
  const { kernel = 1, residual, channels = 4, filters = 4, size = [48, 48], kept = 9, hasBias, attributes } = spec;
  const shape = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  const pads = shape.map((extent) => (extent - 1) / 2);
  const values = g.initializer(`${name}_values`, [kept], new Float32Array(kept).fill(1));
  const bits = g.initializer(`${name}_bits`, [1], Uint8Array.of(1));
  const bias = hasBias === true ? g.initializer(`${name}_bias`, [filters], new Float32Array(filters).fill(1)) : '';
  const all = {
    channels,
    kernel_shape: shape,
    strides: [1, 1],
    dilations: [1, 1],
    pads: [...pads, ...pads],
    filters,
    group: 1,
    x_layout: 'internal',
    y_layout: 'internal',
    input_size: size,
    activation: 'None',
    ...attributes,
  };
  return g.op('SparseConv', [x, values, bits, bias, ...(residual === undefined ? [] : [residual])], all, {
    name,
    outputs: [name],
    domain: SPARSE_DOMAIN,
  });
}

/** 1x1, 3x3, 1x1 and the sum. */
export function bottleneck(g: GraphBuilder, name: string, x: string, spec: ConvSpec = {}): string {
  const inner = sparse(g, `${name}2`, sparse(g, `${name}1`, x, spec), { ...spec, kernel: 3 });
  return sparse(g, `${name}3`, inner, { ...spec, residual: x });
}

export function blocked(build: (g: GraphBuilder, x: string) => void): Uint8Array {
  const g = graphBuilder();
  build(g, g.op('Enter', [g.input('image', [1, 4, 48, 48])], {}, { name: 'x', outputs: ['x'], domain: SPARSE_DOMAIN }));
  return g.bytes();
}

export function leave(g: GraphBuilder, x: string): void {
  g.output(g.op('Leave', [x], {}, { domain: SPARSE_DOMAIN }));
}

/** The graph after the pass, and the labels of its edits. */
export async function chained(
  bytes: Uint8Array,
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<{ graph: Graph; written: Uint8Array; edits: readonly string[] }> {
  const model = readModel(bytes);
  const editor = new Editor(model.graph, { stopAfter });
  await chainSparse.run({ ...contextOf(), model, editor });
  editor.verify();
  return { graph: model.graph, written: encodeModel(model), edits: editor.history };
}

/** The context of a model of no operators: a sparse one has none. By its table chains always pay. */
export function contextOf(): PassContext {
  const context = passContext(readModel(identity()));
  const table = PAYS_FROM_30_PERCENT;
  return { ...context, sparse: { ...context.sparse, choice: () => ({ table, from: 'given', notes: [] }) } };
}

function identity(): Uint8Array {
  const g = graphBuilder();
  g.output(g.op('Identity', [g.input('x', [1])]));
  return g.bytes();
}

export async function picture(bytes: Uint8Array): Promise<string> {
  return await showBoth(bytes, (await chained(bytes)).written);
}

/** Of every chain its steps, as `name names`; nothing where the graph has none. */
export async function chainsOf(bytes: Uint8Array): Promise<string[][]> {
  const { graph } = await chained(bytes);
  return graph.nodes
    .filter(({ opType }) => opType === 'SparseChain')
    .map((node) => JSON.parse(node.string('names', '[]')) as string[]);
}

/**
 * What each output of the graph is: the number of its formula in `numbers`, where equal formulas
 * have one number. Chains are taken apart. Throws where a node reads what is not computed yet.
 */
export function formulas({ nodes, outputs }: Graph, numbers: Map<string, number>): (number | undefined)[] {
  const known = new Map<Value, number>();
  const read = (value: Value | undefined): string => {
    if (value === undefined || isZeros(value)) return '-';
    const number = known.get(value);
    if (value.producer !== undefined && number === undefined) throw new Error(`${value.name} is not computed yet`);
    return number === undefined ? value.name : `#${number}`;
  };
  const numberOf = (...formula: readonly unknown[]) => {
    const text = JSON.stringify(formula);
    numbers.set(text, numbers.get(text) ?? numbers.size);
    return numbers.get(text) ?? 0;
  };
  for (const node of nodes) {
    const [output] = node.outputs;
    if (output === undefined) continue;
    const [x, ...inputs] = node.inputs.map(read);
    if (node.opType === 'SparseChain') known.set(output, chainNumber(node, x ?? '', inputs, numberOf));
    else if (node.opType !== 'SparseConv') known.set(output, numberOf(node.opType, x, inputs));
    else {
      const pads = node.ints('pads')?.some((pad) => pad !== 0);
      const isStrided = node.ints('strides')?.includes(2);
      const [values, bits, bias, residual = '-'] = inputs;
      known.set(output, numberOf(x, values, bits, bias, residual, pads === true ? 3 : 1, isStrided));
    }
  }
  return outputs.map((output) => known.get(output));
}

/** All tensors here repeat one number. */
function isZeros({ initializer }: Value): boolean {
  return initializer?.numbers()[0] === 0;
}

function chainNumber(
  node: Node,
  x: string,
  inputs: readonly string[],
  numberOf: (...formula: readonly unknown[]) => number,
): number {
  const values = [x];
  const [sources, residuals, kernels] = ['sources', 'residuals', 'kernel_shape'].map((name) => node.ints(name) ?? []);
  let number = 0;
  for (const [step, source] of (sources ?? []).entries()) {
    const residual = residuals?.[step] ?? -1;
    const [kept, bits, bias] = inputs.slice(3 * step, 3 * step + 3);
    const added = residual < 0 ? '-' : values[residual];
    number = numberOf(values[source], kept, bits, bias, added, kernels?.[2 * step], false);
    values.push(`#${number}`);
  }
  return number;
}
