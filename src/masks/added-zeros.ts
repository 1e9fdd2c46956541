/** Zeros of a file's tensor that a weight of the model has not. */
import type { Binding } from './binding.js';
import type { Claim } from './claim.js';
import type { Expanded } from './expand.js';
import { toleranceOf } from './same-weights.js';
import type { WeightSlot } from './slots.js';

/** Whether the tensor has the weight's values wherever it is not zero. */
export function isEqualBut({ source }: Claim, { tensor }: WeightSlot, factors: Expanded['factors']): boolean {
  const tolerance = source.kind === 'tensor' ? toleranceOf(source.tensor) : 0;
  return tensor
    .numbers()
    .every((value, at) => factors[at] === 0 || Math.abs((factors[at] ?? 0) - value) <= Math.abs(value) * tolerance);
}

/** Elements that are zero in the file and neither in the model nor in its masks. */
export function addedZeros({ factors }: Expanded, { tensor }: WeightSlot, known: readonly Binding[]): number[] {
  const ours = tensor.numbers();
  const added: number[] = [];
  for (let at = 0; at < factors.length; at++) {
    if (factors[at] === 0 && ours[at] !== 0 && !known.some(({ mask }) => mask.factors[at] === 0)) added.push(at);
  }
  return added;
}
