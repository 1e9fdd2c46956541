/**
 * Operators that keep zeros where they are: each element of the result is an element of one
 * operand, scaled. A mask of that operand is then a mask of the result. Transposed matrices are
 * told by their axes (see masks/slots.ts).
 */
import type { Node, Value } from '../ir/graph.js';
import { operatorOf } from './registry.js';

/**
 * The operands of `node` whose zeros are zeros of its output, of this rank; empty for all other
 * operators.
 */
export function scaledOperands(node: Node, rank: number): readonly (Value | undefined)[] {
  const { keepsZeros } = operatorOf(node) ?? {};
  if (keepsZeros === 'all') return node.inputs;
  return keepsZeros === undefined || (turnsAxes(node) && rank !== 2) ? [] : node.inputs.slice(0, 1);
}

/** Whether the result of an operator that scales has other axes than its operand. */
export function turnsAxes(node: Node): boolean {
  return operatorOf(node)?.alias === 'transposed';
}
