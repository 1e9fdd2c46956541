/**
 * Layers that could become sparse operators, with the nodes after them that are fused into them.
 */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { FLOAT, product, type Tensor } from '../../src/ir/tensor.js';
import { Window } from '../../src/ops/attributes.js';
import { isStatic } from '../../src/ops/axes.js';
import { areFinite, type Fused, Fusion, isPerFilter, scaleAndShift } from './fusion.js';
import { padsOf } from './padding.js';

export interface SparseLayer extends Fused {
  readonly kind: 'conv' | 'matmul';
  readonly x: Value;
  readonly groups: number;
  /** Of a convolution: top, left, bottom, right. */
  readonly pads: readonly number[];
}

/**
 * In the order of the graph. The sum of two layers is fused into the later one, because its other
 * operand exists before.
 */
export function findCandidates(graphInfo: GraphInfo): SparseLayer[] {
  const taken = new Set<Node>();
  const candidates: SparseLayer[] = [];
  for (const node of graphInfo.graph.nodes.toReversed()) {
    const layer = taken.has(node) ? undefined : candidateAt(node, graphInfo, taken);
    if (layer === undefined) continue;
    for (const part of layer.nodes) taken.add(part);
    candidates.push(layer);
  }
  return candidates.toReversed();
}

function candidateAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): SparseLayer | undefined {
  const kind = node.domain !== '' ? undefined : KINDS.get(node.opType);
  const [x, weight] = node.inputs;
  const [output] = node.outputs;
  const weights = graphInfo.constants.tensor(weight);
  if (kind === undefined || x === undefined || weights === undefined || output === undefined) return undefined;
  // Quantised layers run in integer kernels, and their codes stay as they are.
  if ([weight, node.inputs[2]].some((value) => graphInfo.constants.isDecoded(value))) return undefined;
  if (weights.dataType !== FLOAT || !isSupported(node, weights) || graphInfo.constants.has(x)) return undefined;
  const pads = kind === 'conv' ? padsOf(new Window(node, weights), graphInfo.shapes.of(x)) : [];
  if (pads === undefined) return undefined;
  const bias = graphInfo.constants.tensor(node.inputs[2]);
  const filters = weights.dims[kind === 'conv' || node.int('transB', 0) === 1 ? 0 : 1] ?? 0;
  if (node.inputs[2] !== undefined && (bias === undefined || !isPerFilter(bias, filters, 2))) return undefined;
  const operands = {
    weights: Float32Array.from(weights.numbers()),
    bias: bias === undefined ? undefined : Float32Array.from(bias.numbers()),
    dims: weights.dims,
  };
  const fused = new Fusion(node, operands, graphInfo, taken).fuse();
  return { kind, x, groups: node.int('group', 1), pads, ...fused };
}

/** A BatchNormalization that no layer takes is a depthwise 1x1 convolution. */
export function normalisationAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): SparseLayer | undefined {
  const [x] = node.inputs;
  const affine = node.opType === 'BatchNormalization' ? scaleAndShift(node, graphInfo) : undefined;
  if (affine === undefined || x === undefined) return undefined;
  if (!isImage(x, graphInfo)) return undefined;
  const [weights, bias] = [Float32Array.from(affine.scale), Float32Array.from(affine.shift)];
  if (!areFinite(weights) || !areFinite(bias)) return undefined;
  const groups = weights.length;
  const fused = new Fusion(node, { weights, bias, dims: [groups, 1, 1, 1] }, graphInfo, taken).fuse();
  return { kind: 'conv', x, groups, pads: [0, 0, 0, 0], ...fused };
}

/** Computed, float32, [N, C, H, W]. */
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

/**
 * With fewer rows the time of a matrix product is the time to read its weights, and dense weights
 * are read faster.
 */
const LEAST_ROWS = 8;

function isSupported(node: Node, weights: Tensor): boolean {
  if (node.opType === 'Conv') return weights.dims.length === 4 && weights.size > 0;
  const isPlain = node.int('transA', 0) === 0 && node.float('alpha', 1) === 1 && node.float('beta', 1) === 1;
  return isPlain && weights.dims.length === 2 && weights.size > 0;
}

/**
 * Whether a product has enough rows (a convolution: pixels). An unknown number counts as enough: it
 * is usually the length of a sequence.
 */
export function hasRows({ kind, nodes: [node] }: SparseLayer, { shapes }: GraphInfo): boolean {
  const all = shapes.of(node.outputs[0]);
  const dims = kind === 'conv' ? all?.slice(2) : all?.slice(0, -1);
  if (dims === undefined || !isStatic(dims)) return true;
  return product(dims) >= LEAST_ROWS;
}
