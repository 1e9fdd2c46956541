/** Which inputs a verification runs: shape combinations times seeds, found by running the reference. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
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
  type Feeds,
  findShapes,
  firstThatRuns,
  formatShapes,
  randomFeeds,
  type Runnable,
  type Shapes,
} from '../runtime/inputs.js';
import { isAllFinite } from './compare.js';

export interface Case {
  readonly shapes: Shapes;
  readonly seed: number;
  readonly feeds: Feeds;
}

export interface CaseOptions {
  readonly shapes?: Shapes | undefined;
  readonly inputs?: readonly Feeds[] | undefined;
  readonly seeds: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** All seeds at the first shapes; one seed each at a second batch size, a second image size or length, and a tiny image. */
export async function makeCases(session: InferenceSession, options: CaseOptions, notes: string[]): Promise<Case[]> {
  if (options.inputs !== undefined)
    return givenCases(planShapes(session.inputMetadata, options.shapes), options.inputs, notes);
  const first = await findShapes(session, { overrides: options.shapes, signal: options.signal });
  // Only what the model leaves open can be narrowed.
  if (first.plan.fixed.size > 0)
    notes.push(
      `compared at the given shapes only: ${formatShapes(first.plan.overrides)}; leave --shape out to compare at other sizes too`,
    );
  const cases = options.seeds.map((seed) => randomCase(first.plan, first.shapes, seed));
  const [seed = 1] = options.seeds;
  for (const shapes of await furtherShapes(session, first, notes, options.signal))
    cases.push(randomCase(first.plan, shapes, seed));
  return cases;
}

function randomCase(plan: ShapePlan, shapes: Shapes, seed: number): Case {
  return { shapes, seed, feeds: randomFeeds(plan.inputs, shapes, seed) };
}

async function furtherShapes(
  session: InferenceSession,
  first: Runnable,
  notes: string[],
  signal: AbortSignal | undefined,
): Promise<Shapes[]> {
  const { plan, sizes } = first;
  const found: Shapes[] = [];
  const attempt = async (what: string, candidates: readonly Sizes[]) => {
    if (candidates.length === 0) return;
    const result = await firstThatRuns(session, plan, candidates, signal);
    if ('shapes' in result) found.push(result.shapes);
    else
      notes.push(
        `compared at one ${what} only: the reference does not run at ${formatShapes(result.tried.at(-1) ?? {})} (${result.failure})`,
      );
  };
  await attempt('batch size', plan.free.has('batch') ? [{ ...sizes, batch: sizes.batch + 1 }] : []);
  await attempt(plan.free.has('sequence') ? 'length' : 'image size', secondSizes(plan, sizes));
  const small = await smallestThatRuns(session, plan, smallSizes(plan, sizes), signal);
  return small === undefined ? found : [...found, small];
}

/**
 * The first of the candidates whose outputs hold something to compare: at sizes that leave a window nothing ONNX Runtime
 * fails, or gives tensors without elements, or means of nothing. That none does is usual, and not worth a note.
 */
async function smallestThatRuns(
  session: InferenceSession,
  plan: ShapePlan,
  candidates: readonly Sizes[],
  signal: AbortSignal | undefined,
): Promise<Shapes | undefined> {
  for (const candidate of candidates) {
    signal?.throwIfAborted();
    const shapes = concreteShapes(plan, candidate);
    try {
      const outputs = await session.run(randomFeeds(plan.inputs, shapes, 1));
      if (Object.values(outputs).every(isComparable)) return shapes;
    } catch {
      continue;
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
        : `given input ${index} has ${found.type} values for ${name}, the model wants ${input?.type ?? ''}`,
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
