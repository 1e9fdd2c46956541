/**
 * The bound on a network that somebody trained: equal under reordered sums, unequal under a small
 * wrong edit.
 */
import { describe, expect, test } from 'vitest';
import { Editor } from '../../src/ir/editor.js';
import { hasInitializer, type Node, type Value } from '../../src/ir/graph.js';
import { FLOAT, Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { verifyModels } from '../../src/verify/verify.js';
import { REAL_FILES } from '../support/real-models.js';
import { taken } from './small-net.js';

const MODEL = `${REAL_FILES}/models/cifar/resnet20_folded_op13.onnx`;

/**
 * The model after `edit` of its first convolution whose output only one further convolution reads,
 * through a Relu.
 */
function editedModel(edit: (editor: Editor, first: Node, second: Node) => void): Uint8Array {
  const model = readModel(MODEL);
  const editor = new Editor(model.graph);
  for (const first of model.graph.nodes) {
    const relu = onlyReader(first);
    const second = relu === undefined ? undefined : onlyReader(relu);
    if (first.opType !== 'Conv' || relu?.opType !== 'Relu' || second?.opType !== 'Conv') continue;
    editor.transaction('edit', () => edit(editor, first, second));
    return encodeModel(model);
  }
  throw new Error('the model has no such convolution');
}

function onlyReader(node: Node): Node | undefined {
  const uses = node.outputs[0]?.uses ?? [];
  return uses.length === 1 ? uses[0]?.node : undefined;
}

function weights(node: Node, index: number): { value: Value; dims: readonly number[]; numbers: Float32Array } {
  const value = node.inputs[index];
  if (value === undefined || !hasInitializer(value)) throw new Error(`${node.label} has no constant input ${index}`);
  return { value, dims: value.initializer.dims, numbers: Float32Array.from(value.initializer.numbers()) };
}

describe('a trained ResNet-20', () => {
  test('equals itself with the channels of one layer in another order', async () => {
    const reordered = editedModel((editor, first, second) => {
      const outputs = weights(first, 1);
      const order = Array.from({ length: outputs.dims[0] ?? 0 }, (_, index) => index).toReversed();
      const reorder = (node: Node, index: number, axis: number) => {
        const { value, dims, numbers } = weights(node, index);
        editor.rewriteInitializer(value, Tensor.fromNumbers(FLOAT, dims, taken(numbers, dims, axis, order)));
      };
      reorder(first, 1, 0);
      reorder(first, 2, 0);
      reorder(second, 1, 1);
    });
    const { equal, difference, noise } = await verifyModels(MODEL, reordered);
    expect(equal).toBe(true);
    // Seen: 0.5 to 1 times the noise; the bound allows 8 times.
    expect(difference).toBeLessThan(4 * noise);
    expect(difference).toBeGreaterThan(0);
  });

  test('does not equal itself with one bias 1 % larger', async () => {
    const wrong = editedModel((editor, first) => {
      const { value, dims, numbers } = weights(first, 2);
      numbers.set([1.01 * (numbers[0] ?? 0)], 0);
      editor.rewriteInitializer(value, Tensor.fromNumbers(FLOAT, dims, numbers));
    });
    const { equal, difference, bound } = await verifyModels(MODEL, wrong);
    expect(equal).toBe(false);
    expect(difference).toBeGreaterThan(10 * bound);
  });
});
