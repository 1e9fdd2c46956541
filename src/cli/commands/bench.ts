/** `prune-compile bench A [B...]`, and the benchmark of `compile --bench`. */
import { basename } from 'node:path';
import { renderAccuracy } from '../../report/accuracy.js';
import { renderJson } from '../../report/json.js';
import { renderBenchmarks } from '../../report/measurements.js';
import { benchmarkPlace, CONTENDER } from '../../report/summary.js';
import type { BenchOptions } from '../../bench/benchmark.js';
import { type Benchmark } from '../../bench/results.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { checkOptions } from '../../runtime/provider-options.js';
import type { Provider } from '../../runtime/providers.js';
import type { Compiled } from '../../compile.js';
import type { Given } from '../../samples/given.js';
import { breathe, type Context, nameOf, present, sourceOf } from '../context.js';
import type { CompiledOutput } from '../compiled-output.js';
import type { Source } from '../engine.js';
import { accuracyOf, givenFor, givenNotes } from '../given.js';
import { writeTo } from '../io.js';

interface Contender {
  readonly name: string;
  readonly model: Source;
}

export async function benchCommand(context: Context): Promise<void> {
  const { engine, io, options, positionals } = context;
  checkOptions(options.providers ?? ['cpu'], options.providerOption);
  await engine.checkProviders(options.providers ?? ['cpu']);
  const names = contenderNames(positionals);
  const contenders: Contender[] = [];
  for (const [index, model] of positionals.entries())
    contenders.push({ name: names[index] ?? model, model: await sourceOf(model, io) });
  const [first] = contenders;
  const given = first && (await givenFor(first.model, context, options.batch ?? 1));
  const benchmarks = await benchAll(contenders, context, { baseline: names[0], given });
  // After Ctrl-C only what was measured is told.
  const accuracy = io.signal.aborted ? undefined : await accuracyOf(contenders, given, context);
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, benchmarks, ...present({ accuracy }) })
      : `${renderBenchmarks(benchmarks)}${accuracy === undefined ? '' : renderAccuracy(accuracy)}`,
  );
  io.signal.throwIfAborted();
}

/** File names where they tell the models apart, else paths, else paths with a number. */
export function contenderNames(models: readonly string[]): string[] {
  const short = models.map((model) => basename(nameOf(model)));
  if (areDistinct(short)) return short;
  const paths = models.map(nameOf);
  return areDistinct(paths) ? paths : paths.map((path, index) => `${path} #${index + 1}`);
}

function areDistinct(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

/** Dense, masked and compiled: whether zeros alone, or their removal, made the difference. */
export async function benchCompiled(
  compiled: Compiled,
  source: Source,
  output: CompiledOutput,
  context: Context,
): Promise<Benchmark[]> {
  const dense = await context.engine.denseModel(source);
  const contenders = [
    { name: CONTENDER.dense, model: dense },
    { name: CONTENDER.masked, model: compiled.masked() },
    { name: CONTENDER.compiled, model: output.source },
  ];
  const { before, after, sparse } = compiled.report;
  return (await benchAll(contenders, context)).map((benchmark) =>
    sparse !== undefined && benchmark.provider !== 'cpu'
      ? { ...benchmark, notes: [...benchmark.notes, SPARSE_NOTE] }
      : withLaunches(benchmark, before.macs, after.macs),
  );
}

/** Beside what the session said, that some nodes run on the CPU. */
const SPARSE_NOTE =
  'sparse operators run on the CPU, so that their inputs and outputs are copied between the card and the processor at every run; --structured alone keeps all of it on the card (docs/gpu.md)';

/** A fifth less work is more than a restless machine hides. */
const LESS_WORK = 0.8;

/**
 * On a card a small network is a row of short kernels, and starting them may take longer than they
 * do. Where clearly less work is not clearly faster, that is said.
 */
export function withLaunches(benchmark: Benchmark, before: number | undefined, after: number | undefined): Benchmark {
  const { provider, comparisons, notes } = benchmark;
  const found = comparisons.find(
    ({ baseline, contender }) => baseline === CONTENDER.masked && contender === CONTENDER.compiled,
  );
  if (!CARDS.includes(provider) || before === undefined || after === undefined) return benchmark;
  if (after > LESS_WORK * before || found === undefined || found.verdict === 'faster') return benchmark;
  const share = Math.round(100 * (1 - after / before));
  const note = `bound by launches: ${share} % less multiply-accumulates are not faster here; starting kernels takes longer than they do, which larger batches change`;
  return { ...benchmark, notes: [...notes, note] };
}

const CARDS: readonly Provider[] = ['cuda', 'tensorrt'];

/** Beside the default of 1: a card is idle for most of a single image. */
const LARGER_BATCHES = [8, 32];

/**
 * Without a baseline every pair is compared. On a card several batches are measured, where the
 * models leave the batch open and nobody named one.
 */
async function benchAll(
  contenders: readonly Contender[],
  context: Context,
  { baseline, given }: { readonly baseline?: string | undefined; readonly given?: Given | undefined } = {},
): Promise<Benchmark[]> {
  const { io, options } = context;
  const benchmarks: Benchmark[] = [];
  // A last run with fewer samples would be another measurement.
  const inputs = given?.feeds.filter((_, run) => given.counts[run] === given.counts[0]);
  const measure = async (provider: Provider, batch: number | undefined) => {
    try {
      const benchmark = await benchOne(contenders, context, { provider, batch, baseline, inputs });
      benchmarks.push(benchmark);
      return benchmark;
    } catch (error) {
      // After Ctrl-C what was measured before is told.
      if (io.signal.aborted && benchmarks.length > 0) return undefined;
      throw error;
    }
  };
  for (const provider of options.providers ?? ['cpu']) {
    // What is given has its own batch.
    const first = await measure(provider, given === undefined ? options.batch : undefined);
    const isAlone = options.batch !== undefined || !CARDS.includes(provider) || first?.hasOpenBatch !== true;
    for (const batch of isAlone ? [] : LARGER_BATCHES) await measure(provider, batch);
  }
  return benchmarks.map((benchmark) => ({ ...benchmark, notes: [...givenNotes(given), ...benchmark.notes] }));
}

async function benchOne(
  contenders: readonly Contender[],
  { engine, io, options, steps }: Context,
  how: Pick<BenchOptions, 'provider' | 'batch' | 'baseline' | 'inputs'>,
): Promise<Benchmark> {
  await breathe(io.signal);
  const { threads, runs: rounds, shape: shapes, providerOption: providerOptions } = options;
  const settings = {
    ...present({
      ...how,
      threads,
      rounds,
      shapes,
      providerOptions,
      memory: true,
      keepsPartial: how.baseline !== undefined,
    }),
    signal: io.signal,
  };
  return steps.run(
    'bench',
    (progress) => engine.benchModels(contenders, { ...settings, onProgress: progress }),
    benchmarkPlace,
  );
}
