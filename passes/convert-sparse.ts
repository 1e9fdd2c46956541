/**
 * convert-sparse: layers whose weights are zero here and there become sparse operators (kernels/), with what stands right behind them.
 *
 *   x -> Conv(W, 80 % zeros) -> BatchNormalization -> Add(r) -> Relu -> y      x, r -> SparseConv(values, bits, bias, Relu) -> y
 *
 * Exact? To rounding: the same products in another order, normalisations multiplied into weights. Products with removed weights are
 * left out, so what is infinite or NaN there does not spread. Declines when: what a layer wins by a cost table (src/cost/sparse-cost.ts),
 * or as measured with --tune, is less than moving data into the operators' layout costs (sparse/choose.ts), other types than float32.
 * Pools, sums and the like between such layers join them where that saves moving data (sparse/riders.ts). Cost: one walk over the weights;
 * with --tune some runs of every kind of layer.
 */
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import { isCompensation } from '../src/ir/origin.js';
import { type Pass, UNCHANGED } from './pass.js';
import { chooseMembers, type Costs } from './sparse/choose.js';
import { Emitter } from './sparse/emit.js';
import { costsOf, type Estimate, estimateAll, isPriced } from './sparse/estimate.js';
import { excludedLayers } from './sparse/excluded.js';
import { possibleRiders } from './sparse/join.js';
import { findLayers, isDepthwise, type SparseLayer } from './sparse/layers.js';
import type { Member } from './sparse/places.js';
import { appliedRemarks, decisionNotes, missedRemarks } from './sparse/remarks.js';

export const convertSparse: Pass = {
  name: 'convert-sparse',
  summary: 'make layers with scattered zeros sparse operators',
  exactness: 'rounding',
  about: 'sparse',
  async run({ editor, graphInfo: known, sparse }) {
    const graphInfo = await known();
    const found = findLayers(graphInfo);
    // Depthwise kernels have few weights each: without zeros they are as fast in the layout, and join as riders do.
    const all = found.filter((layer) => layer.zeros > 0 && !isDepthwise(layer));
    const excluded = excludedLayers(graphInfo, found).filter(({ node }) => !isCompensation(node));
    const estimates = new Map<SparseLayer, Estimate>();
    if (all.length === 0) return { ...UNCHANGED, remarks: missedRemarks(all, [], estimates, excluded, () => 0) };
    const { table, notes } = sparse.choice();
    const sized = await sparse.sized();
    for (const entry of await estimateAll(all, table, sized, sparse.measure)) estimates.set(...entry);
    const costs = costsOf(estimates, table, sized);
    const inOrder = inOrderOf(graphInfo);
    const chosen = inOrder(choose(costs, found, graphInfo));
    // --stop-after: the first layers alone, a choice like any other, so that what is wrong shows as soon as it is there.
    const layers = chosen.filter((member) => isPriced(member, estimates));
    const isCut = layers.length > editor.editsLeft;
    const made = isCut ? inOrder(withRiders(layers.slice(0, editor.editsLeft), costs.move, found, graphInfo)) : chosen;
    const remarks = [
      ...decisionNotes(notes, table, estimates),
      ...appliedRemarks(made, estimates),
      ...missedRemarks(all, chosen, estimates, excluded, costs.move),
    ];
    const emitter = new Emitter(editor, graphInfo.shapes, made);
    for (const { label, members } of editsOf(made, estimates))
      editor.transaction(`sparse operator for ${label}`, () => emitter.emit(members));
    if (made.length === 0) return { ...UNCHANGED, remarks };
    const sparseLayers = made
      .filter((member) => isPriced(member, estimates))
      .filter(({ nodes: [node] }) => !isCompensation(node)).length;
    return { changed: true, gains: true, remarks, sparseLayers };
  },
};

/** An operator stands where its last node stood: in that order whatever is entered is there for all who follow. */
function inOrderOf({ graph }: GraphInfo): (members: readonly Member[]) => Member[] {
  const place = new Map(graph.nodes.map((node, index) => [node, index]));
  const endOf = ({ nodes }: Member) => place.get(nodes.at(-1) ?? nodes[0]) ?? 0;
  return (members) => members.toSorted((a, b) => endOf(a) - endOf(b));
}

/** One edit for each layer, with what joins it before, and behind the last. */
function editsOf(
  members: readonly Member[],
  estimates: ReadonlyMap<SparseLayer, Estimate>,
): { label: string; members: Member[] }[] {
  const edits: { label: string; members: Member[] }[] = [];
  let waiting: Member[] = [];
  for (const member of members) {
    waiting.push(member);
    if (!isPriced(member, estimates)) continue;
    edits.push({ label: member.nodes[0].label, members: waiting });
    waiting = [];
  }
  edits.at(-1)?.members.push(...waiting);
  return edits;
}

/**
 * Layers are chosen with everything around them that could join, then riders anew: the activation behind a layer that stays dense may be
 * one, too.
 */
function choose({ won, move }: Costs<SparseLayer>, found: readonly SparseLayer[], graphInfo: GraphInfo): Member[] {
  const first = new Set(chooseMembers({ won: joinable(won, found, graphInfo), move }));
  return withRiders(
    [...won.keys()].filter((layer) => first.has(layer)),
    move,
    found,
    graphInfo,
  );
}

/** These layers, whatever they win, and the riders that save moves between them. */
function withRiders(
  layers: readonly SparseLayer[],
  move: Costs['move'],
  found: readonly SparseLayer[],
  graphInfo: GraphInfo,
): Member[] {
  if (layers.length === 0) return [];
  const won = new Map(layers.map((layer) => [layer, Number.MAX_VALUE]));
  return chooseMembers({ won: joinable(won, found, graphInfo), move });
}

function joinable(
  layers: ReadonlyMap<SparseLayer, number>,
  found: readonly SparseLayer[],
  graphInfo: GraphInfo,
): Map<Member, number> {
  const all = new Map<Member, number>(layers);
  for (const rider of possibleRiders([...layers.keys()], found, graphInfo)) all.set(rider, 0);
  return all;
}
