/**
 * Which inputs a verification runs: shape combinations times seeds, found by running the reference.
 */
import type { Tensor } from 'onnxruntime-node';
import { PruneCompileError } from '../errors.js';
import { byName, ownOf } from '../names.js';
import {
  concreteShapes,
  planShapes,
  secondSizes,
  type ShapePlan,
  type Sizes,
  smallSizes,
} from '../runtime/input-shapes.js';
import {
  findShapes,
  firstThatRuns,
  formatShapes,
  randomFeeds,
  type Runnable,
  type SearchOptions,
  type Shapes,
} from '../runtime/inputs.js';
import type { Feeds } from '../runtime/feeds.js';
import { isEndless } from '../runtime/run-limit.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { isAllFinite } from './compare.js';
import { Draws } from './draws.js';
import { indexRanges } from './index-inputs.js';
import { NeedsGuard, type SizeGuard } from './size-guard.js';
import { branchCases, rowCases, rowNotes } from './wide-cases.js';
import type { Case } from './case.js';

export interface Cases {
  readonly cases: readonly Case[];
  /** Whether whole numbers are others than 0 and 1. */
  readonly isWide: boolean;
}

export interface CaseOptions {
  readonly shapes?: Shapes | undefined;
  readonly inputs?: readonly Feeds[] | undefined;
  readonly seeds: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly guard: SizeGuard;
  /** Whether whole numbers are 0 and 1 only, although they index larger tables. */
  readonly isNarrow?: boolean;
  /** A session like the one that is run. */
  readonly open: (bytes: Uint8Array) => Promise<RunSession>;
}

/**
 * All seeds at the first shapes; one seed each at a second batch size, a second image size or
 * length, and a tiny image; further ones at the first shapes where rows of tables or branches are
 * left that nothing has read or run. Sizes at which a value is empty are not chosen; where there
 * are no others, they are run under the guard. Throws NeedsGuard where there is none.
 */
export async function makeCases(session: RunSession, options: CaseOptions, notes: string[]): Promise<Cases> {
  const { guard, open, signal } = options;
  const { model } = guard;
  if (options.inputs !== undefined) {
    const plan = planShapes(session.inputMetadata, options.shapes);
    const given = givenCases(plan, options.inputs, notes);
    for (const { shapes } of given) if (!guard.isGuarded && !(await guard.isSafe(shapes))) throw new NeedsGuard();
    const draws = new Draws(plan.inputs, indexRanges(model?.proto ?? {}), 1);
    for (const { feeds } of given) draws.count(feeds);
    notes.push(...rowNotes(draws));
    if (model !== undefined) await branchCases(given, plan.inputs, { draws, model, open, signal }, notes);
    return { cases: given, isWide: false };
  }
  const first = await firstShapes(session, options, notes);
  // Only what the model leaves open can be narrowed.
  if (first.plan.fixed.size > 0)
    notes.push(
      `compared at the given shapes only: ${formatShapes(first.plan.overrides)}; leave --shape out to compare at other sizes too`,
    );
  const { inputs } = first.plan;
  const [seed = 1] = options.seeds;
  const draws = new Draws(inputs, options.isNarrow === true ? undefined : indexRanges(model?.proto ?? {}), seed);
  const isWide = draws.of.size > 0;
  const randomCase = (shapes: Shapes, at: number): Case => ({
    shapes,
    seed: at,
    feeds: randomFeeds(inputs, shapes, at, draws.of),
  });
  const cases = options.seeds.map((at) => randomCase(first.shapes, at));
  for (const shapes of await furtherShapes(session, first, notes, options)) cases.push(randomCase(shapes, seed));
  for (const { feeds } of cases) draws.count(feeds);
  if (model === undefined) return { cases, isWide };
  const wide = { draws, model, signal, avoid: guard.avoid, open };
  cases.push(...(await rowCases(cases, session, first, wide)));
  notes.push(...rowNotes(draws));
  cases.push(...(await branchCases(cases, inputs, wide, notes, session)));
  return { cases, isWide };
}

async function firstShapes(
  session: RunSession,
  { shapes: overrides, signal, guard }: CaseOptions,
  notes: string[],
): Promise<Runnable> {
  try {
    return await findShapes(session, { overrides, signal, avoid: guard.avoid });
  } catch (error) {
    if (!guard.hasAvoided || (error instanceof PruneCompileError && error.code !== 'E-MODEL-RUNTIME')) throw error;
    if (!guard.isGuarded) throw new NeedsGuard();
    const first = await findShapes(session, { overrides, signal });
    const { empty } = await guard.at(first.shapes);
    if (empty !== undefined)
      notes.push(`value "${empty}" is empty at ${formatShapes(first.shapes)}: nothing after it can be compared`);
    return first;
  }
}

async function furtherShapes(
  session: RunSession,
  first: Runnable,
  notes: string[],
  { signal, guard }: CaseOptions,
): Promise<Shapes[]> {
  const { plan, sizes } = first;
  const found: Shapes[] = [];
  const attempt = async (what: string, candidates: readonly Sizes[]) => {
    if (candidates.length === 0) return;
    const result = await firstThatRuns(session, plan, candidates, { signal, avoid: guard.avoid });
    if ('shapes' in result) found.push(result.shapes);
    else
      notes.push(
        `compared at one ${what} only: the reference does not run at ${formatShapes(result.tried.at(-1) ?? {})} (${result.failure})`,
      );
  };
  await attempt('batch size', plan.free.has('batch') ? [{ ...sizes, batch: sizes.batch + 1 }] : []);
  await attempt(plan.free.has('sequence') ? 'length' : 'image size', secondSizes(plan, sizes));
  const small = await smallestThatRuns(session, plan, smallSizes(plan, sizes), { signal, avoid: guard.avoid });
  return small === undefined ? found : [...found, small];
}

/**
 * The first of the candidates whose outputs hold something to compare: at sizes that leave a window
 * nothing ONNX Runtime fails, or gives tensors without elements, or means of nothing. That none
 * does is usual, and not worth a note.
 */
async function smallestThatRuns(
  session: RunSession,
  plan: ShapePlan,
  candidates: readonly Sizes[],
  { signal, avoid }: SearchOptions,
): Promise<Shapes | undefined> {
  for (const candidate of candidates) {
    signal?.throwIfAborted();
    const shapes = concreteShapes(plan, candidate);
    if ((await avoid?.(shapes)) !== undefined) continue;
    try {
      const outputs = await session.run(randomFeeds(plan.inputs, shapes, 1));
      if (Object.values(outputs).every(isComparable)) return shapes;
    } catch (error) {
      if (isEndless(error)) throw error;
    }
  }
  return undefined;
}

function isComparable(tensor: Tensor): boolean {
  return tensor.data.length > 0 && isAllFinite(tensor);
}

function givenCases(plan: ShapePlan, inputs: readonly Feeds[], notes: string[]): Case[] {
  if (inputs.length === 0)
    throw new PruneCompileError('E-USAGE', {
      what: 'no inputs were given to verify with',
      facts: [['try', 'at least one set of inputs']],
    });
  notes.push(`compared on ${inputs.length} given input${inputs.length === 1 ? '' : 's'} only`);
  return inputs.map((feeds, index) => {
    const shapes = byName(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
    const missing = plan.inputs.find(({ name }) => ownOf(feeds, name) === undefined);
    // Names, ranks and fixed extents, checked as if the user had fixed these shapes.
    const checked = planShapes(plan.inputs, shapes);
    const wrongType = checked.inputs.find(({ name, type }) => (ownOf(feeds, name)?.type ?? type) !== type);
    if (missing !== undefined || wrongType !== undefined) throw inputError(index, feeds, missing ?? wrongType);
    return {
      shapes: concreteShapes(checked, { batch: 1, channels: 1, height: 1, width: 1, sequence: 1 }),
      seed: index,
      feeds,
    };
  });
}

function inputError(index: number, feeds: Feeds, input: { name: string; type: string } | undefined): PruneCompileError {
  const name = input?.name ?? '';
  const found = ownOf(feeds, name);
  return new PruneCompileError('E-SHAPE', {
    what:
      found === undefined
        ? `given input ${index} has no value for the model's input ${name}`
        : `given input ${index} has ${found.type} values for ${name}, the model expects ${input?.type ?? ''}`,
    facts: [
      [
        'given',
        Object.entries(feeds)
          .map(([key, { type, dims }]) => `${key} ${type} [${dims.join(', ')}]`)
          .join(', '),
      ],
    ],
  });
}
