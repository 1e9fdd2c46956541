/** Forward pass: which positions hold one known scalar for every input of the model. */
import { f16round } from '@petamoriken/float16';
import { DOUBLE, FLOAT16, isFloating, type Tensor } from '../ir/tensor.js';
import type { Grouped, Known, Linear, Pointwise } from '../ops/relation.js';
import type { NodeSite } from './facts.js';
import { type Axis, isOperand, type Positions, type Slot } from './positions.js';
import { axisOf, forEachPair } from './relate.js';
import type { Shapes } from './shapes.js';
import { isRow, WeightMatrix } from './weights.js';

/** Operands above this many elements are weights of linear readers or lookup tables: nobody asks for their scalars. */
const LARGEST_SCALAR_OPERAND = 1 << 20;

/** Per position the scalar, or NaN where it varies. Values are rounded to the output's dtype after each operator. */
export function propagateConstants(sites: readonly NodeSite[], positions: Positions, shapes: Shapes): Float64Array {
  const constant = new Float64Array(positions.count).fill(Number.NaN);
  const isRelevant = relevantAxes(sites, positions);
  for (const at of sites) {
    const { relation } = at;
    const [output] = at.node.outputs;
    const toScalar = scalarOf(output === undefined ? undefined : shapes.dataTypeOf(output));
    if (relation?.kind === 'pointwise') pointwise(at, relation, positions, constant, isRelevant, toScalar);
    else if (relation?.kind === 'linear') linear(at, relation, positions, constant, toScalar);
    else if (relation?.kind === 'grouped') grouped(at, relation, positions, constant, toScalar);
  }
  return constant;
}

/** Rounded as a tensor of the dtype stores it; infinities are left alone: absorbing one would make NaN of sums. */
type ToScalar = (value: number) => number;

function scalarOf(dataType: number | undefined): ToScalar {
  const round = dataType === DOUBLE ? (value: number) => value : dataType === FLOAT16 ? f16round : Math.fround;
  return (value) => {
    const rounded = round(value);
    return Number.isFinite(rounded) ? rounded : Number.NaN;
  };
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}

/** Only axes that share a class with a layer's channels are followed: nobody asks about rows and columns of an image. */
export function relevantAxes(sites: readonly NodeSite[], positions: Positions): (axis: Axis) => boolean {
  const classes = new Uint8Array(positions.count);
  for (const at of sites) {
    if (at.relation?.kind !== 'linear' && at.relation?.kind !== 'grouped') continue;
    for (const ref of [at.relation.x, at.relation.y]) {
      const axis = axisOf(at, ref, positions);
      for (let index = 0; index < (axis?.extent ?? 0); index++)
        classes[positions.classOf((axis?.base ?? 0) + index)] = 1;
    }
  }
  return (axis) => {
    for (let index = 0; index < axis.extent; index++)
      if (classes[positions.classOf(axis.base + index)] === 1) return true;
    return false;
  };
}

function pointwise(
  at: NodeSite,
  relation: Pointwise,
  positions: Positions,
  constant: Float64Array,
  isRelevant: (axis: Axis) => boolean,
  toScalar: ToScalar,
): void {
  if (relation.constant === undefined) return;
  for (const slot of at.inSlots)
    if (slot !== undefined && isOperand(slot)) operandScalars(slot.tensor, positions.axesOf(slot), constant);
  // The links that always hold say together what reaches a place; of the axes of a choice each says it alone.
  const alone = (relation.choices ?? []).flatMap(({ candidates }) => candidates.map((link) => [link]));
  const linkSets = [relation.links, ...alone];
  for (const output of at.node.outputs) {
    if (output === undefined) continue;
    for (const axis of positions.axesOf(output)) {
      if (axis === undefined || !isRelevant(axis)) continue;
      const operands = at.inSlots.map((slot, index) => {
        const columns = linkSets.map((links) => operandAlong(at, slot, index, links, axis, positions, constant));
        return columns.reduce((all, column) => surer(all, column));
      });
      const linked = operands.filter((column) => typeof column === 'object');
      for (let index = 0; index < axis.extent; index++) {
        const values = operands.map((column) => (typeof column === 'object' ? column[index] : column));
        const reached = linked.length === 0 || linked.some((column) => column[index] !== null);
        const result = reached ? relation.constant(values, axis.axis) : relation.fill;
        if (result !== undefined) constant[axis.base + index] = toScalar(result);
      }
    }
  }
}

/** One entry per index of an axis, or one scalar for all of them; undefined where it varies. */
type Contribution = readonly Known[] | number | undefined;

/**
 * What operand `slot` contributes along output axis `axis`: one entry per index where the operand is linked to the axis
 * (null where no link reaches it), or one scalar for all indices where it is not (a broadcast operand).
 */
function operandAlong(
  at: NodeSite,
  slot: Slot | undefined,
  index: number,
  links: Pointwise['links'],
  axis: Axis,
  positions: Positions,
  constant: Float64Array,
): Contribution {
  if (slot === undefined) return undefined;
  let column: Known[] | undefined;
  for (const link of links) {
    const forward = link.from.side === 'in';
    const [inRef, outRef] = forward ? [link.from, link.to] : [link.to, link.from];
    if (inRef.index !== index || axisOf(at, outRef, positions) !== axis) continue;
    const source = axisOf(at, inRef, positions);
    if (source === undefined) return undefined;
    const filled = (column ??= Array.from({ length: axis.extent }, (): Known => null));
    forEachPair(link, forward ? source.extent : axis.extent, (from, to) => {
      const [inIndex, outIndex] = forward ? [from, to] : [to, from];
      const value = known(constant[source.base + inIndex] ?? Number.NaN);
      if (filled[outIndex] === null) filled[outIndex] = value;
      else if (filled[outIndex] !== value) filled[outIndex] = undefined;
    });
  }
  if (column !== undefined) return column;
  return isOperand(slot) ? uniformScalar(slot.tensor) : undefined;
}

/** Of two true statements about the same operand the one that knows more, place by place. */
function surer(a: Contribution, b: Contribution): Contribution {
  if (typeof a !== 'object' || typeof b !== 'object') return typeof b === 'object' ? b : a;
  return a.map((value, index) => {
    const other = b[index];
    return value === null || (value === undefined && typeof other === 'number') ? other : value;
  });
}

function uniformScalar(tensor: Tensor): number | undefined {
  if (!isFloating(tensor.dataType) || tensor.size === 0 || tensor.size > LARGEST_SCALAR_OPERAND) return undefined;
  const values = tensor.numbers();
  const [first] = values;
  return values.every((value) => value === first) ? first : undefined;
}

/** The scalar of each slice of a constant tensor that holds only one. */
function operandScalars(tensor: Tensor, axes: readonly (Axis | undefined)[], constant: Float64Array): void {
  if (!isFloating(tensor.dataType) || tensor.size > LARGEST_SCALAR_OPERAND) return;
  const values = tensor.numbers();
  let inner = 1;
  for (const axis of axes.toReversed()) {
    if (axis === undefined) return;
    const seen = new Uint8Array(axis.extent);
    const first = new Float64Array(axis.extent).fill(Number.NaN);
    for (let at = 0; at < values.length; at++) {
      const index = Math.floor(at / inner) % axis.extent;
      const value = values[at] ?? Number.NaN;
      if (seen[index] === 0) {
        seen[index] = 1;
        first[index] = value;
      } else if (first[index] !== value) first[index] = Number.NaN;
    }
    constant.set(first, axis.base);
    inner *= axis.extent;
  }
}

interface LinearView {
  readonly weights: WeightMatrix;
  readonly bias: (output: number) => number;
}

function viewOf(at: NodeSite, weights: Linear['weights'], bias: Linear['bias']): LinearView | undefined {
  const tensor = at.site.constant(weights.index);
  if (tensor === undefined || !isFloating(tensor.dataType)) return undefined;
  const biasTensor = bias === undefined ? undefined : at.site.constant(bias.index);
  const biasValues = biasTensor?.numbers();
  const matrix = new WeightMatrix(tensor, weights);
  if (biasTensor !== undefined && biasValues !== undefined && bias !== undefined) {
    // Gemm allows any bias that broadcasts to [M, N]; one row of N (or a scalar) is a bias per output.
    if (biasTensor.size !== 1 && !isRow(biasTensor, matrix.outputs)) return { weights: matrix, bias: () => Number.NaN };
    return { weights: matrix, bias: (output) => bias.beta * (biasValues[biasTensor.size === 1 ? 0 : output] ?? 0) };
  }
  return { weights: matrix, bias: () => 0 };
}

/** An output is constant when no varying input (and, at padded borders, no constant other than 0) reaches it. */
function linear(
  at: NodeSite,
  relation: Linear,
  positions: Positions,
  constant: Float64Array,
  toScalar: ToScalar,
): void {
  const x = axisOf(at, relation.x, positions);
  const y = axisOf(at, relation.y, positions);
  const view = viewOf(at, relation.weights, relation.bias);
  if (x === undefined || y === undefined || view === undefined) return;
  const varying: number[] = [];
  const fixed: number[] = [];
  for (let index = 0; index < x.extent; index++) {
    const value = constant[x.base + index] ?? Number.NaN;
    if (Number.isNaN(value)) varying.push(index);
    else if (value !== 0) fixed.push(index);
  }
  for (let output = 0; output < y.extent; output++) {
    if (view.weights.readsAny(output, varying)) continue;
    if (relation.padded && view.weights.readsAny(output, fixed)) continue;
    let total = 0;
    for (const input of fixed) total += (constant[x.base + input] ?? 0) * view.weights.sum(output, input);
    constant[y.base + output] = toScalar(relation.alpha * total + view.bias(output));
  }
}

function grouped(
  at: NodeSite,
  relation: Grouped,
  positions: Positions,
  constant: Float64Array,
  toScalar: ToScalar,
): void {
  const x = axisOf(at, relation.x, positions);
  const y = axisOf(at, relation.y, positions);
  const view = viewOf(at, { ...relation.weights, inAxis: 1 }, relation.bias && { ...relation.bias, beta: 1 });
  if (x === undefined || y === undefined || view === undefined) return;
  const inputs = x.extent / relation.groups;
  const outputs = y.extent / relation.groups;
  for (let output = 0; output < y.extent; output++) {
    const group = Math.floor(output / outputs);
    let total = 0;
    for (let input = 0; input < inputs && !Number.isNaN(total); input++) {
      const value = constant[x.base + group * inputs + input] ?? Number.NaN;
      if (value === 0 || !view.weights.connects(output, input)) continue;
      total += relation.padded ? Number.NaN : value * view.weights.sum(output, input);
    }
    if (!Number.isNaN(total)) constant[y.base + output] = toScalar(total + view.bias(output));
  }
}
