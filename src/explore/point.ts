/** One point: masks made, compiled, verified, timed against the dense model, and evaluated. */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { benchModels } from '../bench/benchmark.js';
import { sparseTimer } from '../bench/timer.js';
import { type Compiled, compileModel, type CompileOptions } from '../compile.js';
import { PruneCompileError } from '../errors.js';
import { makeMasks } from '../mask-maker/make-masks.js';
import { maskedReference } from '../verify/masked-reference.js';
import { verifyModels } from '../verify/verify.js';
import { evaluateModel } from './evaluate.js';
import type { DenseFigures, ExploreSettings, Point, Timing } from '../exploration/exploration.js';
import { ownRatio, type Place, wayOf } from '../exploration/grid.js';

export interface Bench {
  readonly source: string | Uint8Array;
  /** The model with its zeros refilled. */
  readonly dense: Uint8Array;
  readonly settings: ExploreSettings;
  /** For the files of one point. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

export interface MadePoint {
  readonly point: Point;
  /** Of the model before pruning. */
  readonly before?: DenseFigures;
}

/** What cannot be done at this point is said in it; the others may do. */
export async function measurePoint(place: Place, bench: Bench): Promise<MadePoint> {
  const start = performance.now();
  const found = await figuresOf(place, bench);
  bench.signal?.throwIfAborted();
  const { before, ...figures } = found;
  const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  return { point: { ...place, way: wayOf(place.granularity), cpu, seconds, ...figures }, ...(before && { before }) };
}

type Figures = Omit<Point, keyof Place | 'way' | 'cpu' | 'seconds'> & Pick<MadePoint, 'before'>;

async function figuresOf(place: Place, bench: Bench): Promise<Figures> {
  let known: Figures = {};
  try {
    const { zeros, compiled } = await compiledAt(place, bench);
    const path = join(bench.folder, 'compiled.onnx');
    const sizeBytes = compiled.write(path);
    const { before, after, sparse } = compiled.report;
    known = {
      before: { parameters: before.parameters, macs: before.macs ?? null, sizeBytes: before.sizeBytes },
      zeros,
      parameters: after.parameters,
      ...(after.macs !== undefined && { macs: after.macs }),
      sizeBytes,
      ...(sparse !== undefined && { sparseLayers: sparse.layers }),
    };
    const { equal, difference } = await verified(compiled, path, bench);
    known = { ...known, equal, difference };
    // Nobody asks how fast something wrong is.
    if (!equal) return known;
    known = { ...known, timing: await timed(path, bench) };
    return { ...known, ...(await accuracyOf(compiled, path, bench)) };
  } catch (error) {
    bench.signal?.throwIfAborted();
    // A wrong command would be wrong at every point.
    if (!(error instanceof PruneCompileError) || error.code === 'E-EVALUATE' || error.code === 'E-INTERNAL')
      throw error;
    return { ...known, problem: { code: error.code, what: error.what } };
  }
}

async function compiledAt(
  { granularity, criterion, ratio }: Place,
  { source, settings, folder, signal }: Bench,
): Promise<{ readonly zeros: number; readonly compiled: Compiled }> {
  const { scope, groups, widthMultiple, exclude, seed, meaning, align, sparseTarget, tune, shapes } = settings;
  const aborting = signal === undefined ? {} : { signal };
  const isWhole = wayOf(granularity) === 'structured';
  const made = await makeMasks(source, {
    granularity,
    criterion,
    ...(ownRatio(granularity) === undefined && { ratio }),
    // What a granularity does not have is left out: it holds for the others.
    scope: ownRatio(granularity) === undefined ? scope : 'layer',
    groups: isWhole ? groups : 'none',
    exclude,
    seed,
    meaning,
    ...(isWhole && widthMultiple > 1 && { widthMultiple }),
    ...aborting,
  });
  const masks = join(folder, 'masks.safetensors');
  made.write(masks, 'safetensors');
  const options: CompileOptions = {
    masks: [masks],
    meaning,
    structured: true,
    align,
    shapes,
    ...aborting,
    ...(!isWhole && {
      sparse: true,
      ...(sparseTarget !== null && { sparseTarget }),
      ...(tune && { tune: sparseTimer(settings.threads) }),
    }),
  };
  const { zeros, weights } = made.report;
  return { zeros: zeros / Math.max(weights, 1), compiled: await compileModel(source, options) };
}

async function verified({ maskPlan }: Compiled, path: string, { source, settings, signal }: Bench) {
  const reference = maskPlan === undefined ? source : maskedReference(source, maskPlan);
  return verifyModels(reference, path, { shapes: settings.shapes, ...(signal && { signal }) });
}

/** Of a model against the dense one. */
export async function timed(
  model: string | Uint8Array,
  { dense, settings, signal }: Pick<Bench, 'dense' | 'settings' | 'signal'>,
): Promise<Timing> {
  const { threads, batch, rounds, shapes } = settings;
  const contenders = [
    { name: DENSE, model: dense },
    { name: 'compiled', model },
  ];
  const options = { threads, batch: batch ?? undefined, rounds: rounds ?? undefined, shapes, signal, baseline: DENSE };
  const { contenders: results, comparisons, rounds: made } = await benchModels(contenders, options);
  const [{ medianMs: denseMs } = { medianMs: Number.NaN }, { medianMs: ms } = { medianMs: Number.NaN }] = results;
  const [comparison] = comparisons;
  if (comparison === undefined) throw new Error('the benchmark compared nothing');
  const { speedup, interval, p, verdict } = comparison;
  const spread = Math.max(...results.map(({ sdMs, medianMs }) => sdMs / medianMs));
  return { denseMs, ms, rounds: made, spread: Number(spread.toPrecision(3)), speedup, interval, p, verdict };
}

const DENSE = 'dense';

/**
 * A model with sparse operators needs their library, which the user's command need not know: there
 * the masked model is evaluated, which computes the same.
 */
async function accuracyOf(
  compiled: Compiled,
  path: string,
  { settings: { evaluate }, folder, signal }: Bench,
): Promise<Pick<Point, 'accuracy'>> {
  if (evaluate === null) return {};
  const model = compiled.report.sparse === undefined ? path : asFile(compiled.masked(), join(folder, 'masked.onnx'));
  return { accuracy: await evaluateModel(evaluate, model, signal) };
}

/** A command wants a path. */
export function asFile(model: string | Uint8Array, path: string): string {
  if (typeof model === 'string') return model;
  writeFileSync(path, model);
  return path;
}
