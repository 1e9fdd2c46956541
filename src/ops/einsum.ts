/** Einsum. */
import type { Dim, Node } from '../ir/graph.js';
import type { Operator } from './operator.js';

/**
 * In the inference a label has the extent of its first operand, also where that is 1 and another
 * one is not. In doubt are labels whose first operand's extent is 1, or a symbol that may stand for
 * 1, while another one is not the same.
 */
function doubtByOperands(
  node: Node,
  operands: readonly (readonly Dim[] | undefined)[],
  result: readonly Dim[],
): readonly number[] {
  const equation = node.string('equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  // What the equation leaves to rules is not followed: any axis may be wrong.
  if (right === undefined || equation.includes('.')) return [...result.keys()];
  const terms = left.split(',');
  return right.split('').flatMap((label, axis) => {
    const extents = terms.flatMap((term, operand) =>
      term.split('').flatMap((other, at) => (other === label ? [operands[operand]?.[at] ?? ''] : [])),
    );
    const [first = ''] = extents;
    const isSure = first === '' || (typeof first === 'number' && first !== 1);
    return isSure || extents.every((extent) => extent === first) ? [] : [axis];
  });
}

export const einsums: readonly Operator[] = [{ type: 'Einsum', doubtByOperands }];
