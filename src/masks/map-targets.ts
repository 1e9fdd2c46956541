/** What --mask-map names: a node, a parameter, or a stored tensor. */
import type { Claim } from './claim.js';
import { relationOf } from './evidence.js';
import { unknownTarget } from './mask-errors.js';
import type { Ranked } from './module-constants.js';
import { isSameKind, parameterOf, parseKey } from './names.js';
import type { WeightSlot } from './slots.js';

/**
 * Of a tensor that several modules read, the one whose name is meant has it; without such a one all
 * have. Throws E-MASK-MAP where the model has nothing of that name.
 */
export function mapTargets(
  claim: Claim,
  wanted: string,
  all: readonly WeightSlot[],
  byModule: ReadonlyMap<string, readonly Ranked[]>,
): readonly WeightSlot[] {
  const own = claim.name.parameter;
  const isWanted = ({ node, value, parameter }: WeightSlot) =>
    value.name === wanted ||
    (node.name === wanted && (parameter === 'weight' || parameter === own) && isSameKind(parameter, own));
  const isOptional = claim.isOptional === true;
  // The mask of a bias goes where that of the weight does.
  const slots = isOptional
    ? all.filter(
        ({ node, parameter }) => parameter === 'bias' && all.some((slot) => slot.node === node && isWanted(slot)),
      )
    : all.filter(isWanted);
  const name = parseKey(wanted);
  if (isOptional || name?.isParameter !== true) {
    if (slots.length === 0 && !isOptional) throw unknownTarget(claim, wanted, all);
    return slots;
  }
  const owned = slots.filter((slot) => slot.node.name === wanted || relationOf({ name }, slot) !== 'stranger');
  if (owned.length > 0) return owned;
  const inModule = byModule.get(parameterOf(name)) ?? [];
  const best = Math.min(...inModule.map(({ rank }) => rank));
  const found = inModule.filter(({ rank }) => rank === best).map(({ slot }) => slot);
  if (found.length === 0 && slots.length === 0) throw unknownTarget(claim, wanted, all);
  return found.length > 0 ? found : slots;
}
