/**
 * Forward pass: which positions hold one known scalar for every input of the model, and which a
 * known number for each class of places (places.ts).
 */
import { f16round } from '@petamoriken/float16';
import { DOUBLE, FLOAT16, isFloating, product, type Tensor } from '../ir/tensor.js';
import type { Grouped, Known, Linear, Pointwise } from '../ops/axes.js';
import { type AnalyzedNode, forEachPair, type LayerAxes, type ResolvedLink } from './analyzed-node.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import type { Shapes } from '../graph-info/shapes.js';
import { KnownPlaces, type PlaceValues, sumsOverTaps } from './places.js';
import { type Axis, isOperand, type Positions, type Slot } from './positions.js';
import { isRow, WeightMatrix } from './weight-matrix.js';

/**
 * Operands above this many elements are weights of linear readers or lookup tables: nobody asks for
 * their scalars.
 */
const LARGEST_SCALAR_OPERAND = 1 << 20;

/** The axis of channels in an image, or in anything else that a window slides over. */
const CHANNELS = 1;

export interface ConstantFacts {
  /** Per position the scalar, or NaN where it varies or depends on the place. */
  readonly constant: Float64Array;
  /** Positions that depend on the place alone. */
  readonly places: ReadonlyMap<number, PlaceValues>;
}

/**
 * Values are rounded to the output's dtype after each operator. Axes that are not relevant are not
 * followed: nobody asks about rows and columns of an image.
 */
export function propagateConstants(
  nodes: readonly AnalyzedNode[],
  positions: Positions,
  graphInfo: GraphInfo,
  isRelevant: (axis: Axis) => boolean,
): ConstantFacts {
  const pass = new ConstantPass(positions, graphInfo, isRelevant);
  for (const at of nodes) pass.visit(at);
  return pass;
}

/** Axes that share a class with a layer's channels. */
export function relevantAxes(nodes: readonly AnalyzedNode[], positions: Positions): (axis: Axis) => boolean {
  const isOfLayer = new Uint8Array(positions.count);
  for (const { layer } of nodes) {
    for (const axis of [layer?.x, layer?.y])
      for (let index = 0; index < (axis?.extent ?? 0); index++)
        isOfLayer[positions.classOf((axis?.base ?? 0) + index)] = 1;
  }
  const relevant = new Set<Axis>();
  for (const axis of positions.all) {
    for (let position = axis.base; position < axis.base + axis.extent; position++) {
      if (isOfLayer[positions.classOf(position)] !== 1) continue;
      relevant.add(axis);
      break;
    }
  }
  return (axis) => relevant.has(axis);
}

/** One entry per index of an axis, or one scalar for all of them; undefined where it varies. */
type Contribution = readonly Known[] | number | undefined;

class ConstantPass implements ConstantFacts {
  readonly constant: Float64Array;
  readonly places = new Map<number, PlaceValues>();
  readonly #known: KnownPlaces;
  readonly #positions: Positions;
  readonly #shapes: Shapes;
  readonly #isRelevant: (axis: Axis) => boolean;

  constructor(positions: Positions, graphInfo: GraphInfo, isRelevant: (axis: Axis) => boolean) {
    this.constant = new Float64Array(positions.count).fill(Number.NaN);
    this.#known = new KnownPlaces(graphInfo);
    this.#positions = positions;
    this.#shapes = graphInfo.shapes;
    this.#isRelevant = isRelevant;
  }

  visit(at: AnalyzedNode): void {
    const { layer, relation } = at;
    if (layer?.relation.kind === 'linear') this.#linear(at, layer, layer.relation);
    else if (layer?.relation.kind === 'grouped') this.#grouped(at, layer, layer.relation);
    else if (relation?.kind === 'pointwise') this.#pointwise(at, relation);
  }

  #scalarAt(axis: Axis, index: number): number {
    return this.constant[axis.base + index] ?? Number.NaN;
  }

  /**
   * Rounded as a tensor of the dtype stores it; infinities are left alone: absorbing one would make
   * NaN of sums.
   */
  #roundingAt({ node }: AnalyzedNode): (value: number) => number {
    const [output] = node.outputs;
    const dataType = output === undefined ? undefined : this.#shapes.dataTypeOf(output);
    const round = dataType === DOUBLE ? (value: number) => value : dataType === FLOAT16 ? f16round : Math.fround;
    return (value) => {
      const rounded = round(value);
      return Number.isFinite(rounded) ? rounded : Number.NaN;
    };
  }

  /** What holds one number in all classes is a scalar. */
  #setPlaces(position: number, found: PlaceValues): void {
    const [first] = found.values;
    if (first === undefined || found.values.some(Number.isNaN)) return;
    if (found.values.every((value) => value === first)) this.constant[position] = first;
    else this.places.set(position, found);
  }

  #pointwise(at: AnalyzedNode, relation: Pointwise): void {
    const { constant, fill } = relation;
    if (constant === undefined) return;
    for (const slot of at.inSlots)
      if (slot !== undefined && isOperand(slot))
        operandScalars(slot.tensor, this.#positions.axesOf(slot), this.constant);
    const round = this.#roundingAt(at);
    for (const output of at.node.outputs) {
      for (const axis of output === undefined ? [] : this.#positions.axesOf(output)) {
        if (axis === undefined || !this.#isRelevant(axis)) continue;
        const operands = at.inSlots.map((_, index) => this.#contribution(at, index, axis));
        const columns = operands.filter((operand) => typeof operand === 'object');
        // One list for all places: rows read it and do not keep it.
        const values: Known[] = operands.map((operand) => (typeof operand === 'object' ? undefined : operand));
        for (let index = 0; index < axis.extent; index++) {
          for (const [input, operand] of operands.entries())
            if (typeof operand === 'object') values[input] = operand[index];
          const isReached = columns.length === 0 || columns.some((column) => column[index] !== null);
          const result = isReached ? constant(values, axis.axis) : fill;
          if (result !== undefined) this.constant[axis.base + index] = round(result);
        }
        if (relation.samePlace === true) this.#placewise(at, constant, { axis, operands, round });
        if (relation.padsMean === true) this.#paddedMean(at, axis, round);
      }
    }
  }

  /** Channels that varied as scalars, class by class. */
  #placewise(
    at: AnalyzedNode,
    constant: NonNullable<Pointwise['constant']>,
    { axis, operands, round }: { axis: Axis; operands: readonly Contribution[]; round: (value: number) => number },
  ): void {
    const [output] = at.node.outputs;
    if (this.places.size === 0 || axis.axis !== CHANNELS || output === undefined || axis.slot !== output) return;
    const columns = at.inSlots.map((slot, index) => this.#placesAlong(at, slot, index, axis));
    if (columns.every((column) => column === undefined)) return;
    for (let index = 0; index < axis.extent; index++) {
      if (!Number.isNaN(this.#scalarAt(axis, index))) continue;
      const reached = columns.map((column) => column?.get(index));
      const [first, ...others] = reached.filter((found) => found !== undefined);
      if (first === undefined || others.some(({ places }) => places !== first.places)) continue;
      const values = first.values.map((_, place) => {
        const known = operands.map((operand, input): Known => {
          const scalar = typeof operand === 'object' ? operand[index] : operand;
          return reached[input] === undefined ? scalar : reached[input].values[place];
        });
        const result = constant(known, axis.axis);
        return result === undefined ? Number.NaN : round(result);
      });
      this.#setPlaces(axis.base + index, { ...first, values });
    }
  }

  /** By index of the output's channels; undefined where there are none, or at other places. */
  #placesAlong(
    at: AnalyzedNode,
    slot: Slot | undefined,
    operand: number,
    output: Axis,
  ): Map<number, PlaceValues> | undefined {
    if (slot === undefined || isOperand(slot)) return undefined;
    const found = new Map<number, PlaceValues>();
    for (const link of at.links) {
      const { input } = link;
      if (link.operand !== operand || link.output !== output || input?.axis !== CHANNELS) continue;
      forEachPair(link, (from, to) => {
        const values = this.places.get(input.base + from);
        if (values !== undefined) found.set(to, values);
      });
    }
    const [made] = at.node.outputs;
    return found.size === 0 || made === undefined || !this.#known.areSame(slot, made) ? undefined : found;
  }

  /** A mean that counts zeros of padding. */
  #paddedMean(at: AnalyzedNode, axis: Axis, round: (value: number) => number): void {
    const [slot] = at.inSlots;
    const input = slot === undefined || isOperand(slot) ? undefined : this.#positions.axesOf(slot)[CHANNELS];
    if (axis.axis !== CHANNELS || input?.extent !== axis.extent) return;
    for (let index = 0; index < axis.extent; index++) {
      const value = this.#scalarAt(input, index);
      if (Number.isNaN(value) || value === 0) continue;
      const places = this.#known.at(at);
      if (places === undefined) return;
      const values = sumsOverTaps(places, () => value / product(places.taps)).map(round);
      this.#setPlaces(axis.base + index, { places, source: at, values });
    }
  }

  /**
   * What input `index` contributes along an output axis. The links that always hold say together
   * what reaches a place; of the axes of a choice each says it alone.
   */
  #contribution(at: AnalyzedNode, index: number, axis: Axis): Contribution {
    if (at.choices.length === 0) return this.#alongLinks(at, index, axis, at.links);
    const alone = at.choices.flat().map((link) => [link]);
    return [at.links, ...alone].map((links) => this.#alongLinks(at, index, axis, links)).reduce(surer);
  }

  /**
   * One entry per index where the operand is linked to the axis (null where no link reaches it), or
   * one scalar for all indices where it is not (a broadcast operand).
   */
  #alongLinks(at: AnalyzedNode, index: number, axis: Axis, links: readonly ResolvedLink[]): Contribution {
    const slot = at.inSlots[index];
    if (slot === undefined) return undefined;
    let column: Known[] | undefined;
    for (const link of links) {
      const { operand, input, output } = link;
      if (operand !== index || output !== axis) continue;
      if (input === undefined) return undefined;
      const filled = (column ??= Array.from({ length: axis.extent }, (): Known => null));
      forEachPair(link, (from, to) => {
        const scalar = this.#scalarAt(input, from);
        const value = Number.isNaN(scalar) ? undefined : scalar;
        if (filled[to] === null) filled[to] = value;
        else if (filled[to] !== value) filled[to] = undefined;
      });
    }
    if (column !== undefined) return column;
    return isOperand(slot) ? uniformScalar(slot.tensor) : undefined;
  }

  /**
   * An output is constant when no varying input (and, at padded borders, no constant other than 0)
   * reaches it.
   */
  #linear(at: AnalyzedNode, { x, y }: LayerAxes, relation: Linear): void {
    const view = viewOf(at, relation.weights, relation.bias);
    if (x === undefined || y === undefined || view === undefined) return;
    const round = this.#roundingAt(at);
    const varying: number[] = [];
    const fixed: number[] = [];
    for (let index = 0; index < x.extent; index++) {
      const value = this.#scalarAt(x, index);
      if (Number.isNaN(value)) varying.push(index);
      else if (value !== 0) fixed.push(index);
    }
    for (let output = 0; output < y.extent; output++) {
      if (view.weights.readsAny(output, varying)) continue;
      if (relation.padded && view.weights.readsAny(output, fixed)) continue;
      let total = 0;
      for (const input of fixed) total += this.#scalarAt(x, input) * view.weights.sum(output, input);
      this.constant[y.base + output] = round(relation.alpha * total + view.bias(output));
    }
  }

  #grouped(at: AnalyzedNode, { x, y }: LayerAxes, relation: Grouped): void {
    const view = viewOf(at, { ...relation.weights, inAxis: 1 }, relation.bias && { ...relation.bias, beta: 1 });
    if (x === undefined || y === undefined || view === undefined) return;
    const round = this.#roundingAt(at);
    const inputs = x.extent / relation.groups;
    const outputs = y.extent / relation.groups;
    for (let output = 0; output < y.extent; output++) {
      const group = Math.floor(output / outputs);
      const scalarOf = (input: number) => this.#scalarAt(x, group * inputs + input);
      const read = Array.from({ length: inputs }, (_, input) => input).filter(
        (input) => scalarOf(input) !== 0 && view.weights.connects(output, input),
      );
      if (read.some((input) => Number.isNaN(scalarOf(input)))) continue;
      const bias = view.bias(output);
      if (!relation.padded || read.length === 0) {
        const total = read.reduce((sum, input) => sum + scalarOf(input) * view.weights.sum(output, input), 0);
        this.constant[y.base + output] = round(total + bias);
        continue;
      }
      const places = this.#known.at(at);
      if (places === undefined) continue;
      const ofTap = (tap: number) =>
        read.reduce((sum, input) => sum + scalarOf(input) * view.weights.at(output, input, tap), 0);
      const values = sumsOverTaps(places, ofTap).map((value) => round(value + bias));
      this.#setPlaces(y.base + output, { places, source: at, values });
    }
  }
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

function viewOf(at: AnalyzedNode, weights: Linear['weights'], bias: Linear['bias']): LinearView | undefined {
  const tensor = at.site.constant(weights.index);
  if (tensor === undefined || !isFloating(tensor.dataType)) return undefined;
  const biasTensor = bias === undefined ? undefined : at.site.constant(bias.index);
  const biasValues = biasTensor?.numbers();
  const matrix = new WeightMatrix(tensor, weights);
  if (biasTensor !== undefined && biasValues !== undefined && bias !== undefined) {
    // Gemm allows any bias that broadcasts to [M, N]; one row of N (or a scalar) is a bias per
    // output.
    if (biasTensor.size !== 1 && !isRow(biasTensor, matrix.outputs)) return { weights: matrix, bias: () => Number.NaN };
    return { weights: matrix, bias: (output) => bias.beta * (biasValues[biasTensor.size === 1 ? 0 : output] ?? 0) };
  }
  return { weights: matrix, bias: () => 0 };
}
