/**
 * convert-sparse: layers whose weights are zero here and there become sparse operators (kernels/), with what stands right behind them.
 *
 *   x -> Conv(W, 80 % zeros) -> BatchNormalization -> Add(r) -> Relu -> y      x, r -> SparseConv(values, bits, bias, Relu) -> y
 *
 * Exact? To rounding: the same products in another order, normalisations multiplied into weights. Products with removed weights are
 * left out, so what is infinite or NaN there does not spread. Declines when: fewer zeros than pay (src/analysis/sparse-cost.ts),
 * moving data into the operators' layout costs more than they save, groups, other types than float32. Cost: one walk over the weights.
 */
import type { Knowledge } from '../src/analysis/site.js';
import { LEAST_ZEROS, secondsSaved, secondsToMove, sparseSpeedup } from '../src/analysis/sparse-cost.js';
import type { Value } from '../src/ir/graph.js';
import { product } from '../src/ir/tensor.js';
import { isStatic } from '../src/ops/relation.js';
import { type Pass, type PassResult, UNCHANGED } from './pass.js';
import { Emitter, enters, hasDenseReader } from './sparse/emit.js';
import { findLayers, hasRows, type SparseLayer } from './sparse/layers.js';

export const convertSparse: Pass = {
  name: 'convert-sparse',
  summary: 'make layers with scattered zeros sparse operators',
  exactness: 'rounding',
  async run({ editor, knowledge: known }) {
    const knowledge = await known();
    const all = findLayers(knowledge);
    const place = new Map(knowledge.graph.nodes.map((node, index) => [node, index]));
    const endOf = ({ nodes }: SparseLayer) => place.get(nodes.at(-1) ?? nodes[0]) ?? 0;
    // An operator stands where its last node stood: in that order whatever is entered is there for all who follow.
    const chosen = choose(all, knowledge).toSorted((a, b) => endOf(a) - endOf(b));
    const missed = all.filter((layer) => !chosen.includes(layer) && layer.zeros > 0).map(missedRemark);
    if (chosen.length === 0) return { ...UNCHANGED, remarks: missed };
    const changed = editor.transaction('sparse operators', () => new Emitter(editor, knowledge.shapes, chosen).emit());
    return { changed, gains: changed, remarks: [...chosen.map(appliedRemark), ...missed] };
  },
};

/** Layers that pay for themselves, then runs of them that pay for moving data in and out. */
function choose(all: readonly SparseLayer[], knowledge: Knowledge): SparseLayer[] {
  const worth = all.filter(
    (layer) => layer.zeros >= LEAST_ZEROS && (layer.kind === 'conv' || hasRows(layer, knowledge)),
  );
  const runs = connected(worth);
  return worth.filter((layer) => {
    const run = runs.get(layer) ?? [layer];
    const saved = run.reduce(
      (total, { macs, zeros }) => total + (macs === undefined ? Number.POSITIVE_INFINITY : secondsSaved(macs, zeros)),
      0,
    );
    return saved > secondsToMove(movedElements(run, knowledge));
  });
}

/** Layers that hand data to one another, directly. */
function connected(layers: readonly SparseLayer[]): Map<SparseLayer, SparseLayer[]> {
  const runOf = new Map(layers.map((layer) => [layer, [layer]]));
  const producer = new Map(layers.map((layer) => [layer.output, layer]));
  for (const layer of layers) {
    for (const value of [layer.x, layer.residual]) {
      const other = value === undefined ? undefined : producer.get(value);
      const [one, two] = [runOf.get(layer), other && runOf.get(other)];
      if (one === undefined || two === undefined || one === two) continue;
      for (const moved of two) {
        one.push(moved);
        runOf.set(moved, one);
      }
    }
  }
  return runOf;
}

/** Elements that are entered and left around a run; what is not static counts nothing, and is told by the benchmark. */
function movedElements(run: readonly SparseLayer[], { shapes }: Knowledge): number {
  const elements = (value: Value) => {
    const dims = shapes.of(value);
    return isStatic(dims) ? product(dims) : 0;
  };
  const outputs = new Set(run.map(({ output }) => output));
  const inside = new Set(run.flatMap(({ x, residual }) => (residual === undefined ? [x] : [x, residual])));
  let total = 0;
  for (const value of inside) if (!outputs.has(value) && enters(value, run)) total += elements(value);
  for (const { kind, output } of run)
    if (kind === 'conv' && inside.has(output) && hasDenseReader(output, run)) total += elements(output);
  return total;
}

type Said = PassResult['remarks'][number];

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function appliedRemark({ nodes: [node, ...tail], zeros }: SparseLayer): Said {
  const fused = tail.length === 0 ? '' : `, with ${tail.map(({ opType }) => opType).join(', ')}`;
  return { kind: 'applied', node: node.label, message: `sparse at ${percent(zeros)} zeros${fused}` };
}

function missedRemark({ nodes: [node], zeros }: SparseLayer): Said {
  const why =
    zeros < LEAST_ZEROS
      ? `sparse operators pay from ${percent(LEAST_ZEROS)} zeros on, and it has ${percent(zeros)}`
      : `sparse operators would be ${sparseSpeedup(zeros).toFixed(1)}x as fast, and moving data into their layout costs more`;
  return { kind: 'missed', node: node.label, message: `stays dense: ${why}` };
}
