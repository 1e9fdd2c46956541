/**
 * Masks of weights that are stored as codes, said in the graph of the reference: a masked code is
 * its zero point. ONNX Runtime folds all of it when it loads the model, so that the reference runs
 * in the same integer kernels as the model does.
 *
 *   codes -> Cast -> Where(mask, codes, zero point) -> Cast -> DequantizeLinear -> layer
 */
import type { Editor } from '../ir/editor.js';
import type { Node, Value } from '../ir/graph.js';
import { BOOL, INT32, INT64, Tensor } from '../ir/tensor.js';
import { addNode, addReduction } from './reference-nodes.js';

/** `keep`: row-major, 0 where the mask is. */
export function maskCodes(editor: Editor, decoder: Node, dims: readonly number[], keep: ArrayLike<number>): void {
  const [codes] = decoder.inputs;
  const dataType = codes === undefined ? undefined : typeOf(codes);
  if (codes === undefined || dataType === undefined) throw new Error(`the codes of ${decoder.label} are not stored`);
  const mask = editor.addInitializer(`${codes.name}_reference_mask`, Tensor.fromNumbers(BOOL, dims, Array.from(keep)));
  const wide = addNode(editor, 'Cast', [codes], decoder, INT32);
  const masked = addNode(editor, 'Where', [mask, wide, zeroPoints(editor, decoder, dims.length)], decoder);
  editor.setInput(decoder, 0, addNode(editor, 'Cast', [masked], decoder, dataType));
}

/**
 * Where the layer's weights and bias are codes: the bias of filters whose codes are all at their
 * zero points is 0. Whether it could be done.
 */
export function switchOffCodes(
  editor: Editor,
  layer: Node,
  { outAxis, spatialRank }: { readonly outAxis: number; readonly spatialRank: number },
): boolean {
  const [, weight, bias] = layer.inputs;
  const ofWeight = decoderOf(weight);
  const ofBias = decoderOf(bias);
  const [codes] = ofWeight?.inputs ?? [];
  const [biasCodes, , biasZero] = ofBias?.inputs ?? [];
  if (ofWeight === undefined || codes === undefined) return false;
  if (ofBias === undefined || biasCodes?.initializer?.dataType !== INT32) return false;
  if (biasZero !== undefined && biasZero.initializer?.numbers().every((zero) => zero === 0) !== true) return false;
  const rank = spatialRank + 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== outAxis);
  const wide = addNode(editor, 'Cast', [codes], layer, INT32);
  const points = zeroPoints(editor, ofWeight, rank, layer);
  const size = addNode(editor, 'Abs', [addNode(editor, 'Sub', [wide, points], layer)], layer);
  const isLive = addNode(editor, 'Cast', [addReduction(editor, 'ReduceMax', size, axes, layer)], layer, BOOL);
  const keep = addNode(editor, 'Cast', [isLive], layer, INT32);
  const masked = addNode(editor, 'Mul', [biasCodes, keep], layer);
  const name = editor.graph.freshNodeName(`${layer.label}_reference_bias`);
  const inputs = [masked, ...ofBias.inputs.slice(1)];
  const attributes = editor.graph.opset < 13 ? {} : { axis: { kind: 'int', value: 0 } as const };
  const decoder = editor.addNode({ opType: ofBias.opType, name, inputs, outputs: [name], attributes }, layer);
  editor.setInput(layer, 2, decoder.outputs[0]);
  return true;
}

function decoderOf(value: Value | undefined): Node | undefined {
  return value?.producer?.opType === 'DequantizeLinear' ? value.producer : undefined;
}

/** Of a stored tensor, or of one that a mask was put on. */
function typeOf({ initializer, producer }: Value): number | undefined {
  return initializer?.dataType ?? producer?.tensor('value')?.dataType;
}

/** As int32, with as many axes as it takes to broadcast them. */
function zeroPoints(editor: Editor, decoder: Node, rank: number, before: Node = decoder): Value {
  const [, , points] = decoder.inputs;
  if (points === undefined) return editor.addInitializer('reference_zero_point', Tensor.fromNumbers(INT32, [], [0]));
  const wide = addNode(editor, 'Cast', [points], before, INT32);
  const given = decoder.int('axis', 1);
  const axis = given < 0 ? given + rank : given;
  const isList = points.initializer?.dims.length === 1 && points.initializer.size > 1;
  if (!isList) return wide;
  const shape = Array.from({ length: rank }, (_, at) => (at === axis ? -1 : 1));
  const target = editor.addInitializer('reference_shape', Tensor.fromNumbers(INT64, [rank], shape));
  return addNode(editor, 'Reshape', [wide, target], before);
}
