/** The tensor that a Constant node holds, in any of its forms. */
import type { Node } from '../ir/graph.js';
import { FLOAT, INT64, Tensor } from '../ir/tensor.js';

/** The value of a Constant node (ai.onnx, any opset), a sparse one as a dense tensor; undefined for strings. */
export function constantNodeTensor(node: Node): Tensor | undefined {
  if (node.opType !== 'Constant' || node.domain !== '') return undefined;
  const tensor = node.tensor('value') ?? node.tensor('sparse_value');
  if (tensor !== undefined) return tensor;
  const scalarInt = node.attributes.get('value_int');
  if (scalarInt?.kind === 'int') return Tensor.fromNumbers(INT64, [], [scalarInt.value]);
  const scalarFloat = node.attributes.get('value_float');
  if (scalarFloat?.kind === 'float') return Tensor.fromNumbers(FLOAT, [], [scalarFloat.value]);
  const ints = node.ints('value_ints');
  if (ints !== undefined) return Tensor.fromNumbers(INT64, [ints.length], ints);
  const floats = node.attributes.get('value_floats');
  return floats?.kind === 'floats' ? Tensor.fromNumbers(FLOAT, [floats.value.length], floats.value) : undefined;
}
