/**
 * How often models are right on given samples, each run as users run it: with graph optimisations.
 * So that "same outputs" can be seen as "same accuracy".
 */
import type { Tensor } from 'onnxruntime-node';
import { PruneCompileError } from '../errors.js';
import { Extents } from '../runtime/extents.js';
import { createGuarded, type RunSession } from '../runtime/guarded-session.js';
import { createSession } from '../runtime/session.js';
import type { Shapes } from '../runtime/inputs.js';
import { byName } from '../names.js';
import { floatValues } from '../verify/compare.js';
import type { Given } from './given.js';
import { isAmong, largest } from './scores.js';

export interface ModelAccuracy {
  readonly name: string;
  /** Samples whose largest score is that of the right class. */
  readonly top1: number;
  /** Samples whose right class is among the five largest scores; absent for five classes and fewer. */
  readonly top5?: number;
  /** Samples with the same largest score as in the first model. */
  readonly alike: number;
}

export interface Accuracy {
  /** Where the samples and their classes are from. */
  readonly inputs: string;
  readonly labels: string;
  readonly samples: number;
  /** The output whose scores were compared, and how many classes it has. */
  readonly output: string;
  readonly classes: number;
  readonly models: readonly ModelAccuracy[];
}

export interface AccuracyOptions {
  /** Threads of ONNX Runtime; default 2. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every run. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

interface Contender {
  readonly name: string;
  /** A path or the model's bytes. */
  readonly model: string | Uint8Array;
}

const TOP = 5;

/**
 * Of each model on the same samples. Throws E-INPUTS where no output is a row of scores for each
 * sample or a label is no class of it, and what ONNX Runtime throws.
 */
export async function measureAccuracy(
  models: readonly Contender[],
  given: Given,
  { threads = 2, signal, onProgress }: AccuracyOptions = {},
): Promise<Accuracy> {
  const { labels, samples, path } = given;
  if (labels === undefined) throw new PruneCompileError('E-USAGE', { what: 'an accuracy needs labels' });
  const results: ModelAccuracy[] = [];
  let first: readonly number[] | undefined;
  let scored: Scored | undefined;
  for (const [at, { name, model }] of models.entries()) {
    const session = await openFor(model, given, threads);
    try {
      const found = { top1: 0, top5: 0, predictions: [] as number[] };
      for (const [run, feeds] of given.feeds.entries()) {
        signal?.throwIfAborted();
        const outputs = await session.run(feeds);
        const scores: Scored = scoresOf(outputs, session.outputNames, given.counts[run] ?? 0, scored);
        scored = scores;
        count(scores, labels.classes, found, labels.path);
        for (const tensor of Object.values(outputs)) tensor.dispose();
        onProgress?.(at * given.feeds.length + run + 1, models.length * given.feeds.length);
      }
      const { predictions, top1, top5 } = found;
      first ??= predictions;
      const alike = predictions.filter((prediction, sample) => prediction === first?.[sample]).length;
      results.push({ name, top1, ...((scored?.classes ?? 0) > TOP && { top5 }), alike });
    } finally {
      await session.release();
    }
  }
  const { output = '', classes = 0 } = scored ?? {};
  return { inputs: path, labels: labels.path, samples, output, classes, models: results };
}

/** In a process of its own where the model may crash at these sizes, or not end. */
async function openFor(model: string | Uint8Array, { feeds }: Given, threads: number): Promise<RunSession> {
  const extents = new Extents(model);
  const seen = new Set<string>();
  for (const entry of feeds) {
    const shapes: Shapes = byName(Object.entries(entry).map(([name, { dims }]) => [name, dims]));
    const key = JSON.stringify(shapes);
    if (seen.has(key)) continue;
    seen.add(key);
    if (!(await extents.at(shapes)).isSafe) return createGuarded(model, { threads });
  }
  return createSession(model, { threads });
}

interface Scored {
  readonly output: string;
  readonly classes: number;
  readonly values: Float32Array | Float64Array;
}

/** The first output that has a row of scores for each sample: [N, C], or [N, C, 1, 1]. */
function scoresOf(
  outputs: Readonly<Record<string, Tensor>>,
  names: readonly string[],
  samples: number,
  before: Scored | undefined,
): Scored {
  // Another model may call the same scores otherwise.
  const candidates = before !== undefined && names.includes(before.output) ? [before.output] : names;
  for (const output of candidates) {
    const tensor = outputs[output];
    const values = tensor === undefined ? undefined : floatValues(tensor);
    const [rows, classes = 0, ...others] = tensor?.dims ?? [];
    if (values === undefined || rows !== samples || classes < 2 || others.some((extent) => extent !== 1)) continue;
    return { output, classes, values };
  }
  const given = names.map((name) => `${name} [${outputs[name]?.dims.join(', ') ?? ''}]`).join(', ');
  throw new PruneCompileError('E-INPUTS', {
    what: 'no output of the model is a row of scores for each sample',
    facts: [
      ['the model gives', given],
      ['samples', String(samples)],
      ['try', 'without --labels; an accuracy is that of a classifier with an output of [samples, classes]'],
    ],
  });
}

function count(
  { values, classes }: Scored,
  labels: readonly number[],
  found: { top1: number; top5: number; predictions: number[] },
  path: string,
): void {
  for (let start = 0; start < values.length; start += classes) {
    const scores = values.subarray(start, start + classes);
    const label = labels[found.predictions.length] ?? -1;
    if (label >= classes)
      throw new PruneCompileError('E-INPUTS', {
        what: `${path} has the class ${label}, and the model tells ${classes} classes apart`,
        facts: [['try', 'labels that count classes from 0, in the order of the model']],
      });
    const prediction = largest(scores);
    found.predictions.push(prediction);
    if (prediction === label) found.top1++;
    if (isAmong(scores, label, TOP)) found.top5++;
  }
}
