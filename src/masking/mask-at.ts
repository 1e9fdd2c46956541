/** The mask of a weight at another place where its parameter is read. */
import type { Use } from '../ir/graph.js';
import type { Factors, MaskedWeight } from '../masks/apply.js';
import type { WeightSlot } from '../masks/slots.js';

/** `read`: what is read there, and how it is stored. `factors`: in its layout. */
export function maskAt(
  weight: MaskedWeight,
  { node, index }: Use,
  read: Pick<WeightSlot, 'value' | 'root' | 'tensor'> & Partial<Pick<WeightSlot, 'names' | 'isAsStored' | 'codes'>>,
  factors: Factors,
): MaskedWeight {
  const [binding] = weight.bindings;
  const { part: _part, added: _added, ...slot } = binding.slot;
  return { ...weight, factors, bindings: [{ ...binding, slot: { ...slot, isLayer: false, node, index, ...read } }] };
}
