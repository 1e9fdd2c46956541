/** Seconds that layers win by being sparse, from a cost table or as measured. */
import { type CostTable, type KindCosts, type LayerKind, secondsWon, speedupAt } from '../../src/cost/sparse-cost.js';
import { type GraphInfo, siteOf } from '../../src/graph-info/graph-info.js';
import type { Value } from '../../src/ir/graph.js';
import { product } from '../../src/ir/tensor.js';
import { isStatic } from '../../src/ops/axes.js';
import { operatorOf } from '../../src/ops/registry.js';
import type { PassContext } from '../pass.js';
import { hasRows, type SparseLayer } from './candidates.js';
import type { NativeOp } from './layout-assignment.js';
import type { Costs } from './select.js';

/** The speed of a layer, dense and sparse. */
export interface Estimate {
  readonly costs: KindCosts;
  /**
   * Whether the product has enough rows (pixels) to be faster sparse. With few rows each weight is
   * read for hardly more than one multiply-add.
   */
  readonly hasRows: boolean;
  /** Undefined where extents are unknown. */
  readonly denseSeconds: number | undefined;
  /** Undefined below the table's first share of zeros. */
  readonly speedup: number | undefined;
  readonly isMeasured: boolean;
}

/** `sized` is the graph at the sizes at which costs are counted. */
export async function estimateAll(
  layers: readonly SparseLayer[],
  table: CostTable,
  sized: GraphInfo,
  measure: PassContext['sparse']['measure'],
): Promise<Map<SparseLayer, Estimate>> {
  const estimates = new Map(layers.map((layer) => [layer, estimateOf(layer, table, sized)]));
  if (measure === undefined) return estimates;
  // Time may run out, so the layers with the longest dense time are measured first.
  const ranked = [...estimates].toSorted(
    ([, { denseSeconds: one = 0 }], [, { denseSeconds: other = 0 }]) => other - one,
  );
  for (const [layer, estimate] of ranked) {
    const measured = estimate.hasRows ? await measure(layer, sized) : undefined;
    if (measured === undefined) continue;
    const { denseSeconds, sparseSeconds } = measured;
    estimates.set(layer, { ...estimate, denseSeconds, speedup: denseSeconds / sparseSeconds, isMeasured: true });
  }
  return estimates;
}

function estimateOf(layer: SparseLayer, table: CostTable, sized: GraphInfo): Estimate {
  const { nodes, zeros } = layer;
  const costs = table.layers[kindOf(layer)];
  const macs = operatorOf(nodes[0])?.macs?.(siteOf(nodes[0], sized));
  return {
    costs,
    hasRows: hasRows(layer, sized),
    denseSeconds: macs === undefined ? undefined : macs / costs.denseMacsPerSecond,
    speedup: speedupAt(costs, zeros),
    isMeasured: false,
  };
}

function kindOf({ kind, dims: [, , ...kernel] }: SparseLayer): LayerKind {
  if (kind === 'matmul') return 'matmul';
  return kernel.every((extent) => extent === 1) ? 'conv1x1' : 'conv';
}

export function costsOf(
  estimates: ReadonlyMap<SparseLayer, Estimate>,
  table: CostTable,
  { shapes }: GraphInfo,
): Costs<SparseLayer> {
  const won = new Map<SparseLayer, number>();
  for (const [layer, { denseSeconds, speedup, hasRows: isFit }] of estimates) {
    if (!isFit || speedup === undefined) continue;
    if (denseSeconds !== undefined) won.set(layer, secondsWon(denseSeconds, speedup));
    // The layer wins, by an unknown number of seconds. It then counts for more than any move.
    else if (secondsWon(1, speedup) > 0) won.set(layer, Number.MAX_VALUE);
  }
  return {
    won,
    // A move of unknown size counts as free; the benchmark measures what it costs.
    move: (value: Value) => {
      const dims = shapes.of(value);
      return isStatic(dims) ? product(dims) * table.secondsPerMovedElement : 0;
    },
  };
}

/** Whether the operator is a layer with zeros, not one that is selected only to save moves. */
export function isPriced(op: NativeOp, estimates: ReadonlyMap<SparseLayer, Estimate>): op is SparseLayer {
  return op.kind !== 'layout-op' && estimates.has(op);
}
