/**
 * Nodes after a layer that become part of its operator: normalisation, bias, residual, activation.
 */
import { ExtentKeys } from '../../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { FLOAT, type Tensor } from '../../src/ir/tensor.js';
import { epsilonOf, NORMALIZATION_INPUTS, normalizationScales } from '../../src/ops/attributes.js';
import { type Activation, activationAfter } from './activations.js';

/** What the layer computes together with the nodes that are fused into it. */
export interface Fused {
  /** The layer itself, then the fused nodes, in order. */
  readonly nodes: readonly [Node, ...Node[]];
  /** With the scale of a normalisation multiplied in. */
  readonly weights: Float32Array;
  readonly dims: readonly number[];
  readonly bias: Float32Array | undefined;
  /** The other operand of the sum after the layer. */
  readonly residual: Value | undefined;
  readonly activation: Activation;
  /** The output of the last node. */
  readonly output: Value;
  /** Share of zeros in the weights. */
  readonly zeros: number;
}

/** Constant operands of a layer. */
interface Operands {
  readonly weights: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly dims: readonly number[];
}

/**
 * Collects the nodes after a layer that can be fused into it. Every intermediate value must have
 * exactly one reader; the final output may have several.
 */
export class Fusion {
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

  fuse(): Fused {
    if (!this.#fuseNormalisation()) this.#fuseBias();
    this.#fuseResidual();
    this.#fuseActivation();
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

  /** The only reader of the output so far. */
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

  /** BatchNormalization after a convolution. The product with each weight is rounded once. */
  #fuseNormalisation(): boolean {
    const node = this.#next();
    const isAfterConv = node?.opType === 'BatchNormalization' && this.#nodes[0].opType === 'Conv';
    const affine = isAfterConv && node.inputs[0] === this.#output ? scaleAndShift(node, this.#graphInfo) : undefined;
    if (node === undefined || affine === undefined) return false;
    const { scale, shift } = affine;
    const perFilter = this.#weights.length / Math.max(1, this.#filters);
    const weights = this.#weights.map((value, at) => value * (scale[Math.floor(at / perFilter)] ?? 0));
    const before = this.#bias;
    const bias = Float32Array.from(scale, (value, at) => (before?.[at] ?? 0) * value + (shift[at] ?? 0));
    // A product that overflows may be finite in two steps.
    if (!areFinite(weights) || !areFinite(bias)) return false;
    [this.#weights, this.#bias] = [weights, bias];
    this.#take(node);
    return true;
  }

  /** An Add of a bias after MatMul. */
  #fuseBias(): void {
    const node = this.#next();
    if (node?.opType !== 'Add' || this.#dims.length === 4 || this.#bias !== undefined) return;
    const bias = this.#graphInfo.constants.tensor(node.inputs.find((value) => value !== this.#output));
    // More axes than the product has would become axes of the sum.
    const rank = this.#graphInfo.shapes.of(this.#output)?.length ?? 1;
    if (bias === undefined || !isPerFilter(bias, this.#filters, rank)) return;
    this.#bias = Float32Array.from(bias.numbers());
    this.#take(node);
  }

  #fuseResidual(): void {
    const node = this.#next();
    const [a, b] = node?.inputs ?? [];
    if (node?.opType !== 'Add' || a === undefined || b === undefined || a === b) return;
    const other = a === this.#output ? b : a;
    // The native operators do not broadcast.
    const isSame = new ExtentKeys(this.#graphInfo).sameExtents(this.#output, other);
    if (!isSame || this.#graphInfo.constants.has(other)) return;
    this.#residual = other;
    this.#take(node);
  }

  #fuseActivation(): void {
    const found = activationAfter(this.#output, this.#graphInfo);
    if (found === undefined || found.nodes.some((node) => this.#taken.has(node))) return;
    this.#activation = found.activation;
    for (const node of found.nodes) this.#take(node);
  }
}

/** BatchNormalization in inference as scale * x + shift per channel, in double precision. */
export function scaleAndShift(
  node: Node,
  { constants }: GraphInfo,
): { readonly scale: Float64Array; readonly shift: Float64Array } | undefined {
  if (node.domain !== '' || node.int('training_mode', 0) !== 0 || node.int('spatial', 1) !== 1) return undefined;
  const parameter = (name: keyof typeof NORMALIZATION_INPUTS) => {
    const tensor = constants.tensor(node.inputs[NORMALIZATION_INPUTS[name]]);
    return tensor?.dataType === FLOAT ? tensor.numbers() : undefined;
  };
  const [scales, shifts, means, variances] = [
    parameter('scale'),
    parameter('shift'),
    parameter('mean'),
    parameter('variance'),
  ];
  if (scales === undefined || shifts === undefined || means === undefined || variances === undefined) return undefined;
  const epsilon = epsilonOf(node);
  const scale = Float64Array.from(scales, (value, at) =>
    normalizationScales(1, { scale: value, variance: variances[at] ?? 0, epsilon }),
  );
  return { scale, shift: scale.map((value, at) => (shifts[at] ?? 0) - (means[at] ?? 0) * value) };
}

/**
 * Whether a bias has one value per filter, along the last axis. The bias of a Gemm may also be one
 * number for all filters, or one per row.
 */
export function isPerFilter(bias: Tensor, filters: number, mostAxes: number): boolean {
  const { dataType, dims, size } = bias;
  return dataType === FLOAT && size === filters && dims.at(-1) === filters && dims.length <= mostAxes;
}

export function areFinite(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(value));
}
