/**
 * Counts of a model for the report: parameters, zeros, MACs, channels; and the check that weights
 * are finite.
 */
import { PruneCompileError } from '../errors.js';
import type { Node, Value } from '../ir/graph.js';
import { isCompensation } from '../ir/origin.js';
import { scanTensor } from '../ir/scan.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { groupsOf } from '../ops/axes.js';
import { weightsOf } from '../ops/centred-weights.js';
import { operatorOf } from '../ops/registry.js';
import { ParameterCount } from './parameter-count.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';

/** Counts of one model. */
export interface ModelFigures {
  /** Elements of floating-point constants that nodes read, and of weights in codes. */
  readonly parameters: number;
  /** Of those, exactly zero, or at their zero points. */
  readonly zeros: number;
  /**
   * Multiply-accumulates of Conv, Gemm and MatMul at `macsShape`; undefined when shapes stay
   * unknown.
   */
  readonly macs: number | undefined;
  /** Model file plus external data, in bytes. */
  readonly sizeBytes: number;
  /** Output channels of all Conv, Gemm and MatMul nodes with constant weights. */
  readonly channels: number;
  readonly nodes: number;
}

/** One layer with constant weights, before and after; counts of channels. */
export interface LayerFigures {
  readonly node: string;
  readonly opType: string;
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** Undefined when the layer is gone. */
  readonly keptInputChannels: number | undefined;
  readonly keptOutputChannels: number | undefined;
  /** Share of exactly zero weights before. */
  readonly sparsity: number;
  /** Set where it is a sparse operator now. */
  readonly isSparse?: true;
}

export interface Layer {
  readonly node: Node;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly sparsity: number;
  /** Elements of the weights. */
  readonly size: number;
  /** Multiply-accumulates at the sizes counted at; undefined where they are unknown. */
  readonly macs: number | undefined;
  /** Set where it became a sparse operator. */
  readonly isSparse?: true;
}

export interface AddedConvolution {
  readonly node: Node;
  /** Elements of the weights. */
  readonly size: number;
  readonly macs: number | undefined;
}

export interface Counts {
  readonly figures: Omit<ModelFigures, 'sizeBytes'>;
  readonly layers: readonly Layer[];
  /** Convolutions that a compilation added: no layers of the network, but part of its MACs. */
  readonly added: readonly AddedConvolution[];
}

/**
 * `sized` knows the same graph at concrete input sizes, for MACs (see sizes.ts). Throws E-MODEL-NAN
 * when a weight is not a number, E-MODEL-INFINITE when a layer's weight is infinite: nothing could
 * be proved about such a model.
 */
export function countModel(graphInfo: GraphInfo, sized: GraphInfo = graphInfo): Counts {
  const { graph, constants } = graphInfo;
  const tensors = new Map<Tensor, { zeros: number }>();
  const parameters = new ParameterCount(constants);
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => constants.has(value))) continue;
    for (const value of node.inputs) {
      const tensor = constants.tensor(value);
      if (tensor === undefined || value === undefined || tensors.has(tensor) || !isFloating(tensor.dataType)) continue;
      const scanned = { zeros: countZeros(tensor, value.name, node) };
      tensors.set(tensor, scanned);
      parameters.add(value, tensor, scanned.zeros);
    }
  }
  for (const node of graph.nodes) {
    const codes = codesOf(node, graphInfo);
    const value = codes && node.inputs[codes.index];
    const tensor = constants.tensor(value);
    if (codes === undefined || value === undefined || tensor === undefined || tensors.has(tensor)) continue;
    const { zeros } = scanTensor(codes.centred);
    tensors.set(tensor, { zeros });
    parameters.add(value, tensor, zeros);
  }
  const layers = graph.nodes.flatMap((node) => layerOf(node, graphInfo, sized, tensors) ?? []);
  const channels = layers.reduce((total, { outputChannels }) => total + outputChannels, 0);
  const added = graph.nodes
    .filter((node) => isCompensation(node) && operatorOf(node)?.macs !== undefined)
    .map((node) => ({
      node,
      size: constants.tensor(node.inputs[1])?.size ?? 0,
      macs: operatorOf(node)?.macs?.(siteOf(node, sized)),
    }));
  const { size, zeros } = parameters.total;
  return {
    figures: { parameters: size, zeros, macs: countMacs(sized), channels, nodes: graph.nodes.length },
    layers,
    added,
  };
}

/** The weights of a layer of codes, from their zero points, and which of its inputs they are. */
function codesOf(node: Node, graphInfo: GraphInfo): { index: number; centred: Tensor } | undefined {
  const site = siteOf(node, graphInfo);
  const relation = operatorOf(node)?.axes?.(site);
  if ((relation?.kind !== 'linear' && relation?.kind !== 'grouped') || relation.codes === undefined) return undefined;
  const centred = weightsOf(site, relation);
  return centred && { index: relation.weights.index, centred };
}

function countZeros(tensor: Tensor, name: string, node: Node): number {
  const { zeros, hasNaN } = scanTensor(tensor);
  if (!hasNaN) return zeros;
  throw new PruneCompileError('E-MODEL-NAN', {
    what: `the weights ${name} contain NaN (not a number)`,
    facts: [
      ['where', `read by ${node.label} (${node.qualifiedOp})`],
      ['why', 'a model with NaN weights has no defined output to preserve'],
      ['try', 'find where training diverged; export from an earlier checkpoint'],
    ],
  });
}

/** Other constants may be infinite: attention adds -Infinity to what is not to be seen. */
function requireFinite(tensor: Tensor, { name, producer }: Value, node: Node): void {
  if (!scanTensor(tensor).hasInfinity) return;
  const computed = producer === undefined ? '' : `, computed by ${producer.label} (${producer.qualifiedOp})`;
  throw new PruneCompileError('E-MODEL-INFINITE', {
    what: `the weights ${name} contain infinite values`,
    facts: [
      ['where', `read by ${node.label} (${node.qualifiedOp})${computed}`],
      ['why', '0 x infinity is NaN, so removing a zero channel in front of these weights would change the output'],
      ['try', 'find where training or a conversion overflowed; export from an earlier checkpoint, or in a wider type'],
    ],
  });
}

function layerOf(
  node: Node,
  graphInfo: GraphInfo,
  sized: GraphInfo,
  tensors: ReadonlyMap<Tensor, { zeros: number }>,
): Layer | undefined {
  if (isCompensation(node)) return undefined;
  const site = siteOf(node, graphInfo);
  const relation = operatorOf(node)?.axes?.(site);
  const isLayer = relation?.kind === 'linear' || relation?.kind === 'grouped';
  // An operator that has more in it than the layer has other relations.
  const weights = isLayer ? relation.weights : relation && operatorOf(node)?.weights?.(site)?.weights;
  if (weights === undefined) return undefined;
  const value = node.inputs[weights.index];
  const tensor = graphInfo.constants.tensor(value);
  if (tensor === undefined || value === undefined) return undefined;
  requireFinite(tensor, value, node);
  // Axis 1 of a grouped layer's weights counts the channels of one group.
  const channels = (axis: number) => (tensor.dims[axis] ?? 0) * (axis === 1 && isLayer ? groupsOf(relation) : 1);
  return {
    node,
    inputChannels: channels(weights.inAxis),
    outputChannels: channels(weights.outAxis),
    sparsity: tensor.size === 0 ? 0 : (tensors.get(tensor)?.zeros ?? 0) / tensor.size,
    size: tensor.size,
    macs: operatorOf(node)?.macs?.(siteOf(node, sized)),
  };
}

/**
 * Layers of both models side by side, matched by node; those that are gone have no kept channels.
 */
export function compareLayers(before: readonly Layer[], after: readonly Layer[]): LayerFigures[] {
  const now = new Map(after.map((layer) => [layer.node, layer]));
  return before.map(({ node, inputChannels, outputChannels, sparsity }) => ({
    node: node.label,
    opType: node.opType,
    inputChannels,
    outputChannels,
    keptInputChannels: now.get(node)?.inputChannels,
    keptOutputChannels: now.get(node)?.outputChannels,
    sparsity,
    ...(now.get(node)?.isSparse === true && { isSparse: true }),
  }));
}

/**
 * MACs of both models. Where shape inference knows one of them only (targets computed before
 * folding, ones of symbolic size after it), the other follows layer by layer: a layer costs in
 * proportion to its weights, because places do not change. Convolutions of ones (under 1 %) are
 * left out then.
 */
export function macsOfBoth(before: Counts, after: Counts): { before: number | undefined; after: number | undefined } {
  return {
    before: before.figures.macs ?? inProportion(after, before),
    after: after.figures.macs ?? inProportion(before, after),
  };
}

function inProportion(known: Counts, wanted: Counts): number | undefined {
  const sizes = new Map(wanted.layers.map(({ node, size }) => [node, size]));
  const isCovered = wanted.layers.every(({ node }) => known.layers.some((layer) => layer.node === node));
  if (known.figures.macs === undefined || !isCovered) return undefined;
  let total = known.added.reduce((rest, { macs = 0 }) => rest - macs, known.figures.macs);
  for (const { node, size, macs } of known.layers) {
    if (macs === undefined || size === 0) return undefined;
    total += macs * ((sizes.get(node) ?? 0) / size - 1);
  }
  return Math.round(total);
}

/**
 * Multiply-accumulates of all nodes whose row counts them; undefined where an extent stays unknown.
 */
function countMacs(graphInfo: GraphInfo): number | undefined {
  let total = 0;
  for (const node of graphInfo.graph.nodes) {
    const row = operatorOf(node);
    if (row?.macs === undefined || graphInfo.constants.has(node.outputs[0])) continue;
    const macs = row.macs(siteOf(node, graphInfo));
    if (macs === undefined) return undefined;
    total += macs;
  }
  return total;
}
