/**
 * Forward pass: which positions hold one known scalar for every input of the model, and which a
 * known number for each class of places (places.ts).
 */
import { f16round } from '@petamoriken/float16';
import { BFLOAT16, FLOAT, FLOAT16, isFloating, Tensor } from '../ir/tensor.js';
import { type Known, type LayerRelation, type Pointwise, zeroOf } from '../ops/axes.js';
import {
  type AnalyzedNode,
  type FeedbackAxes,
  forEachPair,
  type LayerAxes,
  type ResolvedLink,
} from './analyzed-node.js';
import { askedScalars } from './asked-scalars.js';
import { askedCodes, type Sum } from './asked-sums.js';
import {
  type Column,
  type Contribution,
  isColumn,
  isZeroAt,
  knownAt,
  reaches,
  surer,
  times,
  varies,
} from './contribution.js';
import { type Axis, isOperand, type Positions } from './positions.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { NodeRunner } from '../graph-info/node-runner.js';
import { type Lift, liftStops } from './lift.js';
import { MovedZeros } from './moved-zeros.js';
import { operandScalars, uniformScalar } from './operand-scalars.js';
import { PlaceConstants } from './place-constants.js';
import type { PlaceValues } from './places.js';
import { isRow, weightMatrix, type WeightMatrix } from './weight-matrix.js';

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
 * followed: nobody asks about rows and columns of an image. `lift`: what is not to stop constants.
 */
export async function propagateConstants(
  nodes: readonly AnalyzedNode[],
  positions: Positions,
  graphInfo: GraphInfo,
  isRelevant: (axis: Axis) => boolean,
  lift?: Lift,
): Promise<ConstantFacts> {
  const runner = new NodeRunner(graphInfo.graph.opset);
  try {
    const pass = new ConstantPass(positions, graphInfo, runner, isRelevant);
    for (const at of nodes) {
      await pass.visit(at);
      pass.lift(at, lift);
    }
    return { constant: pass.constant, places: pass.places };
  } finally {
    await runner.release();
  }
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
  readonly #runner: NodeRunner;
  readonly #isRelevant: (axis: Axis) => boolean;
  readonly #moved: MovedZeros;
  readonly #byPlace: PlaceConstants;

  constructor(positions: Positions, graphInfo: GraphInfo, runner: NodeRunner, isRelevant: (axis: Axis) => boolean) {
    this.constant = new Float64Array(positions.count).fill(Number.NaN);
    this.#isRounded = new Uint8Array(positions.count);
    this.#positions = positions;
    this.#graphInfo = graphInfo;
    this.#runner = runner;
    this.#isRelevant = isRelevant;
    this.#moved = new MovedZeros(this.constant);
    const scalars = { constant: this.constant, isRounded: this.#isRounded };
    this.#byPlace = new PlaceConstants(scalars, positions, graphInfo, runner);
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
      if (at.feedback !== undefined) this.#fedBack(at.feedback);
      this.#moved.visit(at, relation);
    }
  }

  lift(at: AnalyzedNode, lift: Lift | undefined): void {
    const isPlace = (position: number) => this.places.has(position);
    const isDead = (position: number) => !Number.isNaN(this.constant[position] ?? Number.NaN) || isPlace(position);
    const isZero = (position: number) => this.constant[position] === 0;
    liftStops(at, lift, { isDead, isZero, isPlace }, (to, from) => {
      this.constant[to] = this.places.get(from)?.values[0] ?? this.constant[from] ?? Number.NaN;
      this.#isRounded[to] = 1;
    });
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
    const { constant, isAsked } = relation;
    if (constant === undefined && isAsked === undefined) return;
    for (const slot of at.inSlots)
      if (slot !== undefined && isOperand(slot))
        operandScalars(slot.tensor, this.#positions.axesOf(slot), this.constant);
    const round = this.#roundingAt(at);
    for (const [output, value] of at.node.outputs.entries()) {
      for (const axis of value === undefined ? [] : this.#positions.axesOf(value)) {
        if (axis === undefined || !this.#isRelevant(axis)) continue;
        const operands = at.inSlots.map((_, index) => this.#contribution(at, index, axis));
        const open =
          operands.some(isColumn) && operands.every(varies) ? [] : this.#rows(relation, axis, operands, round);
        this.#markRounded(at, axis);
        if (isAsked === true && open.length > 0) await this.#ask(at, { output, axis, operands, open });
        if (output !== 0) continue;
        if (relation.samePlace === true && !this.#jumps(at))
          await this.#byPlace.elementwise(at, relation, { axis, operands, round });
        if (relation.padsMean === true) this.#byPlace.paddedMean(at, axis, round);
      }
    }
  }

  /** What starts at 0 and makes nothing but 0 of it. */
  #fedBack({ outputs, states, zeros }: FeedbackAxes): void {
    for (const index of zeros) {
      const isZero = states.every((state) => state !== undefined && this.#scalarAt(state, index) === 0);
      if (isZero) for (const { base } of outputs) this.constant[base + index] = 0;
    }
  }

  /** What the row itself says, index by index; returns the indices that it leaves open. */
  #rows(
    { constant, fill, rounds }: Pointwise,
    { axis, base, extent }: Axis,
    operands: readonly Contribution[],
    round: (value: number) => number,
  ): number[] {
    const columns = operands.filter(isColumn);
    const isWhole = columns.length === 0 || columns.some((column) => column.isReached === undefined);
    // One list for all places: rows read it and do not keep it.
    const values: Known[] = operands.map(() => undefined);
    const open: number[] = [];
    for (let index = 0; index < extent; index++) {
      for (let input = 0; input < operands.length; input++) values[input] = knownAt(operands[input], index);
      const isReached = isWhole || columns.some((column) => reaches(column, index));
      const result = isReached ? constant?.(values, axis) : fill;
      if (result !== undefined) this.constant[base + index] = round(result);
      else if (isReached) open.push(index);
      if (rounds === true && result !== 0) this.#isRounded[base + index] = 1;
    }
    return open;
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
    const isAnyRounded = ({ input }: ResolvedLink) =>
      input !== undefined && this.#isRounded.subarray(input.base, input.base + input.extent).includes(1);
    const links = [...at.links, ...at.choices.flat()].filter(({ output }) => output === axis);
    if (!links.some(isAnyRounded)) return;
    const rounded = new Set<number>();
    const sureZeros = new Set<number>();
    for (const link of links) {
      const { input } = link;
      if (input === undefined) continue;
      forEachPair(link, (from, to) => {
        const isKnown = !Number.isNaN(this.#scalarAt(input, from));
        if (isKnown && this.#isRounded[input.base + from] === 1) rounded.add(axis.base + to);
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
    const isSure = this.#jumps(at, output) || (at.relation?.kind === 'pointwise' && at.relation.isExact === true);
    const ask = (given: readonly Contribution[]) =>
      askedScalars({ at, output, axis: axis.axis, operands: given }, open, this.#graphInfo, this.#runner);
    const scalars = await ask(operands);
    if (at.relation?.kind === 'pointwise' && at.relation.isFused === true) {
      for (const moved of [1 - FUSED_ROUNDING, 1 + FUSED_ROUNDING]) {
        const others = await ask(operands.map((operand, input) => (input === 0 ? times(operand, moved) : operand)));
        for (const [entry, other] of others.entries()) if (other !== scalars[entry]) scalars[entry] = Number.NaN;
      }
    }
    for (const [entry, index] of open.entries()) {
      const scalar = scalars[entry] ?? Number.NaN;
      this.constant[axis.base + index] = scalar;
      // What jumps leaves nothing to round, nor do zeros that are made of zeros alone.
      const isZero = scalar === 0 && operands.every((operand) => isZeroAt(operand, index));
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

  /** A column where the operand is linked to the axis; where it is not, it is broadcast. */
  #alongLinks(at: AnalyzedNode, index: number, axis: Axis, links: readonly ResolvedLink[]): Contribution {
    const slot = at.inSlots[index];
    if (slot === undefined) return undefined;
    const jumps = this.#jumps(at);
    const toAxis = links.filter(({ operand, output }) => operand === index && output === axis);
    const [first] = toAxis;
    if (first === undefined) return isOperand(slot) ? uniformScalar(slot.tensor) : undefined;
    if (toAxis.some(({ input }) => input === undefined)) return undefined;
    if (toAxis.length === 1 && first.blocks === undefined && !jumps && first.input !== undefined)
      return { values: this.constant.subarray(first.input.base, first.input.base + first.input.extent) };
    return this.#merged(toAxis, axis.extent, jumps);
  }

  /** Where several links reach an index, all of them have to hold one number. */
  #merged(links: readonly ResolvedLink[], extent: number, jumps: boolean): Column {
    const values = new Float64Array(extent).fill(Number.NaN);
    const isReached = new Uint8Array(extent);
    for (const link of links) {
      const base = link.input?.base ?? 0;
      forEachPair(link, (from, to) => {
        const isSure = !jumps || this.#isRounded[base + from] === 0;
        const value = isSure ? (this.constant[base + from] ?? Number.NaN) : Number.NaN;
        if (isReached[to] === 0) values[to] = value;
        else if (values[to] !== value) values[to] = Number.NaN;
        isReached[to] = 1;
      });
    }
    return isReached.includes(0) ? { values, isReached } : { values };
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
    const { activation = (sum: number) => sum } = relation;
    const ofSum = (sum: number, output: number) =>
      round(activation(round(relation.alpha * sum + view.bias(output))) ?? Number.NaN);
    const { groups } = view.weights;
    const varying: number[] = [];
    const fixed = Array.from({ length: groups }, (): number[] => []);
    const zero = zeroOf(relation);
    for (let index = 0; index < x.extent; index++) {
      const value = this.#scalarAt(x, index);
      if (Number.isNaN(value)) varying.push(index);
      else if (value !== zero) fixed[Math.floor((index * groups) / x.extent)]?.push(index);
    }
    const readsVarying = view.weights.outputsOf(varying);
    const readsFixed = view.weights.outputsOf(fixed.flat());
    // Zeros take nothing of numbers, so that most outputs need no sum.
    const isFinite = fixed.flat().every((index) => Number.isFinite(this.#scalarAt(x, index)));
    const open: Sum[] = [];
    for (let output = 0; output < y.extent; output++) {
      if (readsVarying[output] === 1) continue;
      if (relation.codes?.isScaled === true && readsFixed[output] === 1) continue;
      const inputs = fixed[view.weights.groupOfOutput(output)] ?? [];
      if (relation.padded && readsFixed[output] === 1) {
        if (relation.codes !== undefined || relation.kind !== 'grouped') continue;
        const ofTap = (tap: number) =>
          inputs.reduce((sum, input) => sum + this.#scalarAt(x, input) * view.weights.at(output, input, tap), 0);
        this.#byPlace.ofWindow(at, relation, y.base + output, { ofTap, ofSum: (sum) => ofSum(sum, output) });
        continue;
      }
      let total = 0;
      for (const input of readsFixed[output] === 0 && isFinite ? [] : inputs)
        total += (this.#scalarAt(x, input) - zero) * view.weights.sum(output, input);
      if (relation.codes?.outputScale !== undefined) {
        open.push({ output, total });
        continue;
      }
      this.constant[y.base + output] = ofSum(total, output);
      const isExact = relation.codes !== undefined || (inputs.length === 0 && (relation.bias?.beta ?? 1) === 1);
      if (!isExact) this.#isRounded[y.base + output] = 1;
    }
    if (open.length === 0) return;
    const codes = await askedCodes(at, layer, open, this.#graphInfo);
    for (const [entry, { output }] of open.entries()) this.constant[y.base + output] = codes[entry] ?? Number.NaN;
  }
}

/** As a tensor of the dtype stores it. */
function roundedTo(dataType: number | undefined, value: number): number {
  if (dataType === FLOAT16) return f16round(value);
  if (dataType === BFLOAT16) return Tensor.fromNumbers(BFLOAT16, [1], [value]).numbers()[0] ?? Number.NaN;
  return dataType === undefined || dataType === FLOAT ? Math.fround(value) : value;
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
