/**
 * Runs the reference and the candidate on the same inputs and compares every output. Graph
 * optimisations are off on both sides, so that what is compared is the two graphs and not what ONNX
 * Runtime makes of them (unless the reference runs with them only); what is allowed follows from
 * the reference's own rounding noise (bound.ts).
 */
import { messageOf, PruneCompileError } from '../errors.js';
import type { OutputVerification, Verification } from './verification.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { firstLine, formatShapes } from '../runtime/inputs.js';
import { type Bound, formatDifference, LOUD_NOISE } from './bound.js';
import { type CloseVerification, compareClosely, hasDecisions } from './close.js';
import { compareTensors, INCOMPARABLE, isAllFinite, type Outputs, sameList } from './compare.js';
import { withDoubleMeans } from './double-means.js';
import {
  comparedSession,
  interfaceOf,
  reasonOf,
  type Reference,
  runReference,
  type VerifyOptions,
} from './reference.js';
import { isQuantised, withIntegerKernels } from './integer-kernels.js';
import { SizeGuard } from './size-guard.js';

export type { VerifyOptions } from './reference.js';

/** What makes the models unequal whatever the bound. */
interface Mismatch {
  readonly output?: string;
  readonly reason: string;
  /** Whether the candidate cannot be loaded or run. */
  readonly isFailure?: true;
  /** Whether no other comparison can say more: it is not loaded, or has another interface. */
  readonly isFinal?: true;
}

interface Compared {
  /** Largest difference by output. */
  readonly worst: ReadonlyMap<string, number>;
  /** By case. */
  readonly differences: readonly number[];
  readonly mismatch: Mismatch | undefined;
}

/**
 * Whether two models, each a path or bytes, compute the same: at two batch sizes, three image sizes
 * (one tiny) or two sequence lengths where those are free, on seeded random inputs. Throws when the
 * reference cannot be loaded or run (E-MODEL-RUNTIME), for shapes or inputs that do not fit it
 * (E-SHAPE), and the signal's reason; a candidate that fails is not equal, never an error.
 */
export async function verifyModels(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  options: VerifyOptions = {},
): Promise<Verification> {
  const own = await runReference(reference, options);
  const known = { ...own, isGuarded: own.isGuarded || !(await isSafe(candidate, own)) };
  const found = await runCandidate(candidate, known, options);
  const compared = 'reason' in found ? failed(found) : compareOutputs(known.outputs, found);
  const verification = conclude(known, compared);
  if (compared.mismatch?.isFinal === true) return verification;
  const rounded = await judge([reference, candidate], { known, compared, verification }, options);
  return isQuantised(reference) ? withIntegerKernels(rounded, [reference, candidate], known, options.signal) : rounded;
}

/** Within rounding: with means in double precision, and closely, where that says more. */
async function judge(
  [reference, candidate]: readonly [string | Uint8Array, string | Uint8Array],
  { known, compared, verification }: { known: Reference; compared: Compared; verification: Verification },
  options: VerifyOptions,
): Promise<Verification> {
  const judged =
    compared.mismatch === undefined
      ? await compareMeans(reference, candidate, known, verification, options)
      : verification;
  // Exact outputs hide what moved the values that they were chosen by: what decides is looked at
  // whatever the outputs are.
  if (judged.equal && !hasDecisions(reference)) return judged;
  const close = await compareClosely(reference, candidate, known, options.signal);
  return close === undefined ? judged : preferred(judged, close);
}

function failed(mismatch: Mismatch): Compared {
  return { worst: new Map(), differences: [], mismatch };
}

/**
 * Where everything that the reference decides was compared, the close comparison says more, for
 * both answers.
 */
function preferred(judged: Verification, { verification, isComplete, isTrusted }: CloseVerification): Verification {
  if (judged.equal) return isComplete ? verification : judged;
  if (verification.equal) return isTrusted ? verification : judged;
  return isComplete && judged.fails !== true ? verification : judged;
}

/**
 * Once more with means in double precision, where these may be what differs or what makes the bound
 * loose.
 */
async function compareMeans(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  known: Reference,
  verification: Verification,
  options: VerifyOptions,
): Promise<Verification> {
  if (verification.equal) {
    if (!isLoose(verification)) return verification;
    const most = loosestOf(known) * SHARPER;
    return (await withDoubleMeansOf(reference, candidate, known, options, DRIFT, most)) ?? verification;
  }
  // What differs by more than this is no rounding of a mean.
  if (verification.outputs?.some(({ difference }) => difference > LOUD_NOISE) === true) return verification;
  const sharper = await withDoubleMeansOf(reference, candidate, known, options, driftNote(verification));
  if (sharper === undefined || sharper.equal) return sharper ?? verification;
  return { ...verification, notes: [...known.notes, stillDiffersNote(sharper)] };
}

function isLoose({ outputs = [] }: Verification): boolean {
  return outputs.some(({ bound }) => bound > LOOSE_BOUND);
}

/**
 * Above this bound it is asked whether the noise is that of a mean: optimised and plain sums of a
 * float32 mean drift apart, and an error after it would be hidden by that. Other noise of networks
 * with means stays below (ResNets of torchvision: 3e-6).
 */
const LOOSE_BOUND = 8e-6;
/**
 * Where nothing differs, a comparison in double precision is worth it where it allows so much less.
 */
const SHARPER = 0.5;

const DRIFT = 'float32 means over many places drift: compared with means in double precision, in both models';

function driftNote({ difference, worstOutput = '' }: Verification): string {
  return `output "${worstOutput}" differs by ${formatDifference(difference)} of its scale, because float32 means over many places drift: compared with means taken in double precision, in both models`;
}

function stillDiffersNote({ difference, worstOutput = '' }: Verification): string {
  return `with means in double precision output "${worstOutput}" differs by ${formatDifference(difference)} of its scale`;
}

/**
 * The comparison with means in double precision in both models (double-means.ts), which never
 * allows more than `known` does; undefined where the reference has none, where it still allows more
 * than `most`, or where one of them cannot be run that way. A channel that holds a constant may be
 * gone from the candidate, or still be there: then its mean drifts as the reference's does.
 */
async function withDoubleMeansOf(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  known: Reference,
  options: VerifyOptions,
  note: string,
  most = Number.POSITIVE_INFINITY,
): Promise<Verification | undefined> {
  try {
    const doubled = withDoubleMeans(reference);
    if (doubled === undefined) return undefined;
    const own = await runReference(doubled, options);
    const sharper = { ...own, isGuarded: own.isGuarded || known.isGuarded };
    if (loosestOf(sharper) > most) return undefined;
    const found = await runCandidate(withDoubleMeans(candidate) ?? candidate, sharper, options);
    if ('reason' in found) return undefined;
    const bounds = new Map([...sharper.bounds].map(([name, bound]) => [name, tighter(bound, known.bounds.get(name))]));
    return conclude({ ...sharper, bounds, notes: [...sharper.notes, note] }, compareOutputs(sharper.outputs, found));
  } catch {
    // Other types than float32, or too large to be written in one piece: the comparison that was
    // made stands.
    options.signal?.throwIfAborted();
    return undefined;
  }
}

function loosestOf({ bounds }: Reference): number {
  return Math.max(0, ...[...bounds.values()].map(({ bound }) => bound));
}

function tighter(own: Bound, other: Bound | undefined): Bound {
  return other === undefined || own.bound <= other.bound ? own : other;
}

/** Its outputs, case by case, or why there are none. */
async function runCandidate(
  model: string | Uint8Array,
  reference: Reference,
  { signal, onProgress }: Pick<VerifyOptions, 'signal' | 'onProgress'>,
): Promise<readonly Outputs[] | Mismatch> {
  let session: RunSession;
  try {
    session = await comparedSession(model, reference);
  } catch (error) {
    // Nothing is known of the model then.
    if (error instanceof PruneCompileError && error.code === 'E-KERNELS') throw error;
    return { reason: `the compiled model cannot be loaded: ${reasonOf(error)}`, isFailure: true, isFinal: true };
  }
  const outputs: Outputs[] = [];
  try {
    const own = interfaceOf(session);
    for (const side of ['inputs', 'outputs'] as const) {
      if (!sameList(own[side], reference.interface[side]))
        return {
          reason: `its ${side} are ${listed(own[side])} instead of ${listed(reference.interface[side])}`,
          isFinal: true,
        };
    }
    for (const { feeds, shapes } of reference.cases) {
      signal?.throwIfAborted();
      try {
        outputs.push(await session.run(feeds));
        onProgress?.(outputs.length, reference.cases.length, 'candidate');
      } catch (error) {
        const where = `the compiled model fails at ${formatShapes(shapes)}, where the reference runs`;
        return { reason: `${where}: ${firstLine(messageOf(error))}`, isFailure: true };
      }
    }
    return outputs;
  } finally {
    await session.release();
  }
}

function listed(entries: readonly string[]): string {
  return entries.length === 0 ? 'none' : entries.join(', ');
}

/** Whether the candidate has no value that may be empty where the reference has none. */
async function isSafe(model: string | Uint8Array, { cases }: Reference): Promise<boolean> {
  const guard = new SizeGuard(model, false);
  for (const { shapes } of cases) if (!(await guard.isSafe(shapes))) return false;
  return true;
}

/** Stops at the first thing that makes the models unequal whatever the bound. */
function compareOutputs(expected: readonly Outputs[], found: readonly Outputs[]): Compared {
  const worst = new Map<string, number>();
  const differences = expected.map(() => 0);
  for (const [index, outputs] of expected.entries()) {
    for (const [name, tensor] of Object.entries(outputs)) {
      const other = found[index]?.[name];
      if (other === undefined)
        return { worst, differences, mismatch: { output: name, reason: `output "${name}" is missing` } };
      const { difference, reason } = compareTensors(tensor, other);
      worst.set(name, Math.max(worst.get(name) ?? 0, difference));
      differences[index] = Math.max(differences[index] ?? 0, difference);
      if (reason !== undefined)
        return { worst, differences, mismatch: { output: name, reason: `output "${name}" differs: ${reason}` } };
    }
  }
  return { worst, differences, mismatch: undefined };
}

function conclude(reference: Reference, { worst, differences, mismatch }: Compared): Verification {
  const { cases, bounds, notes, isOptimised } = reference;
  const outputs = [...bounds].map(([name, { bound, noise }]): OutputVerification => ({
    name,
    difference: worst.get(name) ?? (mismatch === undefined ? 0 : INCOMPARABLE),
    bound,
    noise,
    ...(reference.outputs.some((results) => results[name] !== undefined && !isAllFinite(results[name])) && {
      hasNonFinite: true,
    }),
  }));
  const [closest] = outputs.toSorted((a, b) => nearness(b) - nearness(a));
  const culprit = outputs.find(({ name }) => name === mismatch?.output) ?? closest;
  const isEqual = mismatch === undefined && outputs.every(({ difference, bound }) => difference <= bound);
  const { name = '', difference = INCOMPARABLE, bound = 0, noise = 0 } = culprit ?? {};
  const reason =
    mismatch?.reason ??
    `output "${name}" differs by ${formatDifference(difference)} of its scale, ${formatDifference(bound)} was allowed`;
  return {
    equal: isEqual,
    difference: mismatch !== undefined && mismatch.output === undefined ? INCOMPARABLE : difference,
    bound,
    noise,
    boundReason: bounds.get(name)?.reason ?? 'the model has no outputs',
    cases: cases.map(({ shapes, seed }, index) => ({ shapes, seed, difference: differences[index] ?? 0 })),
    outputs,
    ...(isEqual ? {} : { reason, worstOutput: name }),
    ...(isOptimised && { optimised: true }),
    ...(mismatch?.isFailure === true && { fails: true }),
    notes,
  };
}

/** How much of its bound an output uses; equal outputs of exact types come last. */
function nearness({ difference, bound }: OutputVerification): number {
  return difference === 0 ? 0 : difference / bound;
}
