/**
 * Where ONNX Runtime's shape inference says other extents than its kernels then make (found by
 * running 200,000 nodes with random attributes in 1.30 and 1.32, and comparing): nothing may be
 * concluded from these. Each operator's row says where.
 */
import type { Dim, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Doubt } from './operator.js';
import { operatorOf } from './registry.js';

/** Operators of which any may be doubtful. */
export function isSuspect(domain: string, opType: string): boolean {
  const operator = operatorOf({ domain, opType });
  if (operator?.isRarelyDoubtful === true) return false;
  return operator?.doubt !== undefined || operator?.doubtByOperands !== undefined;
}

/**
 * Axes of the node's output whose inferred extents may be wrong; undefined where there are none.
 * `constant` knows inputs by index.
 */
export function doubtOf(node: Node, constant: (input: number) => Tensor | undefined): Doubt | undefined {
  const doubt = operatorOf(node)?.doubt?.(node, constant);
  return doubt === undefined || (doubt.axes.length === 0 && doubt.misleading === undefined) ? undefined : doubt;
}

/** Axes of the node's result that are in doubt for what is known of its operands. */
export function doubtByOperands(
  node: Node,
  operands: readonly (readonly Dim[] | undefined)[],
  result: readonly Dim[] | undefined,
): readonly number[] {
  return result === undefined ? [] : (operatorOf(node)?.doubtByOperands?.(node, operands, result) ?? []);
}
