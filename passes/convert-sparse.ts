/**
 * convert-sparse: layers whose weights are zero here and there become sparse operators (kernels/), with what stands right behind them.
 *
 *   x -> Conv(W, 80 % zeros) -> BatchNormalization -> Add(r) -> Relu -> y      x, r -> SparseConv(values, bits, bias, Relu) -> y
 *
 * Exact? To rounding: the same products in another order, normalisations multiplied into weights. Products with removed weights are
 * left out, so what is infinite or NaN there does not spread. Declines when: fewer zeros than pay (src/analysis/sparse-cost.ts),
 * moving data into the operators' layout costs more than they save, other types than float32. Cost: one walk over the weights.
 * Pools, sums and the like between such layers join them where that saves moving data (sparse/riders.ts).
 */
import type { Knowledge } from '../src/analysis/site.js';
import { LEAST_ZEROS, secondsSaved, secondsToMove, sparseSpeedup } from '../src/analysis/sparse-cost.js';
import { type Pass, type PassResult, UNCHANGED } from './pass.js';
import { Emitter } from './sparse/emit.js';
import { joinRiders } from './sparse/join.js';
import { findLayers, hasRows, type SparseLayer } from './sparse/layers.js';
import { connected, type Member, movedElements } from './sparse/places.js';

export const convertSparse: Pass = {
  name: 'convert-sparse',
  summary: 'make layers with scattered zeros sparse operators',
  exactness: 'rounding',
  async run({ editor, knowledge: known }) {
    const knowledge = await known();
    const all = findLayers(knowledge);
    const place = new Map(knowledge.graph.nodes.map((node, index) => [node, index]));
    const endOf = ({ nodes }: Member) => place.get(nodes.at(-1) ?? nodes[0]) ?? 0;
    // An operator stands where its last node stood: in that order whatever is entered is there for all who follow.
    const chosen = choose(all, knowledge).toSorted((a, b) => endOf(a) - endOf(b));
    const missed = all.filter((layer) => !chosen.includes(layer) && layer.zeros > 0).map(missedRemark);
    if (chosen.length === 0) return { ...UNCHANGED, remarks: missed };
    const changed = editor.transaction('sparse operators', () => new Emitter(editor, knowledge.shapes, chosen).emit());
    return { changed, gains: changed, remarks: [...chosen.map(appliedRemark), ...missed] };
  },
};

/** Layers that pay for themselves, then runs of them, with their riders, that pay for moving data in and out. */
function choose(all: readonly SparseLayer[], knowledge: Knowledge): Member[] {
  const worth = all.filter((layer) => layer.zeros >= LEAST_ZEROS && hasRows(layer, knowledge));
  const own = new Set<Member>(worth);
  const members = [...worth, ...joinRiders(worth, all, knowledge)];
  const runs = connected(members);
  const savedBy = (member: Member) => {
    if (member.kind === 'rider' || !own.has(member)) return 0;
    return member.macs === undefined ? Number.POSITIVE_INFINITY : secondsSaved(member.macs, member.zeros);
  };
  return members.filter((member) => {
    const run = runs.get(member) ?? [member];
    const saved = run.reduce((total, other) => total + savedBy(other), 0);
    return saved > secondsToMove(movedElements(run, knowledge));
  });
}

type Said = PassResult['remarks'][number];

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function appliedRemark(member: Member): Said {
  const [node, ...tail] = member.nodes;
  const fused = tail.length === 0 ? '' : `, with ${tail.map(({ opType }) => opType).join(', ')}`;
  const isSparse = member.kind !== 'rider' && member.zeros >= LEAST_ZEROS;
  const what = isSparse
    ? `sparse at ${percent(member.zeros)} zeros`
    : 'keeps to the layout of the sparse operators around it';
  return { kind: 'applied', node: node.label, message: `${what}${fused}` };
}

function missedRemark({ nodes: [node], zeros }: SparseLayer): Said {
  const why =
    zeros < LEAST_ZEROS
      ? `sparse operators pay from ${percent(LEAST_ZEROS)} zeros on, and it has ${percent(zeros)}`
      : `sparse operators would be ${sparseSpeedup(zeros).toFixed(1)}x as fast, and moving data into their layout costs more`;
  return { kind: 'missed', node: node.label, message: `stays dense: ${why}` };
}
