/**
 * Masks of weights that are stored as codes, said in the graph of the reference: a masked code is
 * its zero point. ONNX Runtime folds all of it when it loads the model, so that the reference runs
 * in the same integer kernels as the model does.
 *
 *   codes -> Cast -> Where(mask, codes, zero point) -> Cast -> DequantizeLinear -> layer
 */
import type { Editor } from '../ir/editor.js';
import type { Node, Use, Value } from '../ir/graph.js';
import { BOOL, FLOAT, INT32, INT64, Tensor } from '../ir/tensor.js';
import { addNode, addReduction, isChannelVector } from './reference-nodes.js';

/** Which inputs of an operator are codes, their zero points, and a bias of codes. */
interface CodeInputs {
  readonly codes: number;
  readonly zeroPoints: number;
  /** Which axis of the codes a list of zero points is for. */
  readonly axis: (node: Node) => number;
  readonly bias?: number;
  /** Where the sums are scaled and a bias is added behind it: what comes before the Add. */
  readonly scaling?: readonly string[];
  /** Whether its bias is in real numbers. */
  readonly isScaled?: true;
}

const INPUTS: ReadonlyMap<string, CodeInputs> = new Map<string, CodeInputs>([
  ['DequantizeLinear', { codes: 0, zeroPoints: 2, axis: (node) => node.int('axis', 1) }],
  ['QLinearConv', { codes: 3, zeroPoints: 5, axis: () => 0, bias: 8 }],
  ['QLinearMatMul', { codes: 3, zeroPoints: 5, axis: () => -1 }],
  ['ConvInteger', { codes: 1, zeroPoints: 3, axis: () => 0, scaling: ['Cast', 'Mul'] }],
  ['MatMulInteger', { codes: 1, zeroPoints: 3, axis: () => -1, scaling: ['Cast', 'Mul'] }],
  ['MatMulIntegerToFloat', { codes: 1, zeroPoints: 5, axis: () => -1, bias: 6, scaling: [], isScaled: true }],
  ['DynamicQuantizeMatMul', { codes: 1, zeroPoints: 3, axis: () => -1, bias: 4, scaling: [], isScaled: true }],
  ['QGemm', { codes: 3, zeroPoints: 5, axis: (node) => (node.int('transB', 0) === 0 ? 1 : 0), bias: 6 }],
]);

function inputsOf(node: Node): CodeInputs {
  const inputs = INPUTS.get(node.opType);
  if (inputs === undefined) throw new Error(`${node.label} reads no codes`);
  return inputs;
}

interface CodeMask {
  readonly input: number;
  readonly dims: readonly number[];
  /** Row-major, 0 where the mask is. */
  readonly keep: ArrayLike<number>;
}

export function maskCodes(editor: Editor, node: Node, { input, dims, keep }: CodeMask): void {
  const codes = node.inputs[input];
  const dataType = codes === undefined ? undefined : typeOf(codes);
  if (codes === undefined || dataType === undefined) throw new Error(`the codes of ${node.label} are not stored`);
  const mask = editor.addInitializer(`${codes.name}_reference_mask`, Tensor.fromNumbers(BOOL, dims, Array.from(keep)));
  const wide = addNode(editor, 'Cast', [codes], node, INT32);
  // A bias counts from 0.
  const points = input === inputsOf(node).codes ? zeroPoints(editor, node, dims.length) : zero(editor);
  const masked = addNode(editor, 'Where', [mask, wide, points], node);
  editor.setInput(node, input, addNode(editor, 'Cast', [masked], node, dataType));
}

interface Layout {
  readonly outAxis: number;
  readonly spatialRank: number;
}

/**
 * Where the layer's weights and bias are decoded: the bias of filters whose codes are all at their
 * zero points is 0, and so is what is added to the codes of the sums. Whether it could be done.
 */
export function switchOffCodes(editor: Editor, layer: Node, layout: Layout): boolean {
  const [, weight, bias] = layer.inputs;
  const ofWeight = decoderOf(weight);
  if (ofWeight === undefined) return false;
  const isAdded = switchOffAddedCodes(editor, layer, ofWeight, layout);
  const ofBias = decoderOf(bias);
  const [biasCodes, , biasZero] = ofBias?.inputs ?? [];
  if (ofBias === undefined || biasCodes?.initializer?.dataType !== INT32) return isAdded && bias === undefined;
  if (biasZero !== undefined && biasZero.initializer?.numbers().every((point) => point === 0) !== true) return false;
  const masked = addNode(editor, 'Mul', [biasCodes, liveFilters(editor, ofWeight, layout, layer)], layer);
  editor.setInput(layer, 2, decodeAnew(editor, ofBias, masked, layer));
  return true;
}

/**
 * The same of an operator on codes. Where its sums are scaled and a bias is added behind it, that is
 * switched off.
 */
export function switchOffBiasCodes(editor: Editor, layer: Node, layout: Layout): void {
  const { bias, scaling, isScaled } = inputsOf(layer);
  if (scaling !== undefined) switchOffAdded(editor, layer, layout, [...scaling, 'Add']);
  else switchOffAddedCodes(editor, layer, layer, layout);
  const added = bias === undefined ? undefined : layer.inputs[bias];
  if (bias === undefined || added === undefined) return;
  const live = liveFilters(editor, layer, layout, layer);
  const keep = isScaled === true ? addNode(editor, 'Cast', [live], layer, FLOAT) : live;
  editor.setInput(layer, bias, addNode(editor, 'Mul', [added, keep], layer));
}

/**
 * Codes -> QLinearAdd(stored codes), or Q -> DQ -> Add(DQ(stored codes)): those of dead filters are
 * at their zero point. `holder` reads the codes of the weights. Whether there are such.
 */
function switchOffAddedCodes(editor: Editor, layer: Node, holder: Node, layout: Layout): boolean {
  const coded = soleUse(layer.outputs[0]);
  const decoded = coded?.node.opType === 'QuantizeLinear' ? soleUse(coded.node.outputs[0]) : undefined;
  const sum = decoded?.node.opType === 'DequantizeLinear' ? soleUse(decoded.node.outputs[0]) : coded;
  if (sum === undefined) return false;
  const { node, index } = sum;
  const places = ADDED.get(node.opType)?.(index);
  const decoder = places?.isDecoded === true ? decoderOf(node.inputs[places.operand]) : undefined;
  const [codes, point] =
    decoder === undefined
      ? [node.inputs[places?.operand ?? -1], node.inputs[(places?.operand ?? -1) + 2]]
      : [decoder.inputs[0], decoder.inputs[2]];
  const dataType = codes === undefined ? undefined : typeOf(codes);
  const channels = holder.inputs[inputsOf(holder).codes];
  const extent = channels && extentOf(channels, layout.outAxis, layout.spatialRank + 2);
  if (places === undefined || codes === undefined || dataType === undefined) return false;
  if ((places.isDecoded && decoder === undefined) || !isChannelVector(codes, extent, layout.spatialRank)) return false;
  const live = liveFilters(editor, holder, layout, node);
  const shape = [-1, ...Array.from({ length: layout.spatialRank }, () => 1)];
  const target = editor.addInitializer('reference_shape', Tensor.fromNumbers(INT64, [shape.length], shape));
  const keep = addNode(editor, 'Cast', [addNode(editor, 'Reshape', [live, target], node)], node, BOOL);
  const wide = addNode(editor, 'Cast', [codes], node, INT32);
  const points = point === undefined ? zero(editor) : addNode(editor, 'Cast', [point], node, INT32);
  const masked = addNode(editor, 'Cast', [addNode(editor, 'Where', [keep, wide, points], node)], node, dataType);
  const operand = decoder === undefined ? masked : decodeAnew(editor, decoder, masked, node);
  editor.setInput(node, places.operand, operand);
  return true;
}

interface AddedPlace {
  readonly operand: number;
  readonly isDecoded: boolean;
}

/** Which input is added to the one at an index. */
const ADDED: ReadonlyMap<string, (index: number) => AddedPlace> = new Map<string, (index: number) => AddedPlace>([
  ['Add', (index) => ({ operand: 1 - index, isDecoded: true })],
  ['QLinearAdd', (index) => ({ operand: 3 - index, isDecoded: false })],
]);

function decodeAnew(editor: Editor, decoder: Node, codes: Value, before: Node): Value | undefined {
  const name = editor.graph.freshNodeName(`${before.label}_reference_bias`);
  const inputs = [codes, ...decoder.inputs.slice(1)];
  const attributes = editor.graph.opset < 13 ? {} : { axis: { kind: 'int', value: 0 } as const };
  return editor.addNode({ opType: decoder.opType, name, inputs, outputs: [name], attributes }, before).outputs[0];
}

function soleUse(value: Value | undefined): Use | undefined {
  return value?.hasSingleUse === true ? value.uses[0] : undefined;
}

/** Of stored codes, or of what a mask was put on: the mask has the same. */
function extentOf({ initializer, producer }: Value, axis: number, rank: number): number | undefined {
  if (initializer !== undefined) return initializer.dims.length === rank ? initializer.dims[axis] : undefined;
  const extents = producer?.inputs.map((value) => value && extentOf(value, axis, rank)) ?? [];
  return extents.find((extent) => extent !== undefined);
}

/** Sums -> Cast -> Mul -> Add: the product with 1 or 0 comes behind the Add. */
function switchOffAdded(editor: Editor, layer: Node, layout: Layout, steps: readonly string[]): void {
  let node: Node = layer;
  for (const opType of steps) {
    const [output] = node.outputs;
    const next = output?.hasSingleUse === true ? output.uses[0]?.node : undefined;
    if (next?.opType !== opType) return;
    node = next;
  }
  const [end] = node.outputs;
  if (end === undefined) return;
  const live = liveFilters(editor, layer, layout, layer);
  const shape = [-1, ...Array.from({ length: layout.spatialRank }, () => 1)];
  const target = editor.addInitializer('reference_shape', Tensor.fromNumbers(INT64, [shape.length], shape));
  const keep = addNode(editor, 'Cast', [addNode(editor, 'Reshape', [live, target], layer)], layer, FLOAT);
  const name = editor.graph.freshNodeName(`${layer.label}_reference_drop`);
  editor.insertAfter(end, { opType: 'Mul', name, inputs: (inner) => [inner, keep] });
}

/** Per filter 1 where any code of `node` is not at its zero point, as int32. */
function liveFilters(editor: Editor, node: Node, { outAxis, spatialRank }: Layout, before: Node): Value {
  const codes = node.inputs[inputsOf(node).codes];
  if (codes === undefined) throw new Error(`${node.label} has no codes`);
  const rank = spatialRank + 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== outAxis);
  const wide = addNode(editor, 'Cast', [codes], before, INT32);
  const points = zeroPoints(editor, node, rank, before);
  const size = addNode(editor, 'Abs', [addNode(editor, 'Sub', [wide, points], before)], before);
  const isLive = addNode(editor, 'Cast', [addReduction(editor, 'ReduceMax', size, axes, before)], before, BOOL);
  return addNode(editor, 'Cast', [isLive], before, INT32);
}

function zero(editor: Editor): Value {
  return editor.addInitializer('reference_zero_point', Tensor.fromNumbers(INT32, [], [0]));
}

function decoderOf(value: Value | undefined): Node | undefined {
  return value?.producer?.opType === 'DequantizeLinear' ? value.producer : undefined;
}

/** Of a stored tensor, or of one that a mask was put on. */
function typeOf({ initializer, producer }: Value): number | undefined {
  return initializer?.dataType ?? producer?.tensor('value')?.dataType;
}

/** As int32, with as many axes as it takes to broadcast them. */
function zeroPoints(editor: Editor, node: Node, rank: number, before: Node = node): Value {
  const { zeroPoints: index, axis: axisOf } = inputsOf(node);
  const points = node.inputs[index];
  if (points === undefined) return zero(editor);
  const wide = addNode(editor, 'Cast', [points], before, INT32);
  const given = axisOf(node);
  const axis = given < 0 ? given + rank : given;
  const isList = points.initializer?.dims.length === 1 && points.initializer.size > 1;
  if (!isList) return wide;
  const shape = Array.from({ length: rank }, (_, at) => (at === axis ? -1 : 1));
  const target = editor.addInitializer('reference_shape', Tensor.fromNumbers(INT64, [rank], shape));
  return addNode(editor, 'Reshape', [wide, target], before);
}
