/** A weight has one mask of each file. */
import type { Binding } from './binding.js';
import { twice } from './mask-errors.js';
import type { WeightSlot } from './slots.js';

function isSameMask({ mask: { factors } }: Binding, other: Binding): boolean {
  return factors.every((factor, at) => factor === other.mask.factors[at]);
}

/** Throws E-MASK-AMBIGUOUS where two different masks are for one weight. */
export function onePerSlot(bindings: readonly Binding[]): void {
  const seen = new Map<WeightSlot, Binding>();
  for (const binding of bindings) {
    const other = seen.get(binding.slot);
    // One parameter under two names.
    if (other !== undefined && !isSameMask(binding, other)) throw twice(binding, other);
    seen.set(binding.slot, binding);
  }
}
