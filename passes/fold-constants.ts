/**
 * fold-constants: computes what the model computes from constants alone, such as a mask multiplied into a weight, once
 * and for all.
 *
 *   weight_orig \
 *                Mul -> Conv          =>    weight -> Conv
 *   weight_mask /
 *
 * Exact? Bitwise: ONNX Runtime itself does the arithmetic. Declines when the result would be larger than what it is made from
 * (ConstantOfShape, Expand), and for dequantised weights. Cost: one small session for all of them.
 */
import type { Shapes } from '../src/analysis/shapes.js';
import type { Knowledge } from '../src/analysis/site.js';
import type { Node, Value } from '../src/ir/graph.js';
import { isFloating, type Tensor } from '../src/ir/tensor.js';
import { type Pass, UNCHANGED } from './pass.js';

/** Results up to this many elements are folded whatever they are made from: shapes, axes, pads, scalars. */
const SMALL = 64;

interface Fold {
  readonly value: Value;
  readonly tensor: Tensor;
  readonly name: string;
  readonly isMasked: boolean;
}

export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'multiply masks into weights, and fold other arithmetic on constants',
  exactness: 'bitwise',
  async run({ editor, knowledge }) {
    const folds = findFolds(await knowledge());
    if (folds.length === 0) return UNCHANGED;
    const changed = editor.transaction('fold constants', () => {
      for (const { value, tensor, name } of folds) editor.replaceUses(value, editor.addInitializer(name, tensor));
    });
    const masked = folds.filter(({ isMasked }) => isMasked).length;
    const message =
      masked > 0 ? `multiplied ${masked} masks into their weights` : `folded ${folds.length} computed constants`;
    return { changed, gains: changed && masked > 0, remarks: [{ kind: 'applied', message }] };
  },
};

function findFolds({ graph, constants, shapes }: Knowledge): Fold[] {
  const folds: Fold[] = [];
  for (const node of graph.nodes) {
    if (node.opType === 'Constant') continue;
    for (const value of node.outputs) {
      if (value === undefined || value.uses.length === 0) continue;
      const tensor = constants.tensor(value);
      if (tensor === undefined) continue;
      const { source, isMasked } = sourceOf(node, tensor, shapes);
      if (source !== undefined) folds.push({ value, tensor, name: source.replace(/_orig$/, ''), isMasked });
      else if (tensor.size <= SMALL) folds.push({ value, tensor, name: `${value.name}_folded`, isMasked: false });
    }
  }
  return folds;
}

/** The constant of the result's size that it is made from, preferring `…_orig`, and whether a mask is multiplied in. */
function sourceOf(node: Node, result: Tensor, shapes: Shapes): { source: string | undefined; isMasked: boolean } {
  const names: string[] = [];
  if (!isFloating(result.dataType)) return { source: undefined, isMasked: false };
  let isMasked = false;
  const seen = new Set([node]);
  for (const at of seen) {
    // An extent that is read is no data: a bias that is blown up to the weights' width is not made from them.
    if (at.opType === 'Shape') continue;
    isMasked ||= at.opType === 'Mul' && multipliesData(at, shapes);
    for (const input of at.inputs) {
      const tensor = input?.initializer ?? input?.producer?.tensor('value');
      if (tensor?.size === result.size && input !== undefined) names.push(input.name);
      if (input?.producer !== undefined) seen.add(input.producer);
    }
  }
  return { source: names.find((name) => name.endsWith('_orig')) ?? names[0], isMasked };
}

/** A Mul with a lone number scales, one of integers computes a shape; a mask has the weight's dtype. */
function multipliesData({ inputs, outputs: [product] }: Node, shapes: Shapes): boolean {
  const dataType = product === undefined ? undefined : shapes.dataTypeOf(product);
  const isScaled = inputs.some((value) => (value?.initializer ?? value?.producer?.tensor('value'))?.size === 1);
  return !isScaled && (dataType === undefined || isFloating(dataType));
}
