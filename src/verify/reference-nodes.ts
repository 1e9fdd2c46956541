/** Nodes that a model gets to be compared with, and no compiled model. */
import type { Editor } from '../ir/editor.js';
import type { Node, Value } from '../ir/graph.js';
import { INT64, product, Tensor } from '../ir/tensor.js';

export function addNode(
  editor: Editor,
  opType: string,
  inputs: readonly Value[],
  before: Node | undefined,
  castTo?: number,
): Value {
  const name = editor.graph.freshNodeName(`reference_${opType}`);
  const attributes = castTo === undefined ? {} : { to: { kind: 'int', value: castTo } as const };
  return outputOf(editor.addNode({ opType, name, inputs, outputs: [name], attributes }, before));
}

/** Without the reduced axes. From opset 18 on the axes are an input. */
export function addReduction(
  editor: Editor,
  opType: 'ReduceMax' | 'ReduceMean',
  value: Value,
  axes: readonly number[],
  before: Node,
): Value {
  const { graph } = editor;
  const isInput = graph.opset >= 18;
  const inputs = isInput
    ? [value, editor.addInitializer('reference_axes', Tensor.fromNumbers(INT64, [axes.length], axes))]
    : [value];
  const name = graph.freshNodeName(`reference_${opType}`);
  const node = editor.addNode(
    {
      opType,
      name,
      inputs,
      outputs: [name],
      attributes: {
        keepdims: { kind: 'int', value: 0 },
        ...(isInput ? {} : { axes: { kind: 'ints', value: axes } }),
      },
    },
    before,
  );
  return outputOf(node);
}

/** [C, 1, 1], [1, C, 1, 1], or [C] after a matrix product. */
export function isChannelVector(value: Value | undefined, channels: number | undefined, rank: number): boolean {
  const dims = value?.initializer?.dims ?? value?.producer?.tensor('value')?.dims;
  return dims !== undefined && dims.at(-1 - rank) === channels && product(dims) === channels;
}

function outputOf(node: Node): Value {
  const [output] = node.outputs;
  if (output === undefined) throw new Error(`${node.label} has no output`);
  return output;
}
