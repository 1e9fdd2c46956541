/**
 * convert-sparse: layers whose weights are zero here and there become sparse operators (kernels/), with what stands right behind them.
 *
 *   x -> Conv(W, 80 % zeros) -> BatchNormalization -> Add(r) -> Relu -> y      x, r -> SparseConv(values, bits, bias, Relu) -> y
 *
 * Exact? To rounding: the same products in another order, normalisations multiplied into weights. Products with removed weights are
 * left out, so what is infinite or NaN there does not spread. Declines when: what a layer wins by a cost table (src/analysis/sparse-cost.ts),
 * or as measured with --tune, is less than moving data into the operators' layout costs (sparse/choose.ts), other types than float32.
 * Pools, sums and the like between such layers join them where that saves moving data (sparse/riders.ts). Cost: one walk over the weights;
 * with --tune some runs of every kind of layer.
 */
import type { Knowledge } from '../src/analysis/site.js';
import { siteOf } from '../src/analysis/site.js';
import { isCompensation } from '../src/analysis/figures.js';
import {
  type CostTable,
  type KindCosts,
  type LayerKind,
  secondsWon,
  speedupAt,
  speedupToWin,
  zerosFor,
} from '../src/analysis/sparse-cost.js';
import type { Value } from '../src/ir/graph.js';
import { product } from '../src/ir/tensor.js';
import { isStatic } from '../src/ops/relation.js';
import { rowOf } from '../src/ops/table.js';
import { type Pass, type PassContext, type PassResult, UNCHANGED } from './pass.js';
import { addedMoves, chooseMembers, type Costs } from './sparse/choose.js';
import { Emitter } from './sparse/emit.js';
import { type Excluded, excludedLayers } from './sparse/excluded.js';
import { possibleRiders } from './sparse/join.js';
import { findLayers, hasRows, isDepthwise, type SparseLayer } from './sparse/layers.js';
import type { Member } from './sparse/places.js';

export const convertSparse: Pass = {
  name: 'convert-sparse',
  summary: 'make layers with scattered zeros sparse operators',
  exactness: 'rounding',
  async run({ editor, knowledge: known, sparse }) {
    const knowledge = await known();
    const found = findLayers(knowledge);
    // Depthwise kernels have few weights each: without zeros they are as fast in the layout, and join as riders do.
    const all = found.filter((layer) => layer.zeros > 0 && !isDepthwise(layer));
    const excluded = excludedLayers(knowledge, found)
      .filter(({ node }) => !isCompensation(node))
      .map(excludedRemark);
    if (all.length === 0) return { ...UNCHANGED, remarks: excluded };
    const { table, notes } = sparse.choice();
    const sized = await sparse.sized();
    const estimates = await estimateAll(all, table, sized, sparse.measure);
    const costs = costsOf(estimates, table, sized);
    const place = new Map(knowledge.graph.nodes.map((node, index) => [node, index]));
    const endOf = ({ nodes }: Member) => place.get(nodes.at(-1) ?? nodes[0]) ?? 0;
    // An operator stands where its last node stood: in that order whatever is entered is there for all who follow.
    const chosen = choose(costs, found, knowledge).toSorted((a, b) => endOf(a) - endOf(b));
    const remarks = [
      ...[...notes, decidedBy(table, estimates)].map((message): Said => ({ kind: 'note', message })),
      ...appliedRemarks(chosen, estimates),
      ...riderRemark(chosen.filter((member) => !isPriced(member, estimates))),
      ...all
        .filter((layer) => !chosen.includes(layer) && !isAdded(layer))
        .map((layer) => missedRemark(layer, estimates.get(layer), addedMoves(layer, chosen, costs.move))),
      ...excluded,
    ];
    if (chosen.length === 0) return { ...UNCHANGED, remarks };
    const changed = editor.transaction('sparse operators', () => new Emitter(editor, knowledge.shapes, chosen).emit());
    return { changed, gains: changed, remarks };
  },
};

/**
 * Layers are chosen with everything around them that could join, then riders anew: the activation behind a layer that stays dense may be
 * one, too.
 */
function choose({ won, move }: Costs<SparseLayer>, found: readonly SparseLayer[], knowledge: Knowledge): Member[] {
  const withRiders = (layers: ReadonlyMap<SparseLayer, number>) => {
    const all = new Map<Member, number>(layers);
    for (const rider of possibleRiders([...layers.keys()], found, knowledge)) all.set(rider, 0);
    return chooseMembers({ won: all, move });
  };
  const first = new Set(withRiders(won));
  const layers = [...won.keys()].filter((layer) => first.has(layer));
  return layers.length === 0 ? [] : withRiders(new Map(layers.map((layer) => [layer, Number.MAX_VALUE])));
}

/** What is known of a layer's speed before anything is decided. */
interface Estimate {
  readonly costs: KindCosts;
  /** A product for a few rows or pixels reads its weights once and uses them hardly more often: no operator makes that faster. */
  readonly hasRows: boolean;
  /** Undefined where extents are unknown. */
  readonly denseSeconds: number | undefined;
  /** Undefined below the table's first share of zeros. */
  readonly speedup: number | undefined;
  readonly isMeasured: boolean;
}

async function estimateAll(
  layers: readonly SparseLayer[],
  table: CostTable,
  sized: Knowledge,
  measure: PassContext['sparse']['measure'],
): Promise<Map<SparseLayer, Estimate>> {
  const estimates = new Map(layers.map((layer) => [layer, estimateOf(layer, table, sized)]));
  if (measure === undefined) return estimates;
  // The largest first: time may run out, and it is spent where there is most to be won.
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

function estimateOf(layer: SparseLayer, table: CostTable, sized: Knowledge): Estimate {
  const { nodes, zeros } = layer;
  const costs = table.layers[kindOf(layer)];
  const macs = rowOf(nodes[0])?.macs?.(siteOf(nodes[0], sized));
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

function costsOf(
  estimates: ReadonlyMap<SparseLayer, Estimate>,
  table: CostTable,
  { shapes }: Knowledge,
): Costs<SparseLayer> {
  const won = new Map<SparseLayer, number>();
  for (const [layer, { denseSeconds, speedup, hasRows: isFit }] of estimates) {
    if (!isFit || speedup === undefined) continue;
    if (denseSeconds !== undefined) won.set(layer, secondsWon(denseSeconds, speedup));
    // How much is unknown, that something is won is not: then it counts for more than any move.
    else if (secondsWon(1, speedup) > 0) won.set(layer, Number.MAX_VALUE);
  }
  return {
    won,
    // What is not static costs nothing here, and is told by the benchmark.
    move: (value: Value) => {
      const dims = shapes.of(value);
      return isStatic(dims) ? product(dims) * table.secondsPerMovedElement : 0;
    },
  };
}

type Said = PassResult['remarks'][number];

function decidedBy({ name }: CostTable, estimates: ReadonlyMap<SparseLayer, Estimate>): string {
  const measured = [...estimates.values()].filter(({ isMeasured }) => isMeasured).length;
  if (measured === 0) return `what pays was decided by the cost table "${name}" (docs/sparse.md)`;
  const rest = estimates.size - measured;
  const how = `what pays was decided by measuring ${measured} ${measured === 1 ? 'layer' : 'layers'}`;
  return `${how}${rest === 0 ? '' : `, for ${rest} by the cost table "${name}"`} (docs/sparse.md)`;
}

/** Layers with zeros have a price; what only joins them has none. */
function isPriced(member: Member, estimates: ReadonlyMap<SparseLayer, Estimate>): member is SparseLayer {
  return member.kind !== 'rider' && estimates.has(member);
}

/** A convolution that the compiler put there gets no remark of its own: nobody would know its name. */
function isAdded({ nodes: [node] }: Member): boolean {
  return isCompensation(node);
}

function appliedRemarks(chosen: readonly Member[], estimates: ReadonlyMap<SparseLayer, Estimate>): Said[] {
  const layers = chosen.filter((member) => isPriced(member, estimates));
  const added = layers.filter(isAdded).length;
  const which =
    added === 1
      ? '1 convolution that this compilation added, for constants of removed channels, is a sparse operator too'
      : `${added} convolutions that this compilation added, for constants of removed channels, are sparse operators too`;
  return [
    ...layers.filter((layer) => !isAdded(layer)).map((layer) => appliedRemark(layer, estimates.get(layer))),
    ...(added === 0 ? [] : [{ kind: 'applied', message: which } as const]),
  ];
}

function appliedRemark({ nodes: [node, ...tail], zeros }: SparseLayer, estimate: Estimate | undefined): Said {
  const fused = tail.length === 0 ? '' : `, with ${tail.map(({ opType }) => opType).join(', ')}`;
  const { isMeasured = false, speedup = 1 } = estimate ?? {};
  const measured = isMeasured ? `, measured ${speedup.toFixed(2)}x as fast` : '';
  return { kind: 'applied', node: node.label, message: `sparse at ${percent(zeros)} zeros${fused}${measured}` };
}

function riderRemark(riders: readonly Member[]): Said[] {
  if (riders.length === 0) return [];
  const types = [...new Set(riders.map(({ nodes: [node] }) => node.opType))].join(', ');
  const which = riders.length === 1 ? '1 operator between them stays' : `${riders.length} operators between them stay`;
  return [{ kind: 'applied', message: `${which} in their layout: ${types}` }];
}

function missedRemark(layer: SparseLayer, estimate: Estimate | undefined, moves: number): Said {
  const why = estimate === undefined ? 'nothing is known of its speed' : whyDense(layer, estimate, moves);
  return { kind: 'missed', node: layer.nodes[0].label, message: `stays dense: ${why}` };
}

function excludedRemark({ node, why }: Excluded): Said {
  return { kind: 'missed', node: node.label, message: `stays dense: ${why}` };
}

/** From which share of zeros on this layer would pay, everything else as it is. */
function whyDense({ zeros }: SparseLayer, estimate: Estimate, moves: number): string {
  const { costs, denseSeconds = Number.POSITIVE_INFINITY, speedup, isMeasured, hasRows: isFit } = estimate;
  if (!isFit) return 'a product for so few rows or pixels is no faster with sparse weights';
  if (isMeasured && speedup !== undefined) {
    const measured = `measured ${speedup.toFixed(2)}x as fast with sparse operators, at ${percent(zeros)} zeros`;
    return secondsWon(1, speedup) > 0 ? `${measured}, which is less than moving its data costs` : measured;
  }
  const needed = speedupToWin(denseSeconds, moves);
  const from = needed === undefined ? undefined : zerosFor(costs, needed);
  if (from !== undefined) return payingFrom(from, zeros);
  return needed === undefined
    ? 'moving its data into the layout of sparse operators would take longer than the layer itself'
    : `sparse operators would have to be ${needed.toFixed(1)}x as fast to pay here, which they are at no share of zeros`;
}

/** With as many digits as it takes to tell the two apart; what has to be reached is rounded up. */
function payingFrom(from: number, zeros: number): string {
  for (let digits = 1; ; digits++) {
    const unit = 10 ** -digits / 100;
    // A share that is a multiple of the unit must not become the next one by an error of its last bit.
    const [needed, has] = [percent(Math.ceil(from / unit - 1e-6) * unit, digits), percent(zeros, digits)];
    if (needed !== has || digits === MOST_DIGITS)
      return `sparse operators would pay from ${needed} zeros on here, and it has ${has}`;
  }
}

/** A millionth of a percent is one weight of a hundred million, more than any layer has. */
const MOST_DIGITS = 6;

/** With one digit, as tables of layers have it. */
function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}
