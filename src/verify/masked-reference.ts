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
  /** Axis of the weights (input 1) that counts filters. */
  readonly outAxis: number;
  /** Axes after that of the channels, in weights and output. */
  readonly spatialRank: number;
  /** Whether an activation is joined to it: nothing can be put between the two. */
  readonly isJoined?: true;
  /** Whether it computes with codes. */
  readonly isOfCodes?: true;
}

/**
 * Said here again, on purpose: a reference that asked the compiler's own operator rules would share
 * their mistakes.
 */
const LAYOUTS: ReadonlyMap<string, (node: Node) => LayerLayout> = new Map<string, (node: Node) => LayerLayout>([
  ['QLinearConv', (node) => ({ outAxis: 0, spatialRank: node.ints('kernel_shape')?.length ?? 2, isOfCodes: true })],
  ['ConvInteger', (node) => ({ outAxis: 0, spatialRank: node.ints('kernel_shape')?.length ?? 2, isOfCodes: true })],
  ['QLinearMatMul', () => ({ outAxis: 1, spatialRank: 0, isOfCodes: true })],
  ['MatMulInteger', () => ({ outAxis: 1, spatialRank: 0, isOfCodes: true })],
  ['MatMulIntegerToFloat', () => ({ outAxis: 1, spatialRank: 0, isOfCodes: true })],
  ['DynamicQuantizeMatMul', () => ({ outAxis: 1, spatialRank: 0, isOfCodes: true })],
  ['QGemm', (node) => ({ outAxis: node.int('transB', 0) === 0 ? 1 : 0, spatialRank: 0, isOfCodes: true })],
  ['Conv', (node: Node) => ({ outAxis: 0, spatialRank: node.ints('kernel_shape')?.length ?? 2 })],
  ['FusedConv', (node: Node) => ({ outAxis: 0, spatialRank: node.ints('kernel_shape')?.length ?? 2, isJoined: true })],
  ['Gemm', (node: Node) => ({ outAxis: node.int('transB', 0) === 0 ? 1 : 0, spatialRank: 0 })],
  ['MatMul', () => ({ outAxis: 1, spatialRank: 0 })],
  // The letter that the result ends in.
  ['Einsum', (node) => ({ outAxis: secondTerm(node).indexOf(equationOf(node).at(-1) ?? ''), spatialRank: 0 })],
  ['Attention', () => ({ outAxis: 1, spatialRank: 0, isJoined: true })],
]);

function equationOf(node: Node): string {
  return node.string('equation', '').replaceAll(' ', '');
}

function secondTerm(node: Node): string {
  return equationOf(node).split('->')[0]?.split(',')[1] ?? '';
}

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
  const { outAxis, spatialRank, isJoined, isOfCodes } = layoutOf(layer);
  if (isOfCodes === true) {
    switchOffBiasCodes(editor, layer, { outAxis, spatialRank });
    return;
  }
  const weight = layer.inputs[WEIGHTS];
  const end = endOfShift(layer);
  if (weight === undefined || end?.producer === undefined) return;
  if (end === layer.outputs[0] && switchOffCodes(editor, layer, { outAxis, spatialRank })) return;
  const axes = Array.from({ length: spatialRank + 2 }, (_, axis) => axis).filter((axis) => axis !== outAxis);
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
  const { outAxis } = layoutOf(layer);
  const weight = layer.inputs[WEIGHTS];
  // Behind a mask the weights themselves are the first operand that is stored.
  const stored = weight?.initializer ?? weight?.producer?.inputs.find((value) => value?.initializer)?.initializer;
  return stored?.dims[outAxis];
}
