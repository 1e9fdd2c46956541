/**
 * Operators that keep zeros where they are: each element of the result is an element of one operand, scaled. A mask of that operand
 * is then a mask of the result. Transpose moves elements; matrices are told by their axes (see masks/slots.ts).
 */
import type { Node, Value } from '../ir/graph.js';

const SCALING = new Set(['Cast', 'CastLike', 'Div', 'Identity', 'Mul', 'Neg']);

/** The operands of `node` whose zeros are zeros of its output; empty for all other operators. */
export function scaledOperands(node: Node, rank: number): readonly (Value | undefined)[] {
  if (node.domain !== '') return [];
  if (node.opType === 'Mul') return node.inputs;
  return SCALING.has(node.opType) || (node.opType === 'Transpose' && rank === 2) ? node.inputs.slice(0, 1) : [];
}

/** Whether the result of an operator that scales has other axes than its operand. */
export function turnsAxes({ opType, domain }: Node): boolean {
  return domain === '' && opType === 'Transpose';
}
