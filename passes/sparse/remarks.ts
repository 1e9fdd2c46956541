/**
 * Remarks of convert-sparse: how it decided, which layers became sparse, and why others did not.
 */
import { type CostTable, secondsWon, speedupToWin, zerosFor } from '../../src/cost/sparse-cost.js';
import type { TableChoice } from '../../src/cost/sparse-target.js';
import { isCompensation } from '../../src/ir/origin.js';
import type { PassResult } from '../pass.js';
import type { SparseLayer } from './candidates.js';
import { type Estimate, isPriced } from './estimate.js';
import type { Excluded } from './excluded.js';
import type { NativeOp } from './layout-assignment.js';
import { addedMoves, type Costs } from './select.js';

type Remark = PassResult['remarks'][number];

/**
 * A share of zeros below this is shown as 0.0 %. So few zeros are there by chance, and the layer
 * gets no remark of its own.
 */
const HARDLY_ANY = 0.0005;

export function decisionNotes(
  { table, notes, likeness }: TableChoice,
  estimates: ReadonlyMap<SparseLayer, Estimate>,
): Remark[] {
  return [...notes, decidedBy(table, likeness, estimates)].map((message) => ({ kind: 'note', message }));
}

function decidedBy(
  { name }: CostTable,
  likeness: string | undefined,
  estimates: ReadonlyMap<SparseLayer, Estimate>,
): string {
  const measured = [...estimates.values()].filter(({ isMeasured }) => isMeasured).length;
  const like = likeness === undefined ? '' : `, measured on a processor like this one (${likeness})`;
  if (measured === 0) return `layers were chosen by the cost table "${name}"${like} (docs/sparse.md)`;
  const rest = estimates.size - measured;
  const how = `layers were chosen by measuring ${measured} ${measured === 1 ? 'layer' : 'layers'}`;
  return `${how}${rest === 0 ? '' : `, for ${rest} by the cost table "${name}"`} (docs/sparse.md)`;
}

/** A convolution that the compiler added gets no remark of its own: users do not know its name. */
function isAdded({ nodes: [node] }: NativeOp): boolean {
  return isCompensation(node);
}

export function appliedRemarks(ops: readonly NativeOp[], estimates: ReadonlyMap<SparseLayer, Estimate>): Remark[] {
  const layers = ops.filter((op) => isPriced(op, estimates));
  const added = layers.filter(isAdded).length;
  const which =
    added === 1
      ? '1 convolution that compensates for removed channels is a sparse operator too'
      : `${added} convolutions that compensate for removed channels are sparse operators too`;
  return [
    ...layers.filter((layer) => !isAdded(layer)).map((layer) => appliedRemark(layer, estimates.get(layer))),
    ...(added === 0 ? [] : [{ kind: 'applied', message: which } as const]),
    ...layoutOpRemark(ops.filter((op) => !isPriced(op, estimates))),
  ];
}

function appliedRemark({ nodes: [node, ...rest], zeros }: SparseLayer, estimate: Estimate | undefined): Remark {
  const fused = rest.length === 0 ? '' : `, with ${rest.map(({ opType }) => opType).join(', ')}`;
  const { isMeasured = false, speedup = 1 } = estimate ?? {};
  const measured = isMeasured ? `, measured ${speedup.toFixed(2)}x as fast` : '';
  return { kind: 'applied', node: node.label, message: `sparse at ${percent(zeros)} zeros${fused}${measured}` };
}

function layoutOpRemark(ops: readonly NativeOp[]): Remark[] {
  if (ops.length === 0) return [];
  const types = [...new Set(ops.map(({ nodes: [node] }) => node.opType))].join(', ');
  const which = ops.length === 1 ? '1 operator between them keeps' : `${ops.length} operators between them keep`;
  return [{ kind: 'applied', message: `${which} their layout: ${types}` }];
}

export interface Decision {
  /** The layers with zeros that could be sparse. */
  readonly layers: readonly SparseLayer[];
  /** The operators that pay. */
  readonly selected: readonly NativeOp[];
  /** The layers that cannot be sparse. */
  readonly excluded: readonly Excluded[];
  readonly estimates: ReadonlyMap<SparseLayer, Estimate>;
  readonly move: Costs['move'];
}

/** Why layers stay dense. */
export function missedRemarks({ layers, selected, excluded, estimates, move }: Decision): Remark[] {
  const dense = layers.filter((layer) => !selected.includes(layer) && !isAdded(layer));
  const hardly = [...dense, ...excluded].filter(({ zeros }) => zeros < HARDLY_ANY).length;
  return [
    ...(hardly === 0 ? [] : [{ kind: 'note', message: hardlyAny(hardly) } as const]),
    ...dense
      .filter(({ zeros }) => zeros >= HARDLY_ANY)
      .map((layer) => missedRemark(layer, estimates.get(layer), addedMoves(layer, selected, move))),
    ...excluded.filter(({ zeros }) => zeros >= HARDLY_ANY).map(excludedRemark),
  ];
}

function hardlyAny(layers: number): string {
  const which =
    layers === 1 ? '1 layer is kept dense because it has' : `${layers} layers are kept dense because they have`;
  return `${which} hardly any zeros (less than 0.05 %)`;
}

function missedRemark(layer: SparseLayer, estimate: Estimate | undefined, moves: number): Remark {
  const why = estimate === undefined ? 'its speed is unknown' : whyDense(layer, estimate, moves);
  return { kind: 'missed', node: layer.nodes[0].label, message: `kept dense: ${why}` };
}

function excludedRemark({ node, why }: Excluded): Remark {
  return { kind: 'missed', node: node.label, message: `kept dense: ${why}` };
}

/** The share of zeros from which this layer would pay, if everything else stayed the same. */
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

/** With enough digits to distinguish the two shares. The share to be reached is rounded up. */
function payingFrom(from: number, zeros: number): string {
  for (let digits = 1; ; digits++) {
    const unit = 10 ** -digits / 100;
    // A rounding error must not raise a multiple of the unit to the next one.
    const [needed, has] = [percent(Math.ceil(from / unit - 1e-6) * unit, digits), percent(zeros, digits)];
    if (needed !== has || digits === MOST_DIGITS)
      return `sparse operators would pay off here from ${needed} zeros, and the layer has ${has}`;
  }
}

/** A millionth of a percent is one weight in a hundred million, and no layer has so many. */
const MOST_DIGITS = 6;

/** With one digit by default, as in tables of layers. */
function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}
