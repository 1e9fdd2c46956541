/**
 * What layers of codes round their sums to, where these are constants. ONNX Runtime runs the layer
 * on one place of zero points, with the sums in the bias: in products of two codes some processors'
 * kernels cut off what is larger than 16 bits.
 */
import { NodeRunner } from '../graph-info/node-runner.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { INT32, product, Tensor } from '../ir/tensor.js';
import { type LayerRelation, zeroOf } from '../ops/axes.js';
import { Window } from '../ops/attributes.js';
import type { AnalyzedNode, LayerAxes } from './analyzed-node.js';
import { uniform } from './asked-scalars.js';

/**
 * Kernels scale sums in another order, which rounds otherwise by a few 2^-24: what counts is the
 * same for scales on both sides.
 */
const ROUNDING = 2 ** -19;

/** Of one output: what its constant inputs add to the bias. */
export interface Sum {
  readonly output: number;
  readonly total: number;
}

/** Per entry of `outputs` the code, or NaN. */
export async function askedCodes(
  at: AnalyzedNode,
  { relation, x, y }: LayerAxes,
  outputs: readonly Sum[],
  { graph, shapes }: GraphInfo,
): Promise<Float64Array> {
  const found = new Float64Array(outputs.length).fill(Number.NaN);
  const { node, site } = at;
  const given = node.inputs[relation.x.index];
  const dataType = given && shapes.dataTypeOf(given);
  const dims = site.inDims(relation.x.index);
  const scale = relation.codes?.outputScale;
  const ofScale = scale === undefined ? undefined : site.constant(scale);
  if (x === undefined || y === undefined || dataType === undefined || ofScale === undefined) return found;
  const place = dims?.map((_, axis) => (axis === x.axis ? x.extent : reach(at, relation, axis)));
  if (place === undefined || node.inputs.some((value, index) => isOpen(at, value, index, relation.x.index)))
    return found;
  const zeros = new Float64Array(product(place)).fill(zeroOf(relation));
  const input = Tensor.fromNumbers(dataType, place, zeros);
  const biased = withTotals(at, relation, outputs, y.extent);
  const isTold = ({ total }: Sum) => total === 0 || biased !== undefined;
  // The weights are in each of the sessions, and no other layer has the same.
  const runner = new NodeRunner(graph.opset);
  for (const [turn, factor] of [1, 1 - ROUNDING, 1 + ROUNDING].entries()) {
    const scales = Tensor.fromNumbers(
      ofScale.dataType,
      ofScale.dims,
      Array.from(ofScale.numbers(), (s) => s * factor),
    );
    const inputs = node.inputs.map((_, index) =>
      index === relation.x.index ? input : index === scale ? scales : site.constant(index),
    );
    if (biased !== undefined) inputs[biased.index] = biased.tensor;
    const result = await runner.run(
      node,
      inputs.map((tensor) => ({ tensor })),
      0,
    );
    await runner.release();
    const codes = result && uniform(result.dims, result.values, y.axis);
    for (const [entry, sum] of outputs.entries()) {
      const code = codes === undefined || !isTold(sum) ? Number.NaN : (codes[sum.output] ?? Number.NaN);
      if (turn === 0) found[entry] = code;
      else if (found[entry] !== code) found[entry] = Number.NaN;
    }
  }
  return found;
}

/** The bias with the totals, where the operator has one. */
function withTotals(
  { node, site }: AnalyzedNode,
  { bias }: LayerRelation,
  outputs: readonly Sum[],
  count: number,
): { readonly index: number; readonly tensor: Tensor } | undefined {
  // An input that is left out would be a new one of the node.
  if (bias === undefined || node.inputs[bias.index] === undefined) return undefined;
  const values = Float64Array.from(site.constant(bias.index)?.numbers() ?? new Float64Array(count));
  for (const { output, total } of outputs) values[output] = (values[output] ?? 0) + total;
  return { index: bias.index, tensor: Tensor.fromNumbers(INT32, [count], values) };
}

function isOpen({ site }: AnalyzedNode, value: unknown, index: number, x: number): boolean {
  return value !== undefined && index !== x && site.constant(index) === undefined;
}

/** So many places that every tap of a window lies inside; one along all other axes. */
function reach({ node, site }: AnalyzedNode, { hasWindow, weights }: LayerRelation, axis: number): number {
  if (hasWindow !== true || axis < 2) return 1;
  return new Window(node, site.constant(weights.index)).reach(axis - 2, 1);
}
