/**
 * What is zero, constant or unneeded in a model, and what could go; of a sparse model, what is
 * left. Nothing is written.
 */
import { countModel } from './figures/figures.js';
import type { Facts } from './channels/facts.js';
import { layers } from './channels/held-channels.js';
import { planRemoval } from './channels/removal-plan.js';
import { Blockers } from './channels/blockers.js';
import { hasSparseOperators, storedInfo, storedLayers } from './figures/sparse-figures.js';
import { countSubgraphLayers } from './figures/subgraphs.js';
import type { Target } from './cost/width-cost.js';
import { unreadWeights } from './figures/unread-weights.js';
import { WeightMatrix, weightMatrix } from './channels/weight-matrix.js';
import { operatorOf } from './ops/registry.js';
import { heldRemarks } from '../passes/channels/held-remarks.js';
import { removeChannels } from '../passes/remove-channels.js';
import { SPARSE_DOMAIN } from './ir/graph.js';
import { isCompensation } from './ir/origin.js';
import { maskModel } from './masking/masked-model.js';
import { asksForMasks, type MaskOptions } from './masking/masking.js';
import { type Model, readModel } from './onnx/read.js';
import { choosePasses, passContext, deviceRemarks, remarkBy, runPasses } from './pipeline.js';
import type { ModelFigures } from './figures/figures.js';
import type { Remark } from '../passes/pass.js';
import type { UnreadWeights } from './figures/unread-weights.js';

export interface LayerInspection {
  readonly node: string;
  readonly opType: string;
  readonly outputChannels: number;
  /** Filters whose weights are all exactly zero. */
  readonly zeroFilters: number;
  /** Output channels that hold one scalar for every input. */
  readonly constantChannels: number;
  /** Output channels that no needed output depends on. */
  readonly unneededChannels: number;
  /** Output channels that can go (with --align 1). */
  readonly removableChannels: number;
  readonly sparsity: number;
}

/** A layer of a model with sparse operators. */
export interface SparseLayerInspection {
  readonly node: string;
  readonly opType: string;
  /** Whether it is a sparse operator: then the file holds the kept weights alone. */
  readonly isSparse: boolean;
  readonly outputChannels: number;
  readonly weights: number;
  readonly keptWeights: number;
  /** Share of zeros. */
  readonly sparsity: number;
}

export interface SparseInspection {
  readonly layers: readonly SparseLayerInspection[];
  /** Native operators that are no layers: changes of layout, and what stands between layers. */
  readonly others: readonly { readonly op: string; readonly count: number }[];
}

export interface Inspection {
  readonly model: string;
  readonly opset: number;
  readonly figures: ModelFigures;
  readonly layers: readonly LayerInspection[];
  readonly removableChannels: number;
  readonly unknownOps: readonly { readonly op: string; readonly count: number }[];
  readonly remarks: readonly Remark[];
  /**
   * Weights that no rule reads, whose zeros are in no other figure here unless they are floats of
   * the graph itself.
   */
  readonly unreadWeights: readonly UnreadWeights[];
  /** Inside If, Loop and Scan: layers with constant weights that nothing else here counts. */
  readonly subgraphLayers: number;
  /**
   * Of a model that was compiled with --sparse. Nothing can be removed from such a model, so all
   * lists above are empty.
   */
  readonly sparse?: SparseInspection;
}

export interface InspectOptions extends MaskOptions {
  readonly align?: number | 'auto';
  readonly target?: Target;
  readonly signal?: AbortSignal;
}

/**
 * What of a model is zero and what could be removed, layer by layer; compiles and writes nothing.
 * Throws E-INPUT-…, E-MODEL-… and, with masks, E-MASK-….
 */
export async function inspectModel(source: string | Uint8Array, options: InspectOptions = {}): Promise<Inspection> {
  const model = readModel(source);
  const name = typeof source === 'string' ? source : '(bytes)';
  // With masks the question is what they would remove, and of such a model that is nothing: an
  // error says so.
  if (hasSparseOperators(model.graph) && !asksForMasks(options)) return inspectSparse(model, name);
  const { masked } = await maskModel(model, options);
  const context = passContext(model, options);
  await runPasses(choosePasses('inspection'), context, options.signal);
  const graphInfo = await context.graphInfo();
  const facts = await context.facts();
  const remarks = await heldRemarks(facts, planRemoval(facts, context.cost), context.cost);
  const counts = countModel(graphInfo);
  const sparsities = new Map(counts.layers.map(({ node, sparsity }) => [node, sparsity]));
  const found = inspectLayers(facts, (node) => sparsities.get(node) ?? 0);
  return {
    model: name,
    opset: model.graph.opset,
    figures: { ...counts.figures, sizeBytes: model.sizeBytes },
    layers: found,
    removableChannels: found.reduce((total, { removableChannels }) => total + removableChannels, 0),
    unknownOps: [...facts.unknownOps].map(([op, count]) => ({ op, count })),
    remarks: [...remarks.map((remark) => remarkBy(removeChannels, remark)), ...deviceRemarks(graphInfo, context.cost)],
    unreadWeights: unreadWeights(graphInfo, model.proto, masked),
    subgraphLayers: countSubgraphLayers(model.proto.graph),
  };
}

/** Read off the file: neither the native library nor ONNX Runtime is needed. */
function inspectSparse({ graph, proto, sizeBytes }: Model, name: string): Inspection {
  const graphInfo = storedInfo(graph);
  const stored = storedLayers(graphInfo);
  const own = new Set(stored.map(({ node }) => node));
  const others = new Map<string, number>();
  for (const node of graph.nodes)
    if (node.domain === SPARSE_DOMAIN && !own.has(node) && !isCompensation(node))
      others.set(node.opType, (others.get(node.opType) ?? 0) + 1);
  const channels = stored.reduce((total, { outputChannels }) => total + outputChannels, 0);
  const listed = stored.map(({ node, label, isSparse, outputChannels, weights, keptWeights }) => ({
    node: label,
    opType: node.qualifiedOp,
    isSparse,
    outputChannels,
    weights,
    keptWeights,
    sparsity: weights === 0 ? 0 : 1 - keptWeights / weights,
  }));
  return {
    model: name,
    opset: graph.opset,
    figures: { ...countModel(graphInfo).figures, channels, sizeBytes },
    layers: [],
    removableChannels: 0,
    unknownOps: [],
    remarks: [],
    unreadWeights: [],
    subgraphLayers: countSubgraphLayers(proto.graph),
    sparse: { layers: listed, others: [...others].map(([op, count]) => ({ op, count })) },
  };
}

function inspectLayers(facts: Facts, sparsityOf: (node: Facts['nodes'][number]['node']) => number): LayerInspection[] {
  const blockers = new Blockers(facts);
  return [...layers(facts)].map(({ at, axis }) => {
    const positions = Array.from({ length: axis.extent }, (_, index) => axis.base + index);
    const count = (holds: (position: number) => boolean) => positions.filter(holds).length;
    return {
      node: at.node.label,
      opType: at.node.qualifiedOp,
      outputChannels: axis.extent,
      zeroFilters: countZeroFilters(at.site, axis.extent),
      constantChannels: count((position) => !Number.isNaN(facts.constant[position] ?? Number.NaN)),
      unneededChannels: count((position) => facts.needed[position] === 0),
      removableChannels: count((position) => !blockers.has(facts.positions.classOf(position))),
      sparsity: sparsityOf(at.node),
    };
  });
}

function matrixOf(site: Facts['nodes'][number]['site']): WeightMatrix | undefined {
  const operator = operatorOf(site.node);
  const relation = operator?.axes?.(site);
  if (relation?.kind === 'linear' || relation?.kind === 'grouped') return weightMatrix(site, relation);
  const weights = operator?.weights?.(site)?.weights;
  const tensor = weights === undefined ? undefined : site.constant(weights.index);
  return weights === undefined || tensor === undefined ? undefined : new WeightMatrix(tensor, weights);
}

function countZeroFilters(site: Facts['nodes'][number]['site'], extent: number): number {
  const matrix = matrixOf(site);
  if (matrix === undefined) return 0;
  let zeroFilters = 0;
  for (let output = 0; output < extent; output++) {
    let live = false;
    for (let input = 0; input < matrix.inputs && !live; input++) live = matrix.connects(output, input);
    if (!live) zeroFilters++;
  }
  return zeroFilters;
}
