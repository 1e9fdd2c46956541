/** Constant. */
import type { Node } from '../ir/graph.js';
import { FLOAT, INT64, Tensor } from '../ir/tensor.js';
import type { Operator } from './operator.js';

/** In any of its forms; a sparse one as a dense tensor. */
function stored(node: Node): Tensor | undefined {
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

export const constants: readonly Operator[] = [{ type: 'Constant', stored }];
