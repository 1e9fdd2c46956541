/**
 * Constants that a module's nodes read without a rule that says which parameter each is: scale and
 * shift after a group normalisation, the slope of a PReLU. Exporters give them other names and
 * extents of 1. Their values tell them apart, else what the operator does with them.
 */
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { alignedView, expandMask } from './expand.js';
import { parseKey } from './names.js';
import { toleranceOf } from './same-weights.js';
import type { WeightSlot } from './slots.js';

const ROLE_OF_PARAMETER: ReadonlyMap<string, NonNullable<WeightSlot['role']>> = new Map([
  ['weight', 'scale'],
  ['gamma', 'scale'],
  ['bias', 'shift'],
  ['beta', 'shift'],
]);

/** A slot of a module, with how likely it is the module's: 0 is the most likely. */
export interface Ranked {
  readonly slot: WeightSlot;
  readonly rank: number;
}

/**
 * Of what a module reads under the parameter's name, without the constants that are other
 * parameters; `weights` is what it reads as weights, nameless constants among them.
 */
export function withoutOthers(
  claim: Claim,
  found: readonly Ranked[],
  weights: readonly Ranked[],
  original: FileTensor | undefined,
): readonly Ranked[] {
  const all = [...new Set([...found, ...weights])];
  if (!ROLE_OF_PARAMETER.has(claim.name.parameter) || all.some(({ slot }) => slot.isLayer)) return found;
  const nameless = all.filter(({ slot }) => isNameless(slot));
  const slots = nameless.map(({ slot }) => slot);
  const own = constantsFor(claim, slots, original);
  return [...found.filter(({ slot }) => !isNameless(slot)), ...nameless.filter(({ slot }) => own.includes(slot))];
}

/** Whether it is stored under a name that is no parameter's, where no rule says what it is. */
export function isNameless({ isLayer, isAsStored, names, part }: WeightSlot): boolean {
  return !isLayer && isAsStored && part === undefined && !names.some((name) => parseKey(name)?.isParameter === true);
}

/** Those of a module's nameless constants that the parameter, or its mask, can be. */
function constantsFor(
  claim: Claim,
  nameless: readonly WeightSlot[],
  original: FileTensor | undefined,
): readonly WeightSlot[] {
  const wanted = ROLE_OF_PARAMETER.get(claim.name.parameter);
  const fitting = nameless.filter((slot) => expandMask(claim, slot, 'torch') !== undefined);
  const inRole = (slots: readonly WeightSlot[]) => {
    const own = slots.filter((slot) => slot.role === wanted);
    // A slope is called a weight, and so are constants inside of a normalisation.
    return own.length > 0 || wanted !== 'scale' ? own : slots.filter((slot) => slot.role === undefined);
  };
  if (original === undefined) return inRole(fitting);
  const equal = fitting.filter((slot) => isHeldBy(original, claim, slot));
  const found = inRole(equal);
  if (found.length > 0) return found;
  // A table that is added is called a weight as well: then it has the values, and not zeros alone.
  if (wanted === 'scale' && equal.length > 0) return equal;
  // What was computed from the parameter has not its zeros.
  return claim.name.part === 'mask' ? [] : inRole(fitting);
}

/** Element for element, apart from zeros of the file; something must be left, or all be zero. */
function isHeldBy(original: FileTensor, claim: Claim, slot: WeightSlot): boolean {
  const view = original.size === slot.tensor.size ? alignedView(original, claim, slot, 'torch') : undefined;
  if (view === undefined) return false;
  const tolerance = toleranceOf(original);
  const theirs = view.toTensor().numbers();
  const ours = slot.tensor.numbers();
  const isEqual = theirs.every((value, at) => {
    const own = ours[at] ?? 0;
    return value === 0 || Math.abs(value - own) <= Math.abs(own) * tolerance;
  });
  return isEqual && (theirs.some((value) => value !== 0) || ours.every((value) => value === 0));
}
