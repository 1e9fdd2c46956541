/**
 * Zeroes filters of an exported model as the generator's `mask` says, wherever the exporter put the
 * weights: in an initializer, in a Constant node, behind a mask that is multiplied in, behind a
 * dequantisation, or in a ConstantOfShape.
 */
import { keepMask } from '../../fixtures/networks/skeleton.js';
import { Editor } from '../../src/ir/editor.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { elementBytes, FLOAT, product, Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

export type Which = 'all' | 'inner';
/** zero: the filters' weights. drop: their bias and the normalisation right behind them too. */
export type Meaning = 'zero' | 'drop';

export interface MaskedModel {
  readonly bytes: Uint8Array;
  /** Masked channels per weight name. */
  readonly masked: ReadonlyMap<string, readonly number[]>;
}

/**
 * Zeroes half of the filters of every convolution (`all`) or of those whose output reaches exactly
 * one ungrouped convolution through Relu, Clip and BatchNormalization (`inner`).
 */
export async function maskFilters(
  bytes: Uint8Array,
  which: Which,
  meaning: Meaning,
  fraction = 0.5,
): Promise<MaskedModel> {
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  const masked = new Map<string, number[]>();
  editor.transaction('mask', () => {
    for (const node of model.graph.nodes) {
      const weights = isConvolution(node) ? stored(node, 1) : undefined;
      if (weights === undefined || (which === 'inner' && !isInner(node))) continue;
      const channels = weights.tensor.dims[0] ?? 0;
      const keep = keepMask(weights.value.name, channels, fraction);
      const dead = [...keep.keys()].filter((channel) => keep[channel] === 0);
      masked.set(weights.value.name, dead);
      zero(editor, weights, dead);
      if (meaning === 'drop') dropAffine(editor, node, dead);
    }
  });
  return { bytes: encodeModel(model), masked };
}

/**
 * The name of the initializer that holds the convolution's weights: what the mask and the answer
 * key go by.
 */
export function weightName(node: Node): string | undefined {
  return stored(node, 1)?.value.name;
}

export function isConvolution({ opType, domain }: Node): boolean {
  return (opType === 'Conv' && domain === '') || opType === 'FusedConv';
}

function dropAffine(editor: Editor, node: Node, dead: readonly number[]): void {
  const [after, ...others] = dataReaders(node);
  const normalization = others.length === 0 && after?.opType === 'BatchNormalization' ? after : undefined;
  const holders = [stored(node, 2), ...[1, 2].map((index) => normalization && stored(normalization, index))];
  for (const holder of holders) if (holder !== undefined) zero(editor, holder, dead);
}

/** A stored tensor and the one input that leads to it. */
interface Stored {
  readonly node: Node;
  readonly index: number;
  readonly value: Value;
  readonly tensor: Tensor;
}

/** What the input is made from, looking through everything that keeps a zero a zero. */
function stored(node: Node, index: number): Stored | undefined {
  const value = node.inputs[index];
  if (value === undefined) return undefined;
  const tensor = value.initializer ?? (value.producer && constantTensor(value.producer));
  if (tensor !== undefined) return { node, index, value, tensor };
  const { producer } = value;
  if (producer === undefined) return undefined;
  if (['Identity', 'Cast', 'CastLike', 'DequantizeLinear'].includes(producer.opType)) return stored(producer, 0);
  if (producer.opType !== 'Mul') return undefined;
  const factors = [0, 1].map((factor) => stored(producer, factor));
  return factors.find((factor) => factor?.value.name.endsWith('_orig')) ?? factors[0];
}

function constantTensor(node: Node): Tensor | undefined {
  if (node.opType === 'Constant') return node.tensor('value');
  const dims = node.opType === 'ConstantOfShape' ? node.inputs[0]?.initializer : undefined;
  const fill = node.tensor('value');
  if (dims === undefined || fill?.dataType !== FLOAT) return undefined;
  const shape = [...dims.numbers()];
  return Tensor.fromNumbers(FLOAT, shape, new Float32Array(product(shape)).fill(fill.numbers()[0] ?? 0));
}

/**
 * All bytes of a number that is zero are zero, in every dtype; a quantised weight's zero point is
 * 0.
 */
function zero(editor: Editor, { node, index, value, tensor }: Stored, channels: readonly number[]): void {
  const bytes = new Uint8Array(tensor.bytes());
  const size = (product(tensor.dims.slice(1)) * (elementBytes(tensor.dataType) ?? 0)) | 0;
  for (const channel of channels) bytes.fill(0, channel * size, (channel + 1) * size);
  const changed = Tensor.of(tensor.dataType, tensor.dims, bytes);
  const readers = value.uses.filter(({ node: reader }) => reader.opType !== 'Shape');
  if (value.initializer !== undefined && readers.length === 1) editor.rewriteInitializer(value, changed);
  else editor.rewriteOperand({ node, index }, editor.addInitializer(`${value.name}_masked`, changed));
}

function isInner(node: Node): boolean {
  const readers = reached(node);
  const [reader] = readers;
  return readers.length === 1 && reader?.opType === 'Conv' && reader.int('group', 1) === 1;
}

function reached(node: Node): Node[] {
  return dataReaders(node).flatMap((reader) =>
    ['Relu', 'Clip', 'BatchNormalization'].includes(reader.opType) ? reached(reader) : [reader],
  );
}

/** Nodes that read the values of the first output, not only its dtype or its shape. */
function dataReaders({ outputs }: Node): Node[] {
  const uses = outputs[0]?.uses ?? [];
  return uses
    .filter(({ node, index }) => node.opType !== 'Shape' && !(node.opType === 'CastLike' && index === 1))
    .map(({ node }) => node);
}
