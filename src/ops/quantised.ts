/**
 * Operators on quantised numbers. No relation describes them yet: known is where they hold weights,
 * and what stands for 0.
 */
import type { Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import type { StoredWeights } from './stored-weights.js';

function holds(type: string, weights: readonly StoredWeights[], more: Partial<Operator> = {}): Operator {
  return { type, storedWeights: () => weights, ...more };
}

/** Of MatMulNBits without zero points: half of the range stands for 0. */
function packedCount(node: Node): (tensor: Tensor, points: Tensor | undefined) => number | undefined {
  const bits = node.int('bits', 4);
  const middle = 2 ** (bits - 1);
  return (tensor, points) => {
    if (points !== undefined || (bits !== 4 && bits !== 8)) return undefined;
    let count = 0;
    for (const byte of tensor.bytes()) {
      if (bits === 8) count += Number(byte === middle);
      else count += Number((byte & 15) === middle) + Number(byte >> 4 === middle);
    }
    return count;
  };
}

export const quantised: readonly Operator[] = [
  holds('QAttention', [{ index: 1, zeroPoint: 7, axis: -1 }], { domain: MICROSOFT }),
  {
    type: 'MatMulNBits',
    domain: MICROSOFT,
    storedWeights: (node) => [{ index: 1, zeroPoint: 3, axis: 0, count: packedCount(node) }],
  },
];
