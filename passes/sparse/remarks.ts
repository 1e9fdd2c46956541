/** What convert-sparse says: how it was decided, which layers became sparse operators, and why others did not. */
import { type CostTable, secondsWon, speedupToWin, zerosFor } from '../../src/cost/sparse-cost.js';
import { isCompensation } from '../../src/ir/origin.js';
import type { PassResult } from '../pass.js';
import { addedMoves, type Costs } from './choose.js';
import { type Estimate, isPriced } from './estimate.js';
import type { Excluded } from './excluded.js';
import type { SparseLayer } from './layers.js';
import type { Member } from './places.js';

type Said = PassResult['remarks'][number];

/** A share of zeros below this is shown as 0.0 %. So few are there by chance, and no layer is spoken of for them. */
const HARDLY_ANY = 0.0005;

export function decisionNotes(
  notes: readonly string[],
  table: CostTable,
  estimates: ReadonlyMap<SparseLayer, Estimate>,
): Said[] {
  return [...notes, decidedBy(table, estimates)].map((message) => ({ kind: 'note', message }));
}

function decidedBy({ name }: CostTable, estimates: ReadonlyMap<SparseLayer, Estimate>): string {
  const measured = [...estimates.values()].filter(({ isMeasured }) => isMeasured).length;
  if (measured === 0) return `layers were chosen by the cost table "${name}" (docs/sparse.md)`;
  const rest = estimates.size - measured;
  const how = `layers were chosen by measuring ${measured} ${measured === 1 ? 'layer' : 'layers'}`;
  return `${how}${rest === 0 ? '' : `, for ${rest} by the cost table "${name}"`} (docs/sparse.md)`;
}

/** A convolution that the compiler put there gets no remark of its own: nobody would know its name. */
function isAdded({ nodes: [node] }: Member): boolean {
  return isCompensation(node);
}

export function appliedRemarks(made: readonly Member[], estimates: ReadonlyMap<SparseLayer, Estimate>): Said[] {
  const layers = made.filter((member) => isPriced(member, estimates));
  const added = layers.filter(isAdded).length;
  const which =
    added === 1
      ? '1 convolution that compensates for removed channels is a sparse operator too'
      : `${added} convolutions that compensate for removed channels are sparse operators too`;
  return [
    ...layers.filter((layer) => !isAdded(layer)).map((layer) => appliedRemark(layer, estimates.get(layer))),
    ...(added === 0 ? [] : [{ kind: 'applied', message: which } as const]),
    ...riderRemark(made.filter((member) => !isPriced(member, estimates))),
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
  const which = riders.length === 1 ? '1 operator between them keeps' : `${riders.length} operators between them keep`;
  return [{ kind: 'applied', message: `${which} their layout: ${types}` }];
}

/** `chosen` are those that pay; `excluded` those that cannot be sparse. */
export function missedRemarks(
  all: readonly SparseLayer[],
  chosen: readonly Member[],
  estimates: ReadonlyMap<SparseLayer, Estimate>,
  excluded: readonly Excluded[],
  move: Costs['move'],
): Said[] {
  const dense = all.filter((layer) => !chosen.includes(layer) && !isAdded(layer));
  const hardly = [...dense, ...excluded].filter(({ zeros }) => zeros < HARDLY_ANY).length;
  return [
    ...(hardly === 0 ? [] : [{ kind: 'note', message: hardlyAny(hardly) } as const]),
    ...dense
      .filter(({ zeros }) => zeros >= HARDLY_ANY)
      .map((layer) => missedRemark(layer, estimates.get(layer), addedMoves(layer, chosen, move))),
    ...excluded.filter(({ zeros }) => zeros >= HARDLY_ANY).map(excludedRemark),
  ];
}

function hardlyAny(layers: number): string {
  const which =
    layers === 1 ? '1 layer is kept dense because it has' : `${layers} layers are kept dense because they have`;
  return `${which} hardly any zeros (less than 0.05 %)`;
}

function missedRemark(layer: SparseLayer, estimate: Estimate | undefined, moves: number): Said {
  const why = estimate === undefined ? 'its speed is unknown' : whyDense(layer, estimate, moves);
  return { kind: 'missed', node: layer.nodes[0].label, message: `kept dense: ${why}` };
}

function excludedRemark({ node, why }: Excluded): Said {
  return { kind: 'missed', node: node.label, message: `kept dense: ${why}` };
}

/** From which share of zeros on this layer would pay, everything else as it is. */
function whyDense({ zeros }: SparseLayer, estimate: Estimate, moves: number): string {
  const { costs, denseSeconds = Number.POSITIVE_INFINITY, speedup, isMeasured, hasRows: isFit } = estimate;
  if (!isFit) return 'with so few rows or pixels, sparse weights are not faster';
  if (isMeasured && speedup !== undefined) {
    const measured = `measured ${speedup.toFixed(2)}x as fast with sparse operators, at ${percent(zeros)} zeros`;
    return secondsWon(1, speedup) > 0 ? `${measured}, which does not make up for the change of layout` : measured;
  }
  const needed = speedupToWin(denseSeconds, moves);
  const from = needed === undefined ? undefined : zerosFor(costs, needed);
  if (from !== undefined) return payingFrom(from, zeros);
  return needed === undefined
    ? 'the change to the layout of sparse operators would take longer than the layer itself'
    : `sparse operators would have to be ${needed.toFixed(1)}x as fast to pay off here, which they are at no fraction of zeros`;
}

/** With as many digits as it takes to tell the two apart; what has to be reached is rounded up. */
function payingFrom(from: number, zeros: number): string {
  for (let digits = 1; ; digits++) {
    const unit = 10 ** -digits / 100;
    // A share that is a multiple of the unit must not become the next one by an error of its last bit.
    const [needed, has] = [percent(Math.ceil(from / unit - 1e-6) * unit, digits), percent(zeros, digits)];
    if (needed !== has || digits === MOST_DIGITS)
      return `sparse operators would pay off here from ${needed} zeros, and the layer has ${has}`;
  }
}

/** A millionth of a percent is one weight of a hundred million, more than any layer has. */
const MOST_DIGITS = 6;

/** With one digit, as tables of layers have it. */
function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}
