/** A weight has one mask of each file. */
import { isSameFactors } from './apply.js';
import type { Binding } from './binding.js';
import { twice } from './mask-errors.js';
import type { WeightSlot } from './slots.js';

/** Throws E-MASK-AMBIGUOUS where two different masks are for one weight. */
export function onePerSlot(bindings: readonly Binding[]): void {
  const seen = new Map<WeightSlot, Binding>();
  for (const binding of bindings) {
    const other = seen.get(binding.slot);
    // One parameter under two names.
    if (other !== undefined && !isSameFactors(binding.mask.factors, other.mask.factors)) throw twice(binding, other);
    seen.set(binding.slot, binding);
  }
}
