/** What all contenders of a benchmark are run with: the same values, at shapes that each accepts. */
import type { InferenceSession } from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import { byName } from '../names.js';
import { requireOutputs } from '../onnx/read.js';
import { Extents } from '../runtime/extents.js';
import type { Feeds } from '../runtime/feeds.js';
import { Crash, createGuarded } from '../runtime/guarded-session.js';
import { planShapes } from '../runtime/input-shapes.js';
import { findShapes, firstLine, formatShapes, randomFeeds, type Runnable, type Shapes } from '../runtime/inputs.js';
import { isEndless } from '../runtime/run-limit.js';

/** One contender, loaded. */
export interface Runner {
  readonly name: string;
  /** A path or the model's bytes. */
  readonly model: string | Uint8Array;
  readonly session: InferenceSession;
  /** How long that took. */
  readonly loadMs: number;
}

/** As in BenchOptions. */
interface InputOptions {
  readonly shapes?: Shapes | undefined;
  readonly batch?: number | undefined;
  readonly inputs?: readonly Feeds[] | undefined;
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What every round of a benchmark runs with, in turn. */
interface CommonFeeds {
  readonly shapes: Shapes;
  readonly feeds: readonly Feeds[];
  /** Whether another batch could be named. That of given inputs is given. */
  readonly hasOpenBatch: boolean;
}

/** Throws E-SHAPE, and E-MODEL-RUNTIME where one of them does not run. */
export async function commonFeeds(
  runners: readonly Runner[],
  options: InputOptions,
  notes: string[],
): Promise<CommonFeeds> {
  const [first, ...others] = runners;
  if (first === undefined) return { shapes: {}, feeds: [{}], hasOpenBatch: false };
  if (options.inputs !== undefined) return givenFeeds(runners, options.inputs, notes);
  const { shapes: overrides, batch, signal, seed = 1 } = options;
  const runnable = await findShapes(first.session, { overrides, batch, signal, avoid: crashAt(first.model) });
  if (batch !== undefined) checkBatch(runnable, batch);
  const { plan, shapes } = runnable;
  const feeds = randomFeeds(plan.inputs, shapes, seed);
  for (const other of others) await requireRun(other, shapes, feeds, `, where ${first.name} runs`);
  return { shapes, feeds: [feeds], hasOpenBatch: plan.free.has('batch') };
}

async function requireRun(
  { name, model, session }: Runner,
  shapes: Shapes,
  feeds: Feeds,
  where: string,
): Promise<void> {
  try {
    const crash = await crashAt(model)(shapes);
    if (crash !== undefined) throw new Error(crash);
    await session.run(feeds);
  } catch (error) {
    if (error instanceof PruneCompileError && error.code !== 'E-MODEL-RUNTIME') throw error;
    throw new PruneCompileError('E-MODEL-RUNTIME', {
      what: `${name} does not run at ${formatShapes(shapes)}${where}`,
      facts: [
        ['why', firstLine(messageOf(error))],
        ['try', 'models with the same inputs, or --shape with a shape that all of them accept'],
      ],
      cause: error,
    });
  }
}

/** Every contender is tried once at each shape that occurs. */
async function givenFeeds(runners: readonly Runner[], inputs: readonly Feeds[], notes: string[]): Promise<CommonFeeds> {
  const byShape = new Map<string, { readonly shapes: Shapes; readonly feeds: Feeds }>();
  for (const feeds of inputs) {
    const shapes = byName(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
    const key = formatShapes(shapes);
    if (!byShape.has(key)) byShape.set(key, { shapes, feeds });
  }
  const [first] = byShape.values();
  if (first === undefined) throw new PruneCompileError('E-USAGE', { what: 'no inputs were given to benchmark with' });
  for (const { shapes, feeds } of byShape.values())
    for (const runner of runners) await requireRun(runner, shapes, feeds, ', with the given input');
  notes.push(
    `${inputs.length} given input${inputs.length === 1 ? '' : 's'} in turn, one a round, the same for every model`,
  );
  if (byShape.size > 1) notes.push(`the given inputs have ${byShape.size} shapes: times are those of all of them`);
  return { shapes: first.shapes, feeds: inputs, hasOpenBatch: false };
}

/**
 * Sizes at which a value may be empty, and models with loops, are tried in a process of their own:
 * ONNX Runtime may crash there, or not end.
 */
function crashAt(model: string | Uint8Array): (shapes: Shapes) => Promise<string | undefined> {
  const extents = new Extents(model);
  if (extents.model !== undefined) requireOutputs(extents.model);
  return async (shapes) => {
    if ((await extents.at(shapes)).isSafe) return undefined;
    const guarded = await createGuarded(model);
    try {
      await guarded.run(randomFeeds(planShapes(guarded.inputMetadata).inputs, shapes, 1));
      return undefined;
    } catch (error) {
      if (isEndless(error)) throw error;
      return error instanceof Crash ? error.message : undefined;
    } finally {
      await guarded.release();
    }
  };
}

function checkBatch({ plan, shapes }: Runnable, batch: number): void {
  if (plan.free.has('batch')) return;
  const fixed = Object.values(shapes)[0]?.[0];
  if (fixed === batch) return;
  throw new PruneCompileError('E-SHAPE', {
    what: `the batch cannot be ${batch}: ${fixed === undefined ? 'no axis is a batch' : `it is fixed at ${fixed}`}`,
    facts: [
      ['shapes', formatShapes(shapes)],
      ['try', 'a model exported with a dynamic batch dimension'],
    ],
  });
}
