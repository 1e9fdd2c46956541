/**
 * The comparison for models that decide (decisions.ts) or that have steep places (steep.ts): where
 * a plain comparison of outputs refuses what is right, or lets pass what is wrong because rounding
 * moves the outputs far.
 *
 * Sound however decisions are paired: a pair is the same function, what it reads is equal within
 * the bound, and whatever follows is equal within the bound when both are given the same choices.
 * So the models are equal but for the order of near ties.
 */
import { decodeModel, readModel } from '../onnx/read.js';
import { encodeModel } from '../onnx/write.js';
import type { ModelProto } from '../onnx/proto.js';
import type { Verification } from './verification.js';
import { LOUD_NOISE } from './bound.js';
import { concludeClosely } from './close-conclusion.js';
import { boundOf, type CloseComparison, type Entry } from './close-entries.js';
import { type CloseRun, CloseRuns, Misfits } from './close-runs.js';
import { compareTensors, type Outputs } from './compare.js';
import { decisionsOf, type Pair, pairDecisions } from './decisions.js';
import { withDoubleMeans } from './double-means.js';
import { choiceName, readName } from './probe-models.js';
import type { Reference } from './reference.js';
import { STEEP_RUNS, type Steepness, steepnessOf } from './steep.js';

export interface CloseVerification {
  readonly verification: Verification;
  /** Whether the reference has decisions, and each of them was compared. */
  readonly isComplete: boolean;
  /**
   * Whether no decision is left that hides errors: others than those compared may jump, and so make
   * bounds loose.
   */
  readonly isTrusted: boolean;
}

/** Each round takes out the pairs that do not fit, and others may show then. */
const MOST_ROUNDS = 4;

/**
 * Undefined where it cannot be made: a model that is too large to be rewritten in one piece, or
 * that does not run with what is added. With means in double precision where the reference has such
 * and both run so. Throws the signal's reason.
 */
export async function compareClosely(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  known: Reference,
  signal?: AbortSignal,
): Promise<CloseVerification | undefined> {
  for (const [variants, notes] of VARIANTS) {
    try {
      const [ours, theirs] = variants(reference, candidate) ?? [];
      const own = { ...known, runNotes: [...known.runNotes, ...notes] };
      if (ours !== undefined && theirs !== undefined) return await compareVariants(ours, theirs, own, signal);
    } catch {
      signal?.throwIfAborted();
    }
  }
  return undefined;
}

type Source = string | Uint8Array;

const VARIANTS = [
  [doubled, ['float32 means over many places drift: compared with means taken in double precision, in both models']],
  [plain, []],
] as const;

function doubled(reference: Source, candidate: Source): ModelProto[] | undefined {
  const ours = withDoubleMeans(reference);
  return ours && [decodeModel(ours, 'the reference'), withDecoded(withDoubleMeans(candidate) ?? candidate)];
}

function plain(reference: Source, candidate: Source): ModelProto[] {
  return [withDecoded(reference), withDecoded(candidate)];
}

/** Weights beside the model come inside: ONNX Runtime gets bytes. */
function withDecoded(source: Source): ModelProto {
  return decodeModel(encodeModel(readModel(source)), 'the model');
}

/** Whether the model has decisions at all. */
export function hasDecisions(source: Source): boolean {
  try {
    return decisionsOf(readModel(source).proto).length > 0;
  } catch {
    return false;
  }
}

async function compareVariants(
  ours: ModelProto,
  theirs: ModelProto,
  known: Reference,
  signal: AbortSignal | undefined,
): Promise<CloseVerification | undefined> {
  const decisions = decisionsOf(ours).length;
  let pairs = pairDecisions(ours, theirs);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const runs = new CloseRuns(ours, theirs, pairs, known);
    try {
      const comparison = await compareAll(runs, pairs, known, signal);
      await explainSteepPlaces(runs, comparison, known, signal);
      const areAll = pairs.length === decisions;
      const isTight = comparison.entries.every((entry) => boundOf(entry, known.bounds).bound <= LOUD_NOISE);
      const verification = concludeClosely(known, comparison);
      return { verification, isComplete: areAll && decisions > 0, isTrusted: areAll || isTight };
    } catch (error) {
      if (!(error instanceof Misfits)) throw error;
      pairs = pairs.filter((pair) => !error.pairs.has(pair));
    } finally {
      await runs.release();
    }
  }
  return undefined;
}

async function compareAll(
  runs: CloseRuns,
  pairs: readonly Pair[],
  known: Reference,
  signal: AbortSignal | undefined,
): Promise<CloseComparison> {
  // Outputs that are the choice itself, in both models. Where the candidate makes something of its
  // choice first, that is compared.
  const given = new Set(
    pairs.flatMap(([ours, theirs]) => ours.outputs.filter((name, place) => theirs.outputs[place] === name)),
  );
  const choiceOf = new Map(
    pairs.flatMap(([{ outputs }], at) => outputs.map((name, place) => [name, choiceName(at, place)] as const)),
  );
  const comparison: CloseComparison = {
    pairs,
    entries: [
      ...pairs.flatMap(([{ reads, label }], at) => reads.map((_, place) => entryOf(readName(at, place), label))),
      ...[...known.bounds.keys()].filter((name) => !given.has(name)).map((name) => entryOf(name)),
    ],
    chosen: new Set([...known.bounds.keys()].filter((name) => given.has(name))),
    differing: 0,
    of: 0,
  };
  for (const entry of known.cases) {
    signal?.throwIfAborted();
    const run = await runs.run(entry);
    for (const compared of comparison.entries) record(compared, run, choiceOf.get(compared.name) ?? compared.name);
    countChoices(comparison, run);
  }
  return comparison;
}

function entryOf(name: string, readBy?: string): Entry {
  return { name, readBy, differences: [], type: 'float32', optimised: undefined, nudged: 0 };
}

/** `shown` is the name under which the reference shows it: a choice has one of its own. */
function record(entry: Entry, { expected, found, moved, optimised }: CloseRun, shown: string): void {
  const { name } = entry;
  const tensor = expected[shown];
  if (tensor === undefined) {
    entry.reason ??= 'it cannot be seen in the reference';
    return;
  }
  const against = (outputs: Outputs | undefined) => {
    const other = outputs?.[name];
    return other && compareTensors(tensor, other);
  };
  const compared = against(found);
  entry.type = tensor.type;
  entry.differences.push(compared?.difference ?? 1);
  const reason = compared === undefined ? 'it is missing' : compared.reason;
  if (reason !== undefined) entry.reason ??= reason;
  entry.nudged = Math.max(entry.nudged, against(moved)?.difference ?? 0);
  const other = against(optimised)?.difference;
  if (other !== undefined) entry.optimised = Math.max(entry.optimised ?? 0, other);
}

function countChoices(comparison: CloseComparison, { expected, found }: CloseRun): void {
  for (const [at, [{ outputs }]] of comparison.pairs.entries()) {
    for (const place of outputs.keys()) {
      const [a, b] = [expected[choiceName(at, place)]?.data, found[choiceName(at, place)]?.data];
      if (a === undefined || b === undefined) continue;
      comparison.of += Math.max(a.length, b.length);
      comparison.differing += Math.abs(a.length - b.length);
      for (let index = 0; index < Math.min(a.length, b.length); index++)
        if (!Object.is(a[index], b[index])) comparison.differing++;
    }
  }
}

/**
 * Runs the cases again in which something is further off than its bound, until one place is that
 * nothing explains.
 */
async function explainSteepPlaces(
  runs: CloseRuns,
  { entries }: CloseComparison,
  known: Reference,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isOff = (entry: Entry, at: number) => (entry.differences[at] ?? 0) > boundOf(entry, known.bounds).bound;
  if (entries.some(({ reason }) => reason !== undefined)) return;
  for (const [at, entry] of known.cases.entries()) {
    const off = entries.filter((compared) => isOff(compared, at));
    if (off.length === 0) continue;
    signal?.throwIfAborted();
    const { expected, found } = await runs.run(entry);
    const moved = await runs.runMoved(entry, expected, STEEP_RUNS);
    for (const compared of off) {
      const { bound } = boundOf(compared, known.bounds);
      const steep = steepnessHere(compared.name, bound, { expected, found }, moved);
      if (steep === undefined) {
        delete compared.steep;
        return;
      }
      compared.steep = merged(compared.steep, steep);
    }
  }
}

function steepnessHere(
  name: string,
  bound: number,
  { expected, found }: Pick<CloseRun, 'expected' | 'found'>,
  moved: readonly Outputs[],
): Steepness | undefined {
  const samples = moved.flatMap((outputs) => outputs[name] ?? []);
  const [a, b] = [expected[name], found[name]];
  if (a === undefined || b === undefined || samples.length < moved.length) return undefined;
  return steepnessOf(a, b, samples, bound);
}

function merged(before: Steepness | undefined, now: Steepness): Steepness {
  if (before === undefined) return now;
  return {
    places: before.places + now.places,
    of: before.of + now.of,
    allowed: Math.max(before.allowed, now.allowed),
    noise: Math.max(before.noise, now.noise),
  };
}
