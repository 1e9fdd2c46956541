/**
 * convert-sparse: layers whose weights contain scattered zeros become sparse operators (kernels/),
 * together with the nodes that can be fused into them.
 *
 *   x -> Conv(W, 80 % zeros) -> BatchNormalization -> Add(r) -> Relu -> y
 *   x, r -> SparseConv(values, bits, bias, Relu) -> y
 *
 * Exact? To rounding: the same products are summed in another order, and normalisations are
 * multiplied into weights. Products with removed weights are left out, so an infinity or NaN there
 * does not spread.
 *
 * Declines when: a layer wins less than it costs to convert data to the layout of the operators
 * (sparse/select.ts), by a cost table (src/cost/sparse-cost.ts) or as measured with --tune; the
 * type is not float32. Pools, sums and similar operators between such layers stay in that layout
 * where this saves conversions (sparse/layout-ops.ts).
 *
 * Cost: one walk over the weights; with --tune, some runs of every kind of layer.
 */
import { isCompensation } from '../src/ir/origin.js';
import { type Pass, UNCHANGED } from './pass.js';
import { findCandidates, isDepthwise, type SparseLayer } from './sparse/candidates.js';
import { Emitter } from './sparse/emit.js';
import { costsOf, type Estimate, estimateAll, isPriced } from './sparse/estimate.js';
import { excludedLayers } from './sparse/excluded.js';
import type { NativeOp } from './sparse/layout-assignment.js';
import { appliedRemarks, decisionNotes, missedRemarks } from './sparse/remarks.js';
import { Selector } from './sparse/select.js';

export const convertSparse: Pass = {
  name: 'convert-sparse',
  summary: 'make layers with scattered zeros sparse operators',
  exactness: 'rounding',
  about: 'sparse',
  async run({ editor, graphInfo: inspect, sparse }) {
    const graphInfo = await inspect();
    const candidates = findCandidates(graphInfo);
    // Depthwise kernels have few weights each. They are as fast in the blocked layout with all
    // their weights, and are selected like layout-preserving operators.
    const layers = candidates.filter((layer) => layer.zeros > 0 && !isDepthwise(layer));
    const excluded = excludedLayers(graphInfo, candidates).filter(({ node }) => !isCompensation(node));
    if (layers.length === 0) {
      const nothing = { layers, selected: [], excluded, estimates: new Map(), move: () => 0 };
      return { ...UNCHANGED, remarks: missedRemarks(nothing) };
    }
    const choice = sparse.choice();
    const { table } = choice;
    const sized = await sparse.sized();
    const estimates = await estimateAll(layers, table, sized, sparse.measure);
    const costs = costsOf(estimates, table, sized);
    const selector = new Selector(graphInfo, candidates, costs);
    const selected = selector.select();
    // --stop-after emits only the first layers, with layouts assigned for these alone. Each prefix
    // is a valid selection, so a fault shows as soon as its layer is included.
    const sparseLayers = selected.filter((op) => isPriced(op, estimates));
    const isCut = sparseLayers.length > editor.editsLeft;
    const emitted = isCut ? selector.selectAround(sparseLayers.slice(0, editor.editsLeft)) : selected;
    const remarks = [
      ...decisionNotes(choice, estimates),
      ...appliedRemarks(emitted, estimates),
      ...missedRemarks({ layers, selected, excluded, estimates, move: costs.move }),
    ];
    const emitter = new Emitter(editor, graphInfo.shapes, emitted);
    for (const { label, ops } of editsOf(emitted, estimates))
      editor.transaction(`sparse operator for ${label}`, () => emitter.emit(ops));
    if (emitted.length === 0) return { ...UNCHANGED, remarks };
    const made = emitted.filter((op) => isPriced(op, estimates) && !isCompensation(op.nodes[0]));
    return { changed: true, gains: true, remarks, sparseLayers: made.length };
  },
};

/** One edit per layer, with the operators before it; the last also has the operators after it. */
function editsOf(
  ops: readonly NativeOp[],
  estimates: ReadonlyMap<SparseLayer, Estimate>,
): { label: string; ops: NativeOp[] }[] {
  const edits: { label: string; ops: NativeOp[] }[] = [];
  let waiting: NativeOp[] = [];
  for (const op of ops) {
    waiting.push(op);
    if (!isPriced(op, estimates)) continue;
    edits.push({ label: op.nodes[0].label, ops: waiting });
    waiting = [];
  }
  edits.at(-1)?.ops.push(...waiting);
  return edits;
}
