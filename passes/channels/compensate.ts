/**
 * Compensation of a reader for constants that it no longer reads. With k_c the constant of removed
 * channel c and W[:, c] its column, the reader's output loses the sum over c of k_c * (W[:, c] *
 * ones). Without padding that is a number per output. With zero padding it is a map that depends on
 * the place. The forms that give it back exactly are in src/channels/removal-plan.ts.
 */
import type { Facts } from '../../src/channels/facts.js';
import { classLanes, indicatorCounts } from '../../src/channels/map-cost.js';
import type { LinearRead } from '../../src/channels/propagate-demand.js';
import { isOperand, type Operand } from '../../src/channels/positions.js';
import type { Compensation, PlaceCompensation, RemovalPlan } from '../../src/channels/removal-plan.js';
import { isRow, WeightMatrix } from '../../src/channels/weight-matrix.js';
import { weightsOf } from '../../src/ops/centred-weights.js';
import type { Editor } from '../../src/ir/editor.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { product, Tensor } from '../../src/ir/tensor.js';
import { groupsOf } from '../../src/ops/axes.js';
import { epsilonOf, NORMALIZATION_INPUTS, normalizationScales } from '../../src/ops/attributes.js';
import { addToCodes, offsetsInCodes, type OperandNow } from './coded-bias.js';
import { geometryOf, IndicatorMaker } from './indicators.js';
import type { KnownExtents } from './known-extents.js';
import { staticMap } from './static-map.js';

/** Computed from the original weights, before anything is cut. */
export interface Prepared {
  readonly compensation: Compensation;
  /** carrier: the reader's whole weights with the carriers' columns rewritten, still to be cut. */
  readonly weights?: { readonly operand: Operand; readonly tensor: Tensor };
  /** indicators, map: [kept outputs, 1, kernel…]; classes: [kept outputs, classLanes, kernel…]. */
  readonly kernel?: Tensor;
  /** bias, codes: one number per kept output, to be added. */
  readonly offsets?: Float64Array;
  /** codes: the kept outputs. */
  readonly outputs?: readonly number[];
}

export function prepareCompensation(compensation: Compensation, keptOutputs: readonly number[] | undefined): Prepared {
  const { read } = compensation;
  const tensor = weightsOf(read.at.site, read.relation);
  if (tensor === undefined) throw new Error(`${read.at.node.label} has no constant weights`);
  const matrix = new WeightMatrix(tensor, read.relation.weights, groupsOf(read.relation));
  const outputs = keptOutputs ?? Array.from({ length: matrix.outputs }, (_, index) => index);
  if (compensation.form === 'classes')
    return { compensation, kernel: kernelOfClasses(compensation, matrix, outputs, tensor) };
  if (compensation.form === 'codes')
    return { compensation, offsets: offsetsInCodes(compensation, matrix, outputs), outputs };
  const { absorbed, form, carriers } = compensation;
  if (form === 'bias') {
    const offsets = outputs.map((output) => {
      let total = 0;
      for (const { index, constant } of absorbed) total += constant * matrix.sum(output, index);
      return read.relation.alpha * total;
    });
    return { compensation, offsets: new Float64Array(offsets) };
  }
  /** The sum of the absorbed columns for an output, from `start` on. */
  const addColumns = (output: number, sums: Float64Array, start = 0) => {
    for (const { index, constant } of absorbed) matrix.addKernel(output, index, constant, sums, start);
  };
  if (form === 'carrier') {
    const values = Float64Array.from(tensor.numbers());
    for (let output = 0; output < matrix.outputs; output++) {
      const carrier = carriers.find(({ index }) => matrix.inOneGroup(output, index));
      if (carrier === undefined) continue;
      const start = matrix.offset(output, carrier.index);
      const sums = new Float64Array(matrix.taps);
      addColumns(output, sums);
      for (const [tap, sum] of sums.entries())
        values[start + tap] = (values[start + tap] ?? 0) + sum / carrier.constant;
    }
    const operand = read.at.inSlots[read.relation.weights.index];
    if (operand === undefined || !isOperand(operand))
      throw new Error(`${read.at.node.label} has no weights of its own`);
    return { compensation, weights: { operand, tensor: Tensor.fromNumbers(tensor.dataType, tensor.dims, values) } };
  }
  const kernel = new Float64Array(outputs.length * matrix.taps);
  for (const [row, output] of outputs.entries()) addColumns(output, kernel, row * matrix.taps);
  return {
    compensation,
    kernel: Tensor.fromNumbers(tensor.dataType, [outputs.length, 1, ...tensor.dims.slice(2)], kernel),
  };
}

/** [outputs, classLanes, kernel…]: for each class what a reader takes of the channels there. */
function kernelOfClasses(
  { absorbed }: PlaceCompensation,
  matrix: WeightMatrix,
  outputs: readonly number[],
  { dataType, dims }: Tensor,
): Tensor {
  const [{ held }] = absorbed;
  const lanes = classLanes(held.places);
  const kernel = new Float64Array(outputs.length * lanes * matrix.taps);
  for (const [row, output] of outputs.entries()) {
    for (const {
      index,
      held: { values },
    } of absorbed) {
      for (const [place, value] of values.entries())
        matrix.addKernel(output, index, value, kernel, (row * lanes + place) * matrix.taps);
    }
  }
  return Tensor.fromNumbers(dataType, [outputs.length, lanes, ...dims.slice(2)], kernel);
}

/** Gives the constants back, except those that rewritten weights carry. */
export class Compensator {
  readonly #editor: Editor;
  readonly #facts: Facts;
  readonly #operandNow: OperandNow;
  readonly #keptOf: RemovalPlan['keptOf'];
  readonly #indicators: IndicatorMaker;
  readonly #extents: KnownExtents;

  /** `extents`: those from before the edits. */
  constructor(
    editor: Editor,
    facts: Facts,
    { extents, operandNow, keptOf }: { extents: KnownExtents; operandNow: OperandNow; keptOf: RemovalPlan['keptOf'] },
  ) {
    this.#editor = editor;
    this.#facts = facts;
    this.#extents = extents;
    this.#operandNow = operandNow;
    this.#keptOf = keptOf;
    this.#indicators = new IndicatorMaker(editor, extents);
  }

  compensate({ compensation, offsets, kernel, outputs = [] }: Prepared): void {
    if (compensation.form === 'codes') {
      const codes = { offsets: offsets ?? new Float64Array(), outputs, operandNow: this.#operandNow };
      addToCodes(this.#editor, compensation, codes);
    } else if (offsets !== undefined) this.#addToBias(compensation, offsets);
    else if (kernel !== undefined) this.#addMap(compensation, kernel);
  }

  /** Into the bias of the operator if it can have one, otherwise as an Add after it. */
  #addToBias({ read }: Compensation, offsets: Float64Array): void {
    const { at } = read;
    const { node } = at;
    const { bias, weights } = read.relation;
    const editor = this.#editor;
    const dataType = at.site.constant(weights.index)?.dataType ?? 1;
    const before = bias === undefined ? undefined : node.inputs[bias.index];
    const present = bias === undefined ? undefined : this.#operandNow(node, bias.index);
    // The bias of a Gemm may have one value per row. Offsets per output are then added after it.
    const fits = present === undefined || present.size === 1 || isRow(present, offsets.length);
    if (bias === undefined || bias.beta === 0 || !fits) {
      const [output] = node.outputs;
      if (output === undefined) return;
      // One number per index of the axis that the weights make, before the axes that follow it.
      const after = (at.site.outDims(0)?.length ?? 0) - 1 - read.relation.y.axis;
      const dims = [offsets.length, ...Array.from({ length: after }, () => 1)];
      const operand = editor.addInitializer(`${output.name}_offset`, Tensor.fromNumbers(dataType, dims, offsets));
      editor.insertAfter(output, {
        opType: 'Add',
        name: editor.graph.freshNodeName(`${node.label}_offset`),
        inputs: (inner) => [inner, operand],
      });
      return;
    }
    const values = present?.numbers();
    const total = offsets.map((offset, index) => offset / bias.beta + (values?.[values.length === 1 ? 0 : index] ?? 0));
    // A bias [1, N] keeps its rank: it may be listed among the graph inputs.
    const leading = values?.length === total.length ? (present?.dims.slice(0, -1) ?? []) : [];
    const tensor = Tensor.fromNumbers(dataType, [...leading, total.length], total);
    const canReplace = before?.initializer?.dims.length === tensor.dims.length && before.hasSingleUse;
    if (before !== undefined && canReplace) editor.rewriteInitializer(before, tensor);
    else {
      const made = editor.addInitializer(before?.name ?? `${node.label}_bias`, tensor);
      editor.rewriteOperand({ node, index: bias.index }, made);
    }
  }

  /**
   * Adds the map to the reader's output. If the only reader of that output is a BatchNormalization,
   * the map is added after it, with the kernel scaled as the normalisation scales: ONNX Runtime then
   * still fuses convolution and normalisation.
   */
  #addMap(compensation: Compensation, kernel: Tensor): void {
    const { at } = compensation.read;
    const [direct] = at.node.outputs;
    if (direct === undefined) return;
    const editor = this.#editor;
    const normalization = soleNormalization(direct, this.#facts);
    const target = normalization?.outputs[0] ?? direct;
    const scaled = normalization === undefined ? kernel : this.#scaleLike(normalization, kernel);
    const map =
      compensation.form === 'map'
        ? editor.addInitializer(`${direct.name}_constants`, staticMap(compensation, scaled))
        : this.#computedMap(compensation, scaled, direct.name);
    const sum = compensation.form === 'map' ? undefined : this.#sumBehind(target);
    const name = editor.graph.freshNodeName(`${at.node.label}_add_constants`);
    if (sum === undefined) {
      editor.insertAfter(target, { opType: 'Add', name, inputs: (inner) => [inner, map] });
      return;
    }
    const { node, index, other } = sum;
    const spec = { opType: 'Add', name, inputs: [map, other], outputs: [`${other.name}_and_constants`] };
    const [together] = editor.addNode(spec, node).outputs;
    if (together === undefined) throw new Error('an Add has one output');
    this.#extents.add(together, target);
    editor.setInput(node, index, together);
  }

  /**
   * The sum with a value `other` of the same shape that alone reads the target. A kernel takes one
   * sum in: in conv + (map + other) both convolutions take one, in (conv + map) + other an Add is
   * left over.
   */
  #sumBehind(target: Value): { node: Node; index: number; other: Value } | undefined {
    const [use] = target.uses;
    if (use === undefined || !target.hasSingleUse) return undefined;
    const { node } = use;
    const index = 1 - use.index;
    const other = node.inputs[index];
    if (node.opType !== 'Add' || node.domain !== '' || other === undefined) return undefined;
    // A constant is no convolution that takes a sum in, but may become a bias.
    if (this.#facts.graphInfo.constants.has(other) || !this.#extents.areSame(target, other)) return undefined;
    return { node, index, other };
  }

  /**
   * The kernel times scale / sqrt(variance + epsilon) per output; the parameters are already cut.
   */
  #scaleLike(node: Node, kernel: Tensor): Tensor {
    const parameter = (index: number) => this.#operandNow(node, index)?.numbers() ?? [];
    const [scale, variance] = [parameter(NORMALIZATION_INPUTS.scale), parameter(NORMALIZATION_INPUTS.variance)];
    const epsilon = epsilonOf(node);
    const perOutput = kernel.size / (kernel.dims[0] ?? 1);
    const values = Float64Array.from(kernel.numbers(), (value, at) => {
      const output = Math.floor(at / perOutput);
      return normalizationScales(value, { scale: scale[output] ?? 0, variance: variance[output] ?? 1, epsilon });
    });
    return Tensor.fromNumbers(kernel.dataType, kernel.dims, values);
  }

  #computedMap(compensation: Compensation, kernel: Tensor, name: string): Value {
    const { at } = compensation.read;
    const editor = this.#editor;
    const { indicators, weights, attributes } =
      compensation.form === 'classes'
        ? this.#ofClasses(compensation, kernel)
        : this.#ofIndicators(compensation.read, kernel);
    const spec = {
      opType: 'Conv',
      name: editor.graph.freshNodeName(`${at.node.label}_constants`),
      origin: { kind: 'compensation', reader: at.node } as const,
      inputs: [indicators, editor.addInitializer(`${name}_constants_weight`, weights)],
      outputs: [`${name}_constants`],
      attributes,
    };
    const [output] = editor.addNode(spec, at.node).outputs;
    if (output === undefined) throw new Error('a Conv has one output');
    return output;
  }

  /** A 1x1 convolution, whose column t is tap t of the kernel. */
  #ofIndicators({ at, axis }: LinearRead, kernel: Tensor) {
    const [outputs = 0, , ...taps] = kernel.dims;
    const channels = this.#keptOf(axis)?.length ?? axis.extent;
    const { dataType } = kernel;
    const { count } = indicatorCounts(taps);
    const perOutput = product(taps);
    const columns = new Float64Array(outputs * count);
    for (const [index, value] of kernel.numbers().entries())
      columns[Math.floor(index / perOutput) * count + (index % perOutput)] = value;
    const points = taps.map(() => 1);
    return {
      indicators: this.#indicators.make(at, { channels, taps, dataType }),
      weights: Tensor.fromNumbers(dataType, [outputs, count, ...points], columns),
      attributes: { kernel_shape: { kind: 'ints', value: points } } as const,
    };
  }

  /** The reader's own window over the indicators of classes, which stand for the channels. */
  #ofClasses({ read: { at }, absorbed: [{ held }] }: PlaceCompensation, kernel: Tensor) {
    const { source, places } = held;
    const [slot] = source.inSlots;
    const axis = slot === undefined ? undefined : this.#facts.positions.axesOf(slot)[1];
    const channels = this.#keptOf(axis)?.length ?? axis?.extent ?? 0;
    return {
      indicators: this.#indicators.makeClasses(source, places, { channels, dataType: kernel.dataType }),
      weights: kernel,
      attributes: geometryOf(at.node, kernel.dims.slice(2)),
    };
  }
}

/** The normalisation that alone reads the value. */
export function soleNormalization(value: Value, facts: Facts): Node | undefined {
  const [use] = value.uses;
  if (use === undefined || !value.hasSingleUse || use.node.opType !== 'BatchNormalization' || use.index !== 0)
    return undefined;
  // Its operator has this relation only in inference and with constant parameters.
  return facts.nodeOf.get(use.node)?.relation?.kind === 'pointwise' ? use.node : undefined;
}
