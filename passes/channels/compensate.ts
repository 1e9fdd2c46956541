/**
 * How a reader makes up for constants it no longer reads. With k_c the constant of removed channel c and W[:, c] its
 * column, the reader's output loses the sum over c of k_c * (W[:, c] * ones): a number per output without padding, and
 * at zero-padded borders a map that depends on the place. Three forms give that map exactly, see removal.ts.
 */
import type { Facts } from '../../src/channels/facts.js';
import { isOperand, type Operand } from '../../src/channels/positions.js';
import { type Compensation, spatialDims } from '../../src/channels/removal-plan.js';
import { isRow, WeightMatrix } from '../../src/channels/weight-matrix.js';
import type { Editor } from '../../src/ir/editor.js';
import type { AttributeValue, Node, Value } from '../../src/ir/graph.js';
import { product, Tensor } from '../../src/ir/tensor.js';
import { onesLike } from './ones.js';

/** What is computed from the original weights before anything is cut. */
export interface Prepared {
  readonly compensation: Compensation;
  /** carrier: the reader's whole weights with the carrier's column rewritten, still to be cut. */
  readonly weights?: { readonly operand: Operand; readonly tensor: Tensor };
  /** ones, map: [kept outputs, 1, kernel…]. */
  readonly kernel?: Tensor;
  /** bias: one number per kept output, to be added. */
  readonly offsets?: Float64Array;
}

export function prepareCompensation(compensation: Compensation, keptOutputs: readonly number[] | undefined): Prepared {
  const { read, absorbed, form, carrier } = compensation;
  const operand = read.at.inSlots[read.relation.weights.index];
  if (operand === undefined || !isOperand(operand)) throw new Error(`${read.at.node.label} has no constant weights`);
  const { tensor } = operand;
  const matrix = new WeightMatrix(tensor, read.relation.weights);
  const outputs = keptOutputs ?? Array.from({ length: matrix.outputs }, (_, index) => index);
  if (form === 'bias') {
    const offsets = Float64Array.from(outputs, (output) => {
      let total = 0;
      for (const { index, constant } of absorbed) total += constant * matrix.sum(output, index);
      return read.relation.alpha * total;
    });
    return { compensation, offsets };
  }
  const columns = (output: number, tap: number) => {
    let total = 0;
    for (const { index, constant } of absorbed) total += constant * matrix.at(output, index, tap);
    return total;
  };
  if (form === 'carrier' && carrier !== undefined) {
    const values = Float64Array.from(tensor.numbers());
    for (let output = 0; output < matrix.outputs; output++) {
      const start = (output * matrix.inputs + carrier.index) * matrix.taps;
      for (let tap = 0; tap < matrix.taps; tap++)
        values[start + tap] = (values[start + tap] ?? 0) + columns(output, tap) / carrier.constant;
    }
    return { compensation, weights: { operand, tensor: Tensor.fromNumbers(tensor.dataType, tensor.dims, values) } };
  }
  const kernel = new Float64Array(outputs.length * matrix.taps);
  for (const [at, output] of outputs.entries()) {
    for (let tap = 0; tap < matrix.taps; tap++) kernel[at * matrix.taps + tap] = columns(output, tap);
  }
  return {
    compensation,
    kernel: Tensor.fromNumbers(tensor.dataType, [outputs.length, 1, ...tensor.dims.slice(2)], kernel),
  };
}

/** A constant operand as it is now: cut already, where it is stored or where an alias of it is. */
export type OperandNow = (node: Node, index: number) => Tensor | undefined;

/** Gives the constants back, except those that rewritten weights carry. */
export function compensate(editor: Editor, facts: Facts, prepared: readonly Prepared[], operandNow: OperandNow): void {
  for (const { compensation, offsets, kernel } of prepared) {
    if (offsets !== undefined) addToBias(editor, compensation, offsets, operandNow);
    else if (kernel !== undefined) addMap(editor, facts, compensation, kernel, operandNow);
  }
}

/** Into the operator's own bias where it has one to give, else as an Add behind it. */
function addToBias(editor: Editor, { read }: Compensation, offsets: Float64Array, operandNow: OperandNow): void {
  const { at } = read;
  const { node } = at;
  const { bias, weights } = read.relation;
  const dataType = at.site.constant(weights.index)?.dataType ?? 1;
  const before = bias === undefined ? undefined : node.inputs[bias.index];
  const present = bias === undefined ? undefined : operandNow(node, bias.index);
  // Gemm allows a bias per row as well: what is added per output then goes behind it.
  const fits = present === undefined || present.size === 1 || isRow(present, offsets.length);
  if (bias === undefined || bias.beta === 0 || !fits) {
    const [output] = node.outputs;
    if (output === undefined) return;
    const operand = editor.addInitializer(
      `${output.name}_offset`,
      Tensor.fromNumbers(dataType, [offsets.length], offsets),
    );
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
 * Adds Conv(ones, kernel) to the reader's output. Where a BatchNormalization alone reads it, the map goes behind that, with
 * the kernel scaled as the normalisation scales: ONNX Runtime then still fuses convolution and normalisation.
 */
function addMap(
  editor: Editor,
  facts: Facts,
  compensation: Compensation,
  kernel: Tensor,
  operandNow: OperandNow,
): void {
  const { at } = compensation.read;
  const [direct] = at.node.outputs;
  if (direct === undefined) return;
  const normalization = soleNormalization(direct, facts);
  const target = normalization?.outputs[0] ?? direct;
  const scaled = normalization === undefined ? kernel : scaleLike(normalization, operandNow, kernel);
  const map =
    compensation.form === 'map'
      ? editor.addInitializer(`${direct.name}_constants`, staticMap(compensation, scaled))
      : onesConvolution(editor, facts, compensation, scaled, direct.name);
  editor.insertAfter(target, {
    opType: 'Add',
    name: editor.graph.freshNodeName(`${at.node.label}_add_constants`),
    inputs: (inner) => [inner, map],
  });
}

function soleNormalization(value: Value, facts: Facts): Node | undefined {
  const [use] = value.uses;
  if (use === undefined || !value.hasSingleUse || use.node.opType !== 'BatchNormalization' || use.index !== 0)
    return undefined;
  // Only in inference and with constant parameters is it the scale and shift that the row describes.
  return facts.nodeOf.get(use.node)?.relation?.kind === 'pointwise' ? use.node : undefined;
}

/** The kernel times scale / sqrt(variance + epsilon) per output; the parameters are cut already. */
function scaleLike(node: Node, operandNow: OperandNow, kernel: Tensor): Tensor {
  const parameter = (index: number) => operandNow(node, index)?.numbers() ?? [];
  const [scale, variance] = [parameter(1), parameter(4)];
  const epsilon = node.float('epsilon', 1e-5);
  const perOutput = kernel.size / (kernel.dims[0] ?? 1);
  const values = Float64Array.from(kernel.numbers(), (value, at) => {
    const output = Math.floor(at / perOutput);
    return (value * (scale[output] ?? 0)) / Math.sqrt((variance[output] ?? 1) + epsilon);
  });
  return Tensor.fromNumbers(kernel.dataType, kernel.dims, values);
}

/** A convolution with the reader's geometry over one channel of ones. */
function onesConvolution(
  editor: Editor,
  { graphInfo }: Facts,
  { read }: Compensation,
  kernel: Tensor,
  name: string,
): Value {
  const { at } = read;
  const ones = onesLike(editor, graphInfo, at, spatialDims(read, 'in'), kernel.dataType);
  const weights = editor.addInitializer(`${name}_constants_weight`, kernel);
  const attributes: Record<string, AttributeValue> = {};
  for (const key of ['kernel_shape', 'strides', 'pads', 'dilations', 'auto_pad']) {
    const attribute = at.node.attributes.get(key);
    if (attribute !== undefined) attributes[key] = attribute;
  }
  const spec = {
    opType: 'Conv',
    name: editor.graph.freshNodeName(`${at.node.label}_constants`),
    origin: { kind: 'compensation' } as const,
    inputs: [ones, weights],
    outputs: [`${name}_constants`],
    attributes,
  };
  const [output] = editor.addNode(spec, at.node).outputs;
  if (output === undefined) throw new Error('a Conv has one output');
  return output;
}

/** The convolution of ones, summed here: [1, outputs, spatial…]. Only for maps no larger than the kernel. */
function staticMap({ read }: Compensation, kernel: Tensor): Tensor {
  const { node } = read.at;
  const [inside, outside] = [spatialDims(read, 'in') ?? [], spatialDims(read, 'out') ?? []];
  const taps = kernel.dims.slice(2);
  const rank = taps.length;
  const strides = node.ints('strides') ?? taps.map(() => 1);
  const dilations = node.ints('dilations') ?? taps.map(() => 1);
  const begins = beginPads(node, inside, outside, taps, strides, dilations);
  const outputs = kernel.dims[0] ?? 0;
  const values = kernel.numbers();
  const map = new Float64Array(outputs * product(outside));
  for (let at = 0; at < product(outside); at++) {
    const place = unravel(at, outside);
    for (let tap = 0; tap < product(taps); tap++) {
      const offset = unravel(tap, taps);
      const isInside = Array.from({ length: rank }, (_, axis) => {
        const source =
          (place[axis] ?? 0) * (strides[axis] ?? 1) -
          (begins[axis] ?? 0) +
          (offset[axis] ?? 0) * (dilations[axis] ?? 1);
        return source >= 0 && source < (inside[axis] ?? 0);
      }).every(Boolean);
      if (!isInside) continue;
      for (let output = 0; output < outputs; output++) {
        const to = output * product(outside) + at;
        map[to] = (map[to] ?? 0) + (values[output * product(taps) + tap] ?? 0);
      }
    }
  }
  return Tensor.fromNumbers(kernel.dataType, [1, outputs, ...outside], map);
}

function unravel(at: number, dims: readonly number[]): number[] {
  let rest = at;
  return dims
    .toReversed()
    .map((extent) => {
      const index = rest % extent;
      rest = Math.floor(rest / extent);
      return index;
    })
    .toReversed();
}

/** Padding in front, per spatial axis; SAME_UPPER and SAME_LOWER from the sizes, as Conv-1 defines them. */
function beginPads(
  node: Node,
  inside: readonly number[],
  outside: readonly number[],
  taps: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): readonly number[] {
  const mode = node.string('auto_pad', 'NOTSET');
  if (mode === 'VALID') return taps.map(() => 0);
  if (mode === 'NOTSET') return node.ints('pads')?.slice(0, taps.length) ?? taps.map(() => 0);
  return taps.map((extent, axis) => {
    const reach = ((outside[axis] ?? 0) - 1) * (strides[axis] ?? 1) + (extent - 1) * (dilations[axis] ?? 1) + 1;
    const total = Math.max(0, reach - (inside[axis] ?? 0));
    return mode === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2);
  });
}
