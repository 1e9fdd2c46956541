/**
 * The last resort of binding: no name of the whole file means anything, and there is no choice for
 * any of its masks.
 */
import type { Candidate } from './binding.js';
import type { Claim } from './claim.js';
import { fitsWhole } from './evidence.js';
import type { WeightSlot } from './slots.js';

/**
 * Sets the candidates of all claims, or of none. `hasValues`: the file says more of it than its
 * shape.
 */
export function bindByShape(
  candidates: Map<Claim, Candidate[]>,
  slots: readonly WeightSlot[],
  hasValues: (claim: Claim) => boolean,
): void {
  if ([...candidates.values()].some((found) => found.length > 0)) return;
  const weights = slots.filter(({ parameter, isLayer }) => isLayer && parameter === 'weight');
  const fits = (claim: Claim) =>
    claim.source.kind === 'tensor' &&
    claim.isListed !== true &&
    claim.source.tensor.dims.length >= 2 &&
    !hasValues(claim)
      ? weights.filter((slot) => fitsWhole(claim, slot))
      : [];
  const fitting = new Map([...candidates.keys()].map((claim) => [claim, fits(claim)]));
  const wishes = [...fitting.values()].flat();
  const isSole = (found: readonly WeightSlot[]) =>
    found.length === 1 && wishes.filter((wish) => wish === found[0]).length === 1;
  // All or none: where one mask is lost, the others fit by chance as likely as by right.
  if (![...fitting.values()].every(isSole)) return;
  for (const [claim, [slot]] of fitting) if (slot !== undefined) candidates.set(claim, [{ slot, evidence: 'shape' }]);
}
