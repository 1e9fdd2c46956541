/**
 * Forward pass: which positions hold one known scalar for every input of the model, and which a
 * known number for each class of places (places.ts).
 */
import { f16round } from '@petamoriken/float16';
import { BFLOAT16, FLOAT, FLOAT16, isFloating, isNumeric, Tensor } from '../ir/tensor.js';
import { type Known, type LayerRelation, type Pointwise, zeroOf } from '../ops/axes.js';
import { type AnalyzedNode, forEachPair, type LayerAxes, type ResolvedLink } from './analyzed-node.js';
import { askedScalars, type Contribution } from './asked-scalars.js';
import { askedCodes, type Sum } from './asked-sums.js';
import { type Axis, isOperand, type Positions } from './positions.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { MovedZeros } from './moved-zeros.js';
import { PlaceConstants } from './place-constants.js';
import type { PlaceValues } from './places.js';
import { isRow, weightMatrix, type WeightMatrix } from './weight-matrix.js';

/**
 * Operands above this many elements are weights of linear readers or lookup tables: nobody asks for
 * their scalars.
 */
const LARGEST_SCALAR_OPERAND = 1 << 20;

/**
 * A layer's sum and its quantisation become one integer kernel: the sum is scaled by a product and
 * quotient of three scales, each rounded to 2^-24 of it, instead of by one after the other. This is
 * some ten times as much.
 */
const FUSED_ROUNDING = 2 ** -19;

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
export async function propagateConstants(
  nodes: readonly AnalyzedNode[],
  positions: Positions,
  graphInfo: GraphInfo,
  isRelevant: (axis: Axis) => boolean,
): Promise<ConstantFacts> {
  const pass = new ConstantPass(positions, graphInfo, isRelevant);
  for (const at of nodes) await pass.visit(at);
  return { constant: pass.constant, places: pass.places };
}

class ConstantPass {
  readonly constant: Float64Array;
  /**
   * Per position 1 where the constant went through arithmetic, so that on another machine its last
   * digits may be others.
   */
  readonly #isRounded: Uint8Array;
  readonly #positions: Positions;
  readonly #graphInfo: GraphInfo;
  readonly #isRelevant: (axis: Axis) => boolean;
  readonly #moved: MovedZeros;
  readonly #byPlace: PlaceConstants;

  constructor(positions: Positions, graphInfo: GraphInfo, isRelevant: (axis: Axis) => boolean) {
    this.constant = new Float64Array(positions.count).fill(Number.NaN);
    this.#isRounded = new Uint8Array(positions.count);
    this.#positions = positions;
    this.#graphInfo = graphInfo;
    this.#isRelevant = isRelevant;
    this.#moved = new MovedZeros(this.constant);
    this.#byPlace = new PlaceConstants({ constant: this.constant, isRounded: this.#isRounded }, positions, graphInfo);
  }

  get places(): ReadonlyMap<number, PlaceValues> {
    return this.#byPlace.places;
  }

  async visit(at: AnalyzedNode): Promise<void> {
    const { layer, relation } = at;
    if (this.#isDecoded(at)) return;
    if (layer !== undefined) await this.#layer(at, layer);
    else if (relation?.kind === 'pointwise') {
      await this.#pointwise(at, relation);
      this.#moved.visit(at, relation);
    }
  }

  /** Of constants that are decoded the contents are known. */
  #isDecoded({ node }: AnalyzedNode): boolean {
    const { constants } = this.#graphInfo;
    let isDecoded = false;
    for (const value of node.outputs) {
      const tensor = constants.isDecoded(value) ? constants.tensor(value) : undefined;
      if (value === undefined || tensor === undefined) continue;
      isDecoded = true;
      operandScalars(tensor, this.#positions.axesOf(value), this.constant);
    }
    return isDecoded;
  }

  #scalarAt(axis: Axis, index: number): number {
    return this.constant[axis.base + index] ?? Number.NaN;
  }

  #dataTypeAt({ node }: AnalyzedNode, output = 0): number | undefined {
    const value = node.outputs[output];
    return value === undefined ? undefined : this.#graphInfo.shapes.dataTypeOf(value);
  }

  /**
   * Rounded as a tensor of the dtype stores it; infinities are left alone: absorbing one would make
   * NaN of sums.
   */
  #roundingAt(at: AnalyzedNode): (value: number) => number {
    const dataType = this.#dataTypeAt(at);
    return (value) => {
      const rounded = roundedTo(dataType, value);
      return Number.isFinite(rounded) ? rounded : Number.NaN;
    };
  }

  async #pointwise(at: AnalyzedNode, relation: Pointwise): Promise<void> {
    const { constant, isAsked, fill, rounds } = relation;
    if (constant === undefined && isAsked === undefined) return;
    for (const slot of at.inSlots)
      if (slot !== undefined && isOperand(slot))
        operandScalars(slot.tensor, this.#positions.axesOf(slot), this.constant);
    const round = this.#roundingAt(at);
    for (const [output, value] of at.node.outputs.entries()) {
      for (const axis of value === undefined ? [] : this.#positions.axesOf(value)) {
        if (axis === undefined || !this.#isRelevant(axis)) continue;
        const operands = at.inSlots.map((_, index) => this.#contribution(at, index, axis));
        const columns = operands.filter((operand) => typeof operand === 'object');
        // One list for all places: rows read it and do not keep it.
        const values: Known[] = operands.map((operand) => (typeof operand === 'object' ? undefined : operand));
        const open: number[] = [];
        for (let index = 0; index < axis.extent; index++) {
          for (const [input, operand] of operands.entries())
            if (typeof operand === 'object') values[input] = operand[index];
          const isReached = columns.length === 0 || columns.some((column) => column[index] !== null);
          const result = isReached ? constant?.(values, axis.axis) : fill;
          if (result !== undefined) this.constant[axis.base + index] = round(result);
          else if (isReached) open.push(index);
          if (rounds === true && result !== 0) this.#isRounded[axis.base + index] = 1;
        }
        this.#markRounded(at, axis);
        if (isAsked === true && open.length > 0) await this.#ask(at, { output, axis, operands, open });
        if (output !== 0) continue;
        if (relation.samePlace === true && !this.#jumps(at))
          await this.#byPlace.elementwise(at, relation, { axis, operands, round });
        if (relation.padsMean === true) this.#byPlace.paddedMean(at, axis, round);
      }
    }
  }

  /** An integer of numbers that are rounded may be the one beside it. */
  #jumps(at: AnalyzedNode, output = 0): boolean {
    const { relation } = at;
    if (relation?.kind !== 'pointwise') return false;
    return relation.jumps === true || (relation.isAsked === true && !isFloating(this.#dataTypeAt(at, output) ?? FLOAT));
  }

  /**
   * Where any known operand is rounded, so is what is made of it, but zeros that follow from a zero
   * alone.
   */
  #markRounded(at: AnalyzedNode, axis: Axis): void {
    const rounded = new Set<number>();
    const sureZeros = new Set<number>();
    for (const link of [...at.links, ...at.choices.flat()]) {
      const { input, output } = link;
      if (input === undefined || output !== axis) continue;
      forEachPair(link, (from, to) => {
        if (this.#isRounded[input.base + from] === 1) rounded.add(axis.base + to);
        else if (this.#scalarAt(input, from) === 0 && this.#scalarAt(axis, to) === 0) sureZeros.add(axis.base + to);
      });
    }
    for (const position of rounded) if (!sureZeros.has(position)) this.#isRounded[position] = 1;
  }

  async #ask(
    at: AnalyzedNode,
    {
      output,
      axis,
      operands,
      open,
    }: {
      readonly output: number;
      readonly axis: Axis;
      readonly operands: readonly Contribution[];
      readonly open: readonly number[];
    },
  ): Promise<void> {
    const { relation } = at;
    const isSure = this.#jumps(at, output) || (relation?.kind === 'pointwise' && relation.isExact === true);
    const ask = (given: readonly Contribution[]) =>
      askedScalars({ at, output, axis: axis.axis, operands: given }, open, this.#graphInfo);
    const scalars = await ask(operands);
    if (relation?.kind === 'pointwise' && relation.isFused === true) {
      for (const moved of [1 - FUSED_ROUNDING, 1 + FUSED_ROUNDING]) {
        const others = await ask(operands.map((operand, input) => (input === 0 ? times(operand, moved) : operand)));
        for (const [entry, other] of others.entries()) if (other !== scalars[entry]) scalars[entry] = Number.NaN;
      }
    }
    for (const [entry, index] of open.entries()) {
      const scalar = scalars[entry] ?? Number.NaN;
      this.constant[axis.base + index] = scalar;
      // What jumps leaves nothing to round, nor do zeros that are made of zeros alone.
      const isZero = scalar === 0 && operands.every((operand) => areZeros(operand, index));
      if (!isSure && !isZero) this.#isRounded[axis.base + index] = 1;
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
    const jumps = this.#jumps(at);
    let column: Known[] | undefined;
    for (const link of links) {
      const { operand, input, output } = link;
      if (operand !== index || output !== axis) continue;
      if (input === undefined) return undefined;
      const filled = (column ??= Array.from({ length: axis.extent }, (): Known => null));
      forEachPair(link, (from, to) => {
        const scalar = this.#scalarAt(input, from);
        const isSure = !jumps || this.#isRounded[input.base + from] === 0;
        const value = Number.isNaN(scalar) || !isSure ? undefined : scalar;
        if (filled[to] === null) filled[to] = value;
        else if (filled[to] !== value) filled[to] = undefined;
      });
    }
    if (column !== undefined) return column;
    const tensor = at.site.constant(index);
    return tensor === undefined ? undefined : uniformScalar(tensor);
  }

  /**
   * An output is constant when no varying input (and, at padded borders, no constant other than 0)
   * of its group reaches it.
   */
  async #layer(at: AnalyzedNode, layer: LayerAxes): Promise<void> {
    const { x, y, relation } = layer;
    const view = viewOf(at, relation);
    if (x === undefined || y === undefined || view === undefined) return;
    const round = this.#roundingAt(at);
    const { groups } = view.weights;
    const varying = Array.from({ length: groups }, (): number[] => []);
    const fixed = Array.from({ length: groups }, (): number[] => []);
    for (let index = 0; index < x.extent; index++) {
      const value = this.#scalarAt(x, index);
      const list = Number.isNaN(value) ? varying : fixed;
      if (value !== zeroOf(relation)) list[Math.floor((index * groups) / x.extent)]?.push(index);
    }
    const zero = zeroOf(relation);
    const open: Sum[] = [];
    for (let output = 0; output < y.extent; output++) {
      const group = view.weights.groupOfOutput(output);
      const inputs = fixed[group] ?? [];
      if (view.weights.readsAny(output, varying[group] ?? [])) continue;
      if (relation.padded && view.weights.readsAny(output, inputs)) {
        if (relation.codes !== undefined) continue;
        const ofTap = (tap: number) =>
          inputs.reduce((sum, input) => sum + this.#scalarAt(x, input) * view.weights.at(output, input, tap), 0);
        const ofSum = (sum: number) => round(relation.alpha * sum + view.bias(output));
        if (relation.kind === 'grouped') this.#byPlace.ofWindow(at, relation, y.base + output, { ofTap, ofSum });
        continue;
      }
      let total = 0;
      for (const input of inputs) total += (this.#scalarAt(x, input) - zero) * view.weights.sum(output, input);
      if (relation.codes?.outputScale !== undefined) {
        open.push({ output, total });
        continue;
      }
      this.constant[y.base + output] = round(relation.alpha * total + view.bias(output));
      const isExact = relation.codes !== undefined || (inputs.length === 0 && (relation.bias?.beta ?? 1) === 1);
      if (!isExact) this.#isRounded[y.base + output] = 1;
    }
    if (open.length === 0) return;
    const codes = await askedCodes(at, layer, open, this.#graphInfo);
    for (const [entry, { output }] of open.entries()) this.constant[y.base + output] = codes[entry] ?? Number.NaN;
  }
}

/** Whether the operand is 0 at the index, or has no part in it. */
function areZeros(operand: Contribution, index: number): boolean {
  const known = typeof operand === 'object' ? operand[index] : operand;
  return known === 0 || known === null;
}

function times(operand: Contribution, factor: number): Contribution {
  const moved = (known: Known) => (typeof known === 'number' ? known * factor : known);
  return typeof operand === 'object' ? operand.map(moved) : (moved(operand) ?? undefined);
}

/** As a tensor of the dtype stores it. */
function roundedTo(dataType: number | undefined, value: number): number {
  if (dataType === FLOAT16) return f16round(value);
  if (dataType === BFLOAT16) return Tensor.fromNumbers(BFLOAT16, [1], [value]).numbers()[0] ?? Number.NaN;
  return dataType === undefined || dataType === FLOAT ? Math.fround(value) : value;
}

/** Of two true statements about the same operand the one that knows more, place by place. */
function surer(a: Contribution, b: Contribution): Contribution {
  if (typeof a !== 'object' || typeof b !== 'object') return typeof b === 'object' ? b : a;
  return a.map((value, index) => {
    const other = b[index];
    return value === null || (value === undefined && typeof other === 'number') ? other : value;
  });
}

/** Whole numbers beyond those that a double holds are not told apart. */
function scalarsOf(tensor: Tensor): Float32Array | Float64Array | undefined {
  if (!isNumeric(tensor.dataType) || tensor.size === 0 || tensor.size > LARGEST_SCALAR_OPERAND) return undefined;
  const values = tensor.numbers();
  const limit = Number.MAX_SAFE_INTEGER;
  const isClamped = !isFloating(tensor.dataType) && values.some((value) => Math.abs(value) >= limit);
  return isClamped ? undefined : values;
}

function uniformScalar(tensor: Tensor): number | undefined {
  const values = scalarsOf(tensor);
  if (values === undefined) return undefined;
  const [first] = values;
  return values.every((value) => value === first) ? first : undefined;
}

/** The scalar of each slice of a constant tensor that holds only one. */
function operandScalars(tensor: Tensor, axes: readonly (Axis | undefined)[], constant: Float64Array): void {
  const values = scalarsOf(tensor);
  if (values === undefined) return;
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

function viewOf(at: AnalyzedNode, relation: LayerRelation): LinearView | undefined {
  const { bias } = relation;
  const matrix = weightMatrix(at.site, relation);
  const tensor = at.site.constant(relation.weights.index);
  if (matrix === undefined || tensor === undefined) return undefined;
  if (!isFloating(tensor.dataType) && relation.codes === undefined) return undefined;
  const biasTensor = bias === undefined ? undefined : at.site.constant(bias.index);
  const biasValues = biasTensor?.numbers();
  if (biasTensor !== undefined && biasValues !== undefined && bias !== undefined) {
    // Gemm allows any bias that broadcasts to [M, N]; one row of N (or a scalar) is a bias per
    // output.
    if (biasTensor.size !== 1 && !isRow(biasTensor, matrix.outputs)) return { weights: matrix, bias: () => Number.NaN };
    return { weights: matrix, bias: (output) => bias.beta * (biasValues[biasTensor.size === 1 ? 0 : output] ?? 0) };
  }
  return { weights: matrix, bias: () => 0 };
}
