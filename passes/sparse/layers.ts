/** Which layers could be sparse operators, with what is computed right behind them: normalisation, residual sum, activation. */
import { ExtentKeys } from '../../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { FLOAT, product, type Tensor } from '../../src/ir/tensor.js';
import { isStatic } from '../../src/ops/axes.js';
import { type Activation, activationBehind } from './activations.js';
import { padsOf } from './padding.js';

export interface SparseLayer {
  readonly kind: 'conv' | 'matmul';
  /** The layer itself, and the nodes behind it that become part of the operator, in order. */
  readonly nodes: readonly [Node, ...Node[]];
  readonly x: Value;
  /** With a normalisation multiplied in. */
  readonly weights: Float32Array;
  readonly groups: number;
  readonly dims: readonly number[];
  /** Of a convolution: top, left, bottom, right. */
  readonly pads: readonly number[];
  readonly bias: Float32Array | undefined;
  /** The other operand of the sum behind the layer. */
  readonly residual: Value | undefined;
  readonly activation: Activation;
  /** What the last of the nodes computes. */
  readonly output: Value;
  /** Share of zeros in the weights. */
  readonly zeros: number;
}

/** Candidates, in the order of the graph. Later layers take a sum of two layers: the other operand is there before. */
export function findLayers(graphInfo: GraphInfo): SparseLayer[] {
  const taken = new Set<Node>();
  const layers: SparseLayer[] = [];
  for (const node of graphInfo.graph.nodes.toReversed()) {
    const layer = taken.has(node) ? undefined : layerAt(node, graphInfo, taken);
    if (layer === undefined) continue;
    for (const part of layer.nodes) taken.add(part);
    layers.push(layer);
  }
  return layers.toReversed();
}

function layerAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): SparseLayer | undefined {
  const kind = node.domain !== '' ? undefined : KINDS.get(node.opType);
  const [x, weight] = node.inputs;
  const [output] = node.outputs;
  const weights = graphInfo.constants.tensor(weight);
  if (kind === undefined || x === undefined || weights === undefined || output === undefined) return undefined;
  if (weights.dataType !== FLOAT || !isFit(node, weights) || graphInfo.constants.has(x)) return undefined;
  const pads = kind === 'conv' ? padsOf(node, weights.dims.slice(2), graphInfo.shapes.of(x)) : [];
  if (pads === undefined) return undefined;
  const bias = graphInfo.constants.tensor(node.inputs[2]);
  const filters = weights.dims[kind === 'conv' || node.int('transB', 0) === 1 ? 0 : 1] ?? 0;
  if (node.inputs[2] !== undefined && (bias === undefined || !isPerFilter(bias, filters, 2))) return undefined;
  const operands = {
    weights: Float32Array.from(weights.numbers()),
    bias: bias === undefined ? undefined : Float32Array.from(bias.numbers()),
    dims: weights.dims,
  };
  return { kind, x, groups: node.int('group', 1), pads, ...new Tail(node, operands, graphInfo, taken).follow() };
}

/** A normalisation that stands alone is a convolution of each channel with one weight. */
export function normalisationAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): SparseLayer | undefined {
  const [x] = node.inputs;
  const affine = node.opType === 'BatchNormalization' ? affineOf(node, graphInfo) : undefined;
  if (affine === undefined || x === undefined) return undefined;
  if (!isImage(x, graphInfo)) return undefined;
  const [weights, bias] = [Float32Array.from(affine.factor), Float32Array.from(affine.offset)];
  if (!areFinite(weights) || !areFinite(bias)) return undefined;
  const groups = weights.length;
  const tail = new Tail(node, { weights, bias, dims: [groups, 1, 1, 1] }, graphInfo, taken);
  return { kind: 'conv', x, groups, pads: [0, 0, 0, 0], ...tail.follow() };
}

/** Computed, float32, with the four axes N, C, H, W. */
export function isImage(value: Value, { shapes, constants }: GraphInfo): boolean {
  return shapes.of(value)?.length === 4 && shapes.dataTypeOf(value) === FLOAT && !constants.has(value);
}

/** Every channel has a kernel of its own. */
export function isDepthwise({ kind, groups, dims }: SparseLayer): boolean {
  return kind === 'conv' && groups === dims[0] && dims[1] === 1;
}

const KINDS: ReadonlyMap<string, SparseLayer['kind']> = new Map([
  ['Conv', 'conv'],
  ['Gemm', 'matmul'],
  ['MatMul', 'matmul'],
]);

/** Rows of a matrix product below which reading the weights is all that counts, and dense weights are read faster. */
const LEAST_ROWS = 8;

/** One value per filter, along the last axis; a Gemm may also be given one number for all, or one per row. */
function isPerFilter(bias: Tensor, filters: number, mostAxes: number): boolean {
  const { dataType, dims, size } = bias;
  return dataType === FLOAT && size === filters && dims.at(-1) === filters && dims.length <= mostAxes;
}

function isFit(node: Node, weights: Tensor): boolean {
  if (node.opType === 'Conv') return weights.dims.length === 4 && weights.size > 0;
  const isPlain = node.int('transA', 0) === 0 && node.float('alpha', 1) === 1 && node.float('beta', 1) === 1;
  return isPlain && weights.dims.length === 2 && weights.size > 0;
}

/** Whether a product has rows enough (a convolution: pixels); unknown counts are taken to be many (sequences). */
export function hasRows({ kind, nodes: [node] }: SparseLayer, { shapes }: GraphInfo): boolean {
  const all = shapes.of(node.outputs[0]);
  const dims = kind === 'conv' ? all?.slice(2) : all?.slice(0, -1);
  if (dims === undefined || !isStatic(dims)) return true;
  return product(dims) >= LEAST_ROWS;
}

interface Affine {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** y = scale * (x - mean) / sqrt(variance + epsilon) + shift = factor * x + offset, in double. */
function affineOf(node: Node, { constants }: GraphInfo): Affine | undefined {
  if (node.domain !== '' || node.int('training_mode', 0) !== 0 || node.int('spatial', 1) !== 1) return undefined;
  const tensors = [1, 2, 3, 4].map((index) => constants.tensor(node.inputs[index]));
  if (tensors.some((tensor) => tensor?.dataType !== FLOAT)) return undefined;
  const [scale, shift, mean, variance] = tensors.map((tensor) => tensor?.numbers());
  if (scale === undefined || shift === undefined || mean === undefined || variance === undefined) return undefined;
  const epsilon = node.float('epsilon', 1e-5);
  const factor = Float64Array.from(scale, (value, at) => value / Math.sqrt((variance[at] ?? 0) + epsilon));
  return { factor, offset: factor.map((value, at) => (shift[at] ?? 0) - (mean[at] ?? 0) * value) };
}

function areFinite(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(value));
}

interface Operands {
  readonly weights: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly dims: readonly number[];
}

/** What a walk found. */
type Followed = Pick<
  SparseLayer,
  'nodes' | 'weights' | 'dims' | 'bias' | 'residual' | 'activation' | 'output' | 'zeros'
>;

/** Walks from a layer over what can become part of it: each node all that sees what comes before. The last result may be seen by anybody. */
class Tail {
  readonly #nodes: [Node, ...Node[]];
  #weights: Float32Array;
  #bias: Float32Array | undefined;
  #residual: Value | undefined;
  #activation: Activation = { name: 'None' };
  #output: Value;
  readonly #graphInfo: GraphInfo;
  readonly #taken: ReadonlySet<Node>;
  readonly #outAxis: number;
  readonly #dims: readonly number[];

  constructor(node: Node, { weights, bias, dims }: Operands, graphInfo: GraphInfo, taken: ReadonlySet<Node>) {
    const [output] = node.outputs;
    if (output === undefined) throw new Error(`${node.label} has no output`);
    this.#nodes = [node];
    this.#output = output;
    this.#weights = weights;
    this.#bias = bias;
    this.#dims = dims;
    this.#outAxis = dims.length === 4 || node.int('transB', 0) === 1 ? 0 : 1;
    this.#graphInfo = graphInfo;
    this.#taken = taken;
  }

  follow(): Followed {
    if (!this.#normalise()) this.#addBias();
    this.#addResidual();
    this.#activate();
    const weights = this.#weights;
    return {
      nodes: this.#nodes,
      weights,
      dims: this.#dims,
      bias: this.#bias,
      residual: this.#residual,
      activation: this.#activation,
      output: this.#output,
      zeros: weights.reduce((count, value) => count + (value === 0 ? 1 : 0), 0) / Math.max(1, weights.length),
    };
  }

  #next(): Node | undefined {
    const use = this.#output.hasSingleUse ? this.#output.uses[0] : undefined;
    return use === undefined || use.node.domain !== '' || this.#taken.has(use.node) ? undefined : use.node;
  }

  #take(node: Node): void {
    const [output] = node.outputs;
    if (output === undefined) throw new Error(`${node.label} has no output`);
    this.#nodes.push(node);
    this.#output = output;
  }

  get #filters(): number {
    return this.#dims[this.#outAxis] ?? 0;
  }

  /** A normalisation behind a convolution, rounded once per weight. */
  #normalise(): boolean {
    const node = this.#next();
    const isBehindConv = node?.opType === 'BatchNormalization' && this.#nodes[0].opType === 'Conv';
    const affine = isBehindConv && node.inputs[0] === this.#output ? affineOf(node, this.#graphInfo) : undefined;
    if (node === undefined || affine === undefined) return false;
    const { factor, offset } = affine;
    const perFilter = this.#weights.length / Math.max(1, this.#filters);
    const weights = this.#weights.map((value, at) => value * (factor[Math.floor(at / perFilter)] ?? 0));
    const before = this.#bias;
    const bias = Float32Array.from(factor, (value, at) => (before?.[at] ?? 0) * value + (offset[at] ?? 0));
    // What overflows in one step need not in two.
    if (!areFinite(weights) || !areFinite(bias)) return false;
    [this.#weights, this.#bias] = [weights, bias];
    this.#take(node);
    return true;
  }

  /** A bias that is a node of its own, behind MatMul. */
  #addBias(): void {
    const node = this.#next();
    if (node?.opType !== 'Add' || this.#dims.length === 4 || this.#bias !== undefined) return;
    const bias = this.#graphInfo.constants.tensor(node.inputs.find((value) => value !== this.#output));
    // More axes than the product has would become axes of the sum.
    const rank = this.#graphInfo.shapes.of(this.#output)?.length ?? 1;
    if (bias === undefined || !isPerFilter(bias, this.#filters, rank)) return;
    this.#bias = Float32Array.from(bias.numbers());
    this.#take(node);
  }

  #addResidual(): void {
    const node = this.#next();
    const [a, b] = node?.inputs ?? [];
    if (node?.opType !== 'Add' || a === undefined || b === undefined || a === b) return;
    const other = a === this.#output ? b : a;
    // Broadcasting is not the operator's business.
    const isSame = new ExtentKeys(this.#graphInfo).sameExtents(this.#output, other);
    if (!isSame || this.#graphInfo.constants.has(other)) return;
    this.#residual = other;
    this.#take(node);
  }

  #activate(): void {
    const found = activationBehind(this.#output, this.#graphInfo);
    if (found === undefined || found.nodes.some((node) => this.#taken.has(node))) return;
    this.#activation = found.activation;
    for (const node of found.nodes) this.#take(node);
  }
}
