/** Which layers could be sparse operators, with what is computed right behind them: normalisation, residual sum, activation. */
import type { Knowledge } from '../../src/analysis/site.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { FLOAT, product, type Tensor } from '../../src/ir/tensor.js';
import { isStatic } from '../../src/ops/relation.js';

export interface Activation {
  readonly name: string;
  readonly alpha?: number;
  readonly beta?: number;
}

export interface SparseLayer {
  readonly kind: 'conv' | 'matmul';
  /** The layer itself, and the nodes behind it that become part of the operator, in order. */
  readonly nodes: readonly [Node, ...Node[]];
  readonly x: Value;
  /** With a normalisation multiplied in. */
  readonly weights: Float32Array;
  readonly dims: readonly number[];
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
export function findLayers(knowledge: Knowledge): SparseLayer[] {
  const taken = new Set<Node>();
  const layers: SparseLayer[] = [];
  for (const node of knowledge.graph.nodes.toReversed()) {
    const layer = taken.has(node) ? undefined : layerAt(node, knowledge, taken);
    if (layer === undefined) continue;
    for (const part of layer.nodes) taken.add(part);
    layers.push(layer);
  }
  return layers.toReversed();
}

function layerAt(node: Node, knowledge: Knowledge, taken: ReadonlySet<Node>): SparseLayer | undefined {
  const kind = node.domain !== '' ? undefined : KINDS.get(node.opType);
  const [x, weight] = node.inputs;
  const [output] = node.outputs;
  const weights = knowledge.constants.tensor(weight);
  if (kind === undefined || x === undefined || weights === undefined || output === undefined) return undefined;
  if (weights.dataType !== FLOAT || !isFit(node, weights) || knowledge.constants.has(x) || output.isSeenOutside)
    return undefined;
  const bias = knowledge.constants.tensor(node.inputs[2]);
  if (node.inputs[2] !== undefined && bias?.dataType !== FLOAT) return undefined;
  const tail = new Tail(node, weights, bias, knowledge, taken);
  tail.follow();
  const zeros = tail.weights.reduce((count, value) => count + (value === 0 ? 1 : 0), 0) / Math.max(1, weights.size);
  return {
    kind,
    nodes: tail.nodes,
    x,
    weights: tail.weights,
    dims: weights.dims,
    bias: tail.bias,
    residual: tail.residual,
    activation: tail.activation,
    output: tail.output,
    zeros,
  };
}

const KINDS: ReadonlyMap<string, SparseLayer['kind']> = new Map([
  ['Conv', 'conv'],
  ['Gemm', 'matmul'],
  ['MatMul', 'matmul'],
]);

/** Rows of a matrix product below which reading the weights is all that counts, and dense weights are read faster. */
const LEAST_ROWS = 8;

function isFit(node: Node, weights: Tensor): boolean {
  if (node.opType === 'Conv')
    return (
      weights.dims.length === 4 &&
      node.int('group', 1) === 1 &&
      node.string('auto_pad', 'NOTSET') === 'NOTSET' &&
      weights.size > 0
    );
  const isPlain = node.int('transA', 0) === 0 && node.float('alpha', 1) === 1 && node.float('beta', 1) === 1;
  return isPlain && weights.dims.length === 2 && weights.size > 0;
}

/** Whether a matrix product has rows enough; unknown counts of rows are taken to be many (sequences). */
export function hasRows({ nodes: [node] }: SparseLayer, { shapes }: Knowledge): boolean {
  const dims = shapes.of(node.outputs[0])?.slice(0, -1);
  if (dims === undefined || !isStatic(dims)) return true;
  return product(dims) >= LEAST_ROWS;
}

/** Walks from a layer over what can become part of it: each node the only reader of what comes before. */
class Tail {
  readonly nodes: [Node, ...Node[]];
  weights: Float32Array;
  bias: Float32Array | undefined;
  residual: Value | undefined;
  activation: Activation = { name: 'None' };
  output: Value;
  readonly #knowledge: Knowledge;
  readonly #taken: ReadonlySet<Node>;
  readonly #outAxis: number;
  readonly #dims: readonly number[];

  constructor(node: Node, weights: Tensor, bias: Tensor | undefined, knowledge: Knowledge, taken: ReadonlySet<Node>) {
    const [output] = node.outputs;
    if (output === undefined) throw new Error(`${node.label} has no output`);
    this.nodes = [node];
    this.output = output;
    this.weights = Float32Array.from(weights.numbers());
    this.bias = bias === undefined ? undefined : Float32Array.from(bias.numbers());
    this.#dims = weights.dims;
    this.#outAxis = node.opType === 'Conv' || node.int('transB', 0) === 1 ? 0 : 1;
    this.#knowledge = knowledge;
    this.#taken = taken;
  }

  follow(): void {
    if (!this.#normalise()) this.#addBias();
    this.#addResidual();
    this.#activate();
  }

  #next(): Node | undefined {
    const use = this.output.hasSoleReader ? this.output.uses[0] : undefined;
    if (use === undefined || use.node.domain !== '' || this.#taken.has(use.node)) return undefined;
    return use.node.outputs[0]?.isSeenOutside === true ? undefined : use.node;
  }

  #take(node: Node): void {
    const [output] = node.outputs;
    if (output === undefined) throw new Error(`${node.label} has no output`);
    this.nodes.push(node);
    this.output = output;
  }

  get #filters(): number {
    return this.#dims[this.#outAxis] ?? 0;
  }

  /** y = scale * (conv - mean) / sqrt(variance + epsilon) + shift, in double, rounded once per weight. */
  #normalise(): boolean {
    const node = this.#next();
    const isBehindConv = node?.opType === 'BatchNormalization' && this.nodes[0].opType === 'Conv';
    if (!isBehindConv || node.inputs[0] !== this.output) return false;
    const [scale, shift, mean, variance] = node.inputs
      .slice(1)
      .map((value) => this.#knowledge.constants.tensor(value)?.numbers());
    if (scale === undefined || shift === undefined || mean === undefined || variance === undefined) return false;
    const epsilon = node.float('epsilon', 1e-5);
    const factor = Float64Array.from(scale, (value, at) => value / Math.sqrt((variance[at] ?? 0) + epsilon));
    const perFilter = this.weights.length / Math.max(1, this.#filters);
    this.weights = this.weights.map((value, at) => value * (factor[Math.floor(at / perFilter)] ?? 0));
    const before = this.bias;
    this.bias = Float32Array.from(
      factor,
      (value, at) => ((before?.[at] ?? 0) - (mean[at] ?? 0)) * value + (shift[at] ?? 0),
    );
    this.#take(node);
    return true;
  }

  /** A bias that is a node of its own, behind MatMul. */
  #addBias(): void {
    const node = this.#next();
    if (node?.opType !== 'Add' || this.nodes[0].opType === 'Conv' || this.bias !== undefined) return;
    const bias = this.#knowledge.constants.tensor(node.inputs.find((value) => value !== this.output));
    if (bias?.dataType !== FLOAT || bias.dims.at(-1) !== this.#filters || bias.size !== this.#filters) return;
    this.bias = Float32Array.from(bias.numbers());
    this.#take(node);
  }

  #addResidual(): void {
    const node = this.#next();
    const [a, b] = node?.inputs ?? [];
    if (node?.opType !== 'Add' || a === undefined || b === undefined || a === b) return;
    const other = a === this.output ? b : a;
    const { shapes, constants } = this.#knowledge;
    const [own, theirs] = [shapes.of(this.output), shapes.of(other)];
    // Broadcasting is not the operator's business; symbolic extents are equal where they have one name.
    const isSame =
      own?.length === theirs?.length && own?.every((dim, axis) => dim === theirs?.[axis] && dim !== '') === true;
    if (!isSame || constants.has(other)) return;
    this.residual = other;
    this.#take(node);
  }

  #activate(): void {
    const node = this.#next();
    const activation = node === undefined ? undefined : this.#activationOf(node);
    if (node === undefined || activation === undefined) return;
    this.activation = activation;
    this.#take(node);
  }

  #activationOf(node: Node): Activation | undefined {
    const bound = (index: number) => this.#knowledge.constants.tensor(node.inputs[index])?.numbers()[0];
    switch (node.opType) {
      case 'Relu':
        return { name: 'Relu' };
      case 'LeakyRelu':
        return { name: 'LeakyRelu', alpha: node.float('alpha', 0.01) };
      case 'Sigmoid':
      case 'Tanh':
        return { name: node.opType };
      case 'Clip': {
        const isAttributes = this.#knowledge.graph.opset < 11;
        const low = isAttributes ? node.float('min', Number.NEGATIVE_INFINITY) : bound(1);
        const high = isAttributes ? node.float('max', Number.POSITIVE_INFINITY) : bound(2);
        return low === undefined || high === undefined ? undefined : { name: 'Clip', alpha: low, beta: high };
      }
      default:
        return undefined;
    }
  }
}
