/** What may be a weight, told by its operator, type and shape alone. */
import type { Node } from '../ir/graph.js';
import { BOOL, elementBytes, isFloating } from '../ir/tensor.js';
import { operatorOf } from '../ops/registry.js';

/** One weight of one operator that no rule reads. */
export interface UnreadWeight {
  readonly op: string;
  readonly dataType: number;
  readonly elements: number;
  /** Elements that stand for 0; undefined where that cannot be told. */
  readonly zeros: number | undefined;
}

/** Types of several elements to a byte. */
const PACKED: ReadonlySet<number> = new Set([21, 22, 23, 25, 26]);
/** Bytes from which on integers are shapes and indices. */
const WIDE = 4;

/** Integers of 32 bits and more are shapes and indices, lists are biases and scales. */
export function mayBeWeight(operator: Pick<Node, 'opType' | 'domain'>, dataType: number, dims: readonly number[]) {
  if (operatorOf(operator)?.movesData === true) return false;
  const isNarrow = dataType !== BOOL && (PACKED.has(dataType) || (elementBytes(dataType) ?? WIDE) < WIDE);
  return (isFloating(dataType) || isNarrow) && dims.filter((dim) => dim > 1).length > 1;
}
