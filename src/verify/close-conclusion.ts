/** The verdict of a close comparison, in the words of a report. */
import type { OutputVerification, Verification } from './verification.js';
import { type Bound, formatDifference, MOST_BOUND, NOISE_MULTIPLE } from './bound.js';
import { boundOf, type CloseComparison, type Entry } from './close-entries.js';
import { INCOMPARABLE, isAllFinite } from './compare.js';
import { outputNotes } from './notes.js';
import type { Reference } from './reference.js';

interface Judged {
  readonly entry: Entry;
  readonly difference: number;
  /** What single steep values were allowed besides is in `allowed`. */
  readonly bound: Bound;
  readonly allowed: Bound;
  readonly isEqual: boolean;
}

/**
 * Nothing is allowed where nothing can differ: the candidate is given the reference's own choice.
 */
const CHOSEN: Bound = { bound: 0, noise: 0, reason: 'the choice of the reference, given to both models' };

export function concludeClosely(known: Reference, comparison: CloseComparison): Verification {
  const { entries, chosen } = comparison;
  const judged = entries.map((entry) => judge(entry, known));
  const outputs = judged.filter(({ entry }) => entry.readBy === undefined);
  const culprits = judged.filter(({ isEqual }) => !isEqual);
  const shown = culprits.length > 0 ? culprits : outputs;
  // What a decision reads comes first: what follows it is no wonder then.
  const [worst] = culprits.length > 0 ? shown : shown.toSorted((a, b) => nearness(b) - nearness(a));
  const isEqual = culprits.length === 0;
  const { bound, noise, reason: boundReason } = worst?.allowed ?? CHOSEN;
  const bounds = new Map<string, Bound>([...known.bounds.keys()].map((name) => [name, CHOSEN]));
  for (const { entry, bound: own } of outputs) bounds.set(entry.name, own);
  return {
    equal: isEqual,
    difference: worst?.difference ?? 0,
    bound,
    noise,
    boundReason,
    cases: known.cases.map(({ shapes, seed }, at) => ({
      shapes,
      seed,
      difference: Math.max(0, ...outputs.map(({ entry }) => entry.differences[at] ?? 0)),
    })),
    outputs: [...known.bounds.keys()].map((name): OutputVerification => {
      const own = outputs.find(({ entry }) => entry.name === name);
      const { bound: most, noise: moved } = own?.allowed ?? CHOSEN;
      const hasNonFinite = known.outputs.some((results) => results[name] !== undefined && !isAllFinite(results[name]));
      const figures = { name, difference: own?.difference ?? 0, bound: most, noise: moved };
      return hasNonFinite ? { ...figures, hasNonFinite } : figures;
    }),
    ...(worst !== undefined && !isEqual && wordsFor(worst)),
    ...(known.isOptimised && { optimised: true }),
    ...(isEqual && chosen.size + comparison.differing > 0 && { upToTies: true }),
    notes: [
      ...known.runNotes,
      ...outputNotes(known.cases, known.outputs, bounds),
      ...(isEqual ? [...choiceNotes(comparison, judged), ...judged.flatMap(steepNote)] : []),
    ],
  };
}

function judge(entry: Entry, known: Reference): Judged {
  const { differences, steep, reason } = entry;
  const bound = boundOf(entry, known.bounds);
  const difference = Math.max(0, ...differences);
  const allowed = steep === undefined ? bound : steepBound(bound, steep);
  return { entry, difference, bound, allowed, isEqual: reason === undefined && difference <= allowed.bound };
}

function steepBound({ bound }: Bound, { allowed, noise, places, of }: NonNullable<Entry['steep']>): Bound {
  return {
    bound: Math.max(bound, allowed),
    noise,
    reason:
      `at ${places} of ${of} values ${NOISE_MULTIPLE} x what the value itself moves by when inputs, weights and intermediate values move ` +
      `by a unit in the last place, up to ${formatDifference(noise)} of the scale; elsewhere ${formatDifference(bound)}`,
  };
}

function wordsFor({ entry, difference, bound }: Judged): Pick<Verification, 'reason' | 'worstOutput'> {
  const { name, readBy, reason } = entry;
  const what = readBy === undefined ? `output "${name}"` : `what ${readBy} reads`;
  const words =
    reason === undefined
      ? `${what} differs by ${formatDifference(difference)} of its scale, ${formatDifference(bound.bound)} was allowed`
      : `${what} differs: ${reason}`;
  return readBy === undefined ? { reason: words, worstOutput: name } : { reason: words };
}

const MOST_NAMED = 3;

function choiceNotes({ pairs, differing, of }: CloseComparison, judged: readonly Judged[]): string[] {
  if (pairs.length === 0) return [];
  const labels = pairs.map(([{ label }]) => label);
  const more = labels.length > MOST_NAMED ? ` and ${labels.length - MOST_NAMED} more` : '';
  const reads = judged.filter(({ entry }) => entry.readBy !== undefined);
  const largest = formatDifference(Math.max(0, ...reads.map(({ difference }) => difference)));
  const counted =
    differing === 0
      ? `the compiled model chooses the same values`
      : `the compiled model chooses ${differing} of ${of} values differently, where they are tied within rounding`;
  const lost = reads.filter(({ bound }) => bound.bound > MOST_BOUND).flatMap(({ entry: { readBy } }) => readBy ?? []);
  const unseen = lost.map(
    (label) =>
      `rounding alone makes up what ${label} reads: what it chooses is not verified, and neither is what was read`,
  );
  return [
    ...new Set(unseen),
    `compared up to ties: what ${labels.slice(0, MOST_NAMED).join(', ')}${more} read${labels.length === 1 ? 's' : ''} ` +
      `is equal within the bound (at most ${largest} of its scale apart); ${counted}; ` +
      'what follows is equal within the bound where both models are given the choices of the reference',
  ];
}

function steepNote({ entry, bound }: Judged): string[] {
  const { name, readBy, steep } = entry;
  if (steep === undefined) return [];
  const what = readBy === undefined ? `output "${name}"` : `what ${readBy} reads`;
  return [
    `${steep.places} of ${steep.of} values of ${what} move by up to ${formatDifference(steep.noise)} of its scale under rounding alone, as sums ` +
      `that cancel do: there errors below ${formatDifference(steep.allowed)} cannot be seen, elsewhere ${formatDifference(bound.bound)} was allowed`,
  ];
}

function nearness({ difference, allowed }: Judged): number {
  return difference === 0 ? 0 : allowed.bound === 0 ? INCOMPARABLE : difference / allowed.bound;
}
