/**
 * What a compiled model with masks is compared with, made by another path than the one that
 * compiles: nothing is folded into weights, the masks are multiplied in the graph as training
 * frameworks do, and `drop` switches channels off where they are seen.
 *
 *   W -> Conv -> BatchNormalization      W -> Mul(mask) -> Conv -> BatchNormalization -> Mul(keep)
 *                                             keep = any(|W * mask| > 0) per filter, computed when the model runs
 */
import { Editor } from '../ir/editor.js';
import type { Node, Value } from '../ir/graph.js';
import { FLOAT, INT64, Tensor } from '../ir/tensor.js';
import { readModel } from '../onnx/read.js';
import { encodeModel } from '../onnx/write.js';
import { maskCodes, switchOffBiasCodes, switchOffCodes } from './masked-codes.js';
import { addNode, addReduction, isChannelVector } from './reference-nodes.js';

export interface PlannedMask {
  /** Place of the layer in the graph's list of nodes, and which of its inputs. */
  readonly node: number;
  readonly input: number;
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Row-major. */
  readonly factors: ArrayLike<number>;
  /** Set where the node decodes codes: a masked one is its zero point. */
  readonly isOfCodes?: true;
  /** Added after the multiplication; row-major. */
  readonly offsets?: ArrayLike<number>;
}

export interface MaskPlan {
  readonly masks: readonly PlannedMask[];
  /**
   * Layers whose filters without weights are dropped with bias and shift, and the type they compute
   * in.
   */
  readonly droppedIn: readonly { readonly node: number; readonly dataType: number }[];
}

/** `source` must be the model that the plan was made for. */
export function maskedReference(source: string | Uint8Array, { masks, droppedIn }: MaskPlan): Uint8Array {
  const model = readModel(source);
  const editor = new Editor(model.graph);
  const nodes = [...model.graph.nodes];
  editor.transaction('masked reference', () => {
    for (const mask of masks) multiplyMask(editor, nodeAt(nodes, mask.node), mask);
    for (const { node, dataType } of droppedIn) switchOff(editor, nodeAt(nodes, node), dataType);
  });
  return encodeModel(model);
}

function nodeAt(nodes: readonly Node[], place: number): Node {
  const node = nodes[place];
  if (node === undefined) throw new Error(`the plan names node ${place} of ${nodes.length}`);
  return node;
}

function multiplyMask(editor: Editor, node: Node, planned: PlannedMask): void {
  const { input, dataType, dims, factors, offsets, isOfCodes } = planned;
  if (isOfCodes === true) {
    maskCodes(editor, node, { input, dims, keep: factors });
    return;
  }
  const weight = node.inputs[input];
  if (weight === undefined) throw new Error(`${node.label} has no input ${input}`);
  const mask = editor.addInitializer(`${weight.name}_reference_mask`, Tensor.fromNumbers(dataType, dims, factors));
  const masked = addNode(editor, 'Mul', [weight, mask], node);
  editor.setInput(node, input, offsets === undefined ? masked : addOffsets(editor, masked, planned, node));
}

function addOffsets(editor: Editor, masked: Value, { dataType, dims, offsets = [] }: PlannedMask, before: Node): Value {
  const tensor = Tensor.fromNumbers(dataType, dims, offsets);
  return addNode(editor, 'Add', [masked, editor.addInitializer(`${masked.name}_offsets`, tensor)], before);
}

interface LayerLayout {
  /** Input with the weights, their rank, and the axis that counts filters. */
  readonly weights: number;
  readonly rank: number;
  readonly outAxis: number;
  /** Axes of the output after that of the channels. */
  readonly spatialRank: number;
  /** Whether an activation is joined to it: nothing can be put between the two. */
  readonly isJoined?: true;
  /** Whether it computes with codes. */
  readonly isOfCodes?: true;
}

type LayoutOf = (node: Node) => LayerLayout;

const convolution: LayoutOf = (node) => {
  const spatialRank = node.ints('kernel_shape')?.length ?? 2;
  return { weights: WEIGHTS, rank: spatialRank + 2, outAxis: 0, spatialRank };
};
const matrix: LayoutOf = (node) => {
  return { weights: WEIGHTS, rank: 2, outAxis: node.int('transB', 0) === 0 ? 1 : 0, spatialRank: 0 };
};
const ofCodes =
  (layout: LayoutOf): LayoutOf =>
  (node) => ({ ...layout(node), isOfCodes: true });

/** The matrix is on the right, or on the left, where the rows of the output are the channels. */
const product: LayoutOf = (node) => {
  const [left, right] = node.inputs;
  const isRight = isStored(right);
  const rank = rankOf(isRight ? right : left) ?? 2;
  const isTurned = node.int(isRight ? 'transB' : 'transA', 0) !== 0;
  return isRight
    ? { weights: WEIGHTS, rank, outAxis: rank - (isTurned ? 2 : 1), spatialRank: 0 }
    : { weights: 0, rank, outAxis: rank - (isTurned ? 1 : 2), spatialRank: 1 };
};

/** The second operand; its filters have the letter that the result ends in. */
const ofLetters: LayoutOf = (node) => {
  const equation = node.string('equation', '').replaceAll(' ', '');
  const letters = equation.split('->')[0]?.split(',')[1] ?? '';
  return { weights: WEIGHTS, rank: letters.length, outAxis: letters.indexOf(equation.at(-1) ?? ''), spatialRank: 0 };
};

/** Whether it is stored, or made of nothing else. */
function isStored(value: Value | undefined): boolean {
  if (value === undefined || value.initializer !== undefined) return value !== undefined;
  const { producer } = value;
  if (producer === undefined) return false;
  return producer.inputs.length === 0 || producer.inputs.every((input) => input === undefined || isStored(input));
}

/** Of a stored tensor, or of one that a mask was put on. */
function rankOf(value: Value | undefined): number | undefined {
  const { initializer, producer } = value ?? {};
  const masked = producer?.opType === 'Mul' ? producer.inputs[0] : undefined;
  return (initializer ?? masked?.initializer ?? producer?.tensor('value'))?.dims.length;
}

/**
 * Said here again, on purpose: a reference that asked the compiler's own operator rules would share
 * their mistakes.
 */
const LAYOUTS: ReadonlyMap<string, LayoutOf> = new Map<string, LayoutOf>([
  ['QLinearConv', ofCodes(convolution)],
  ['ConvInteger', ofCodes(convolution)],
  ['QLinearMatMul', ofCodes(matrix)],
  ['MatMulInteger', ofCodes(matrix)],
  ['MatMulIntegerToFloat', ofCodes(matrix)],
  ['DynamicQuantizeMatMul', ofCodes(matrix)],
  ['QGemm', ofCodes(matrix)],
  ['Conv', convolution],
  ['ConvTranspose', (node) => ({ ...convolution(node), outAxis: 1 })],
  ['FusedConv', (node) => ({ ...convolution(node), isJoined: true })],
  ['Gemm', matrix],
  ['MatMul', product],
  ['FusedMatMul', product],
  ['Einsum', ofLetters],
  ['Attention', (node) => ({ ...matrix(node), isJoined: true })],
]);

const WEIGHTS = 1;
const BIAS = 2;

function layoutOf(layer: Node): LayerLayout {
  const layout = LAYOUTS.get(layer.opType)?.(layer);
  if (layout === undefined) throw new Error(`${layer.label} is no layer that filters can be dropped from`);
  return layout;
}

/**
 * Behind the layer's normalisation every channel is multiplied with 1 where its filter has a
 * weight, else with 0.
 */
function switchOff(editor: Editor, layer: Node, dataType: number): void {
  const { weights, rank, outAxis, spatialRank, isJoined, isOfCodes } = layoutOf(layer);
  if (isOfCodes === true) {
    switchOffBiasCodes(editor, layer, { outAxis, spatialRank });
    return;
  }
  const weight = layer.inputs[weights];
  const end = endOfShift(layer);
  if (weight === undefined || end?.producer === undefined) return;
  const isFirst = weights === WEIGHTS && end === layer.outputs[0];
  if (isFirst && switchOffCodes(editor, layer, { outAxis, spatialRank })) return;
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== outAxis);
  const size = addNode(editor, 'Abs', [weight], layer);
  const largest = addReduction(editor, 'ReduceMax', size, axes, layer);
  const zero = editor.addInitializer('reference_zero', Tensor.fromNumbers(FLOAT, [], [0]));
  const wide = addNode(editor, 'Cast', [largest], layer, FLOAT);
  const isLive = addNode(editor, 'Greater', [wide, zero], layer);
  const keep = addNode(editor, 'Cast', [isLive], layer, dataType);
  if (isJoined === true) {
    const bias = layer.inputs[BIAS];
    if (bias !== undefined) editor.setInput(layer, BIAS, addNode(editor, 'Mul', [bias, keep], layer));
    return;
  }
  // Broadcasting aligns the last axes: [C] after a matrix product, [C, 1, 1] after a convolution.
  const shape = [-1, ...Array.from({ length: spatialRank }, () => 1)];
  const target = editor.addInitializer('reference_shape', Tensor.fromNumbers(INT64, [shape.length], shape));
  const perChannel = addNode(editor, 'Reshape', [keep, target], layer);
  const name = editor.graph.freshNodeName(`${layer.label}_reference_drop`);
  editor.insertAfter(end, { opType: 'Mul', name, inputs: (inner) => [inner, perChannel] });
}

/** The value after bias and normalisation: each of them the only reader of what comes before. */
function endOfShift(layer: Node): Value | undefined {
  let [end] = layer.outputs;
  const next = (opType: string): Node | undefined => {
    const use = end?.hasSingleUse === true ? end.uses[0] : undefined;
    return use?.node.opType === opType && use.node.domain === '' ? use.node : undefined;
  };
  const { spatialRank } = layoutOf(layer);
  const step = (opType: string): boolean => {
    const node = next(opType);
    const operand = node?.inputs.find((value) => value !== end);
    if (node === undefined || !isChannelVector(operand, channelsOf(layer), spatialRank)) return false;
    [end] = node.outputs;
    return true;
  };
  step('Add');
  if (step('Mul')) step('Add');
  else {
    const norm = next('BatchNormalization');
    if (norm !== undefined) [end] = norm.outputs;
  }
  return end;
}

function channelsOf(layer: Node): number | undefined {
  const { weights, outAxis } = layoutOf(layer);
  const weight = layer.inputs[weights];
  // Behind a mask the weights themselves are the first operand that is stored.
  const stored = weight?.initializer ?? weight?.producer?.inputs.find((value) => value?.initializer)?.initializer;
  return stored?.dims[outAxis];
}
