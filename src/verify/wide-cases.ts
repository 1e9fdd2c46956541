/**
 * Cases for what the usual ones leave out: rows of tables that none has read, and branches that
 * none has taken.
 */
import type { Model } from '../onnx/read.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { product } from '../ir/tensor.js';
import { ownOf } from '../names.js';
import { firstThatRuns, randomFeeds, type Runnable, type SearchOptions, type Shapes } from '../runtime/inputs.js';
import { concreteShapes, type TensorInput } from '../runtime/input-shapes.js';
import { variations } from '../runtime/variations.js';
import { Branches } from './branches.js';
import type { Case } from './case.js';
import type { Draws } from './draws.js';

export interface WideOptions {
  readonly draws: Draws;
  readonly model: Model;
  readonly signal?: SearchOptions['signal'];
  readonly avoid?: SearchOptions['avoid'];
  /** A session like the one that runs the model. */
  readonly open: (bytes: Uint8Array) => Promise<RunSession>;
}

/** Seeds that are not used otherwise: from this one on. */
function nextSeed(cases: readonly Case[]): number {
  return Math.max(0, ...cases.map(({ seed }) => seed)) + 1;
}

/** Bytes of the model times indices, for all further cases together: a second or two of work. */
const MOST_WORK = 2 ** 33;
const MOST_ROW_CASES = 16;
const LARGEST_BATCH = 32;

/**
 * Until every row of every table was read, as long as that costs little; in batches where the model
 * leaves their size free.
 */
export async function rowCases(
  cases: readonly Case[],
  session: RunSession,
  { plan, sizes, shapes: own }: Runnable,
  { draws, model, signal, avoid }: WideOptions,
): Promise<Case[]> {
  const indicesAt = (shapes: Shapes) => draws.names.map((name) => product(ownOf(shapes, name) ?? []));
  const least = Math.min(...indicesAt(own).filter((count) => count > 0));
  const isCheap = (shapes: Shapes, times = 1) => model.sizeBytes * Math.max(...indicesAt(shapes)) * times <= MOST_WORK;
  if (draws.missing === 0 || !Number.isFinite(least) || !isCheap(own)) return [];
  const batch = Math.min(LARGEST_BATCH, Math.ceil(draws.missing / least));
  const batches = concreteShapes(plan, { ...sizes, batch });
  const larger =
    plan.free.has('batch') && isCheap(batches)
      ? await firstThatRuns(session, plan, [{ ...sizes, batch }], { signal, avoid })
      : undefined;
  const shapes = larger !== undefined && 'shapes' in larger ? larger.shapes : own;
  const first = nextSeed(cases);
  const found: Case[] = [];
  while (draws.missing > 0 && found.length < MOST_ROW_CASES && isCheap(shapes, found.length + 1)) {
    const seed = first + found.length;
    const feeds = randomFeeds(plan.inputs, shapes, seed, draws.of);
    draws.count(feeds);
    found.push({ shapes, seed, feeds });
  }
  return found;
}

const PARTLY_NAMED = 3;

/** Of rows that no case reads. */
export function rowNotes(draws: Draws): string[] {
  const partly = [...draws.partlyRead()];
  if (partly.length === 0) return [];
  const shown = partly
    .slice(0, PARTLY_NAMED)
    .map(({ input, table, read, rows }) => `${read} of the ${rows} rows of "${table}" (by input "${input}")`);
  const more = partly.length > PARTLY_NAMED ? ` and of ${partly.length - PARTLY_NAMED} other tables` : '';
  return [`read were ${shown.join(', ')}${more}: an error in other rows is not seen`];
}

/** So many inputs are tried; each runs only what the conditions need. */
const MOST_TRIED = 96;

/**
 * Inputs at which branches run that `cases` do not take; a note for those that no input was found
 * for. Without `session` none are looked for.
 */
export async function branchCases(
  cases: readonly Case[],
  inputs: readonly TensorInput[],
  options: WideOptions,
  notes: string[],
  session?: RunSession,
): Promise<Case[]> {
  const branches = await branchesOf(options, notes);
  if (branches === undefined) return [];
  try {
    for (const { feeds } of cases) branches.take(await branches.newWays(feeds));
    const found = session === undefined ? [] : await search(branches, cases, session, inputs, options);
    notes.push(...branches.notes());
    return found;
  } catch {
    options.signal?.throwIfAborted();
    notes.push(UNKNOWN);
    return [];
  } finally {
    await branches.release();
  }
}

const UNKNOWN = 'whether all branches of the model ran is not known: what decides does not run on its own';

async function branchesOf({ model, open }: WideOptions, notes: string[]): Promise<Branches | undefined> {
  try {
    return await Branches.of(model, open);
  } catch {
    notes.push(UNKNOWN);
    return undefined;
  }
}

async function search(
  branches: Branches,
  cases: readonly Case[],
  session: RunSession,
  inputs: readonly TensorInput[],
  { draws, signal }: WideOptions,
): Promise<Case[]> {
  const [first] = cases;
  if (first === undefined) return [];
  const seed = nextSeed(cases);
  const { numbers } = branches;
  const { shapes } = first;
  const rangeOf = (name: string) => draws.rangeOf(name);
  const found: Case[] = [];
  let tried = 0;
  for (const feeds of variations(first.feeds, { inputs, shapes, seed, numbers, rangeOf })) {
    if (branches.isComplete || tried++ === MOST_TRIED) break;
    signal?.throwIfAborted();
    const ways = await attempt(() => branches.newWays(feeds));
    if (ways === undefined || ways.length === 0) continue;
    // The model as a whole need not run on what its conditions run on.
    if ((await attempt(() => session.run(feeds))) === undefined) continue;
    branches.take(ways);
    found.push({ shapes, seed: seed + found.length, feeds });
  }
  return found;
}

async function attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}
