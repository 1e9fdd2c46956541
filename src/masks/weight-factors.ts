/**
 * Numbers that the graph computes a weight with, one per filter: g of g v / |v| in a weight
 * normalisation. They are stored under the parameter's own name.
 */
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { isNameOf } from './names.js';
import { toleranceOf } from './same-weights.js';
import type { WeightSlot } from './slots.js';

/** What a tensor of the file is to a parameter of the model. */
export type FactorIs = 'parameter' | 'differs' | 'zeros' | 'lost';

/** Undefined where the model stores no such factor of the weight `slot`. */
export function compareFactor(
  { name }: Claim,
  tensor: FileTensor,
  slot: WeightSlot,
  slots: readonly WeightSlot[],
): FactorIs | undefined {
  if (!slot.isLayer || tensor.size >= slot.tensor.size) return undefined;
  const isStored = (other: WeightSlot) =>
    !other.isLayer && other.tensor.size === tensor.size && other.names.some((stored) => isNameOf(stored, name));
  const stored = slots.find(isStored);
  if (stored === undefined) return undefined;
  const [theirs, ours] = [tensor.toTensor().numbers(), stored.tensor.numbers()];
  const tolerance = toleranceOf(tensor);
  const isEqual = theirs.every((value, at) => {
    const own = ours[at] ?? 0;
    return value === 0 || Math.abs(value - own) <= Math.abs(own) * tolerance;
  });
  const hasNewZeros = theirs.some((value, at) => value === 0 && ours[at] !== 0);
  if (!hasNewZeros) return isEqual ? 'parameter' : 'differs';
  return isEqual ? 'zeros' : 'lost';
}
