/**
 * fold-weights: computes what the model computes from weights alone, such as a mask multiplied in, once and for all.
 *
 *   weight_orig \
 *                Mul -> Conv          =>    weight -> Conv
 *   weight_mask /
 *
 * Exact? Bitwise: ONNX Runtime itself does the arithmetic. Declines when the result would be larger than what it is made from
 * (ConstantOfShape, Expand), for integers, and for dequantised weights. Cost: one small session for all weights.
 */
import type { Node, Value } from '../src/ir/graph.js';
import { isFloating, type Tensor } from '../src/ir/tensor.js';
import { type Pass, UNCHANGED } from './pass.js';

interface Fold {
  readonly value: Value;
  readonly tensor: Tensor;
  readonly name: string;
  readonly isMasked: boolean;
}

export const foldWeights: Pass = {
  name: 'fold-weights',
  summary: 'multiply masks into weights, and fold other arithmetic on weights',
  exactness: 'bitwise',
  async run({ editor, knowledge }) {
    const { constants, graph } = await knowledge();
    const folds = findFolds(graph.nodes, (value) => constants.tensor(value));
    if (folds.length === 0) return UNCHANGED;
    const changed = editor.transaction('fold weights', () => {
      for (const { value, tensor, name } of folds) editor.replaceUses(value, editor.addInitializer(name, tensor));
    });
    const masked = folds.filter(({ isMasked }) => isMasked).length;
    const message = masked > 0 ? `multiplied ${masked} masks into their weights` : `folded ${folds.length} computed weights`;
    return { changed, remarks: [{ kind: 'applied', message }] };
  },
};

function findFolds(nodes: readonly Node[], tensorOf: (value: Value) => Tensor | undefined): Fold[] {
  const folds: Fold[] = [];
  for (const node of nodes) {
    if (node.opType === 'Constant') continue;
    for (const value of node.outputs) {
      if (value === undefined || value.uses.length === 0) continue;
      const tensor = tensorOf(value);
      if (tensor === undefined || !isFloating(tensor.dataType)) continue;
      const { largest, isMasked } = sources(node, tensor);
      if (largest !== undefined) folds.push({ value, tensor, name: largest.replace(/_orig$/, ''), isMasked });
    }
  }
  return folds;
}

/** The constant of the result's size that it is made from, preferring `…_orig`, and whether a mask is multiplied in. */
function sources(node: Node, result: Tensor): { largest: string | undefined; isMasked: boolean } {
  const names: string[] = [];
  let isMasked = false;
  const pending: Node[] = [node];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    isMasked ||= at.opType === 'Mul';
    for (const input of at.inputs) {
      const tensor = input?.initializer ?? input?.producer?.tensor('value');
      if (tensor?.size === result.size && input !== undefined) names.push(input.name);
      if (input?.producer !== undefined) pending.push(input.producer);
    }
  }
  return { largest: names.find((name) => name.endsWith('_orig')) ?? names[0], isMasked };
}
