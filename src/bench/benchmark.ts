/**
 * Times several models against each other: all sessions alive in one process, every round measures
 * each contender once, in an order that changes from round to round. What slows the machine down for
 * a while then slows all of them down. A run before the measured one brings the contender's own
 * weights back into the caches, as where a model runs alone.
 */
import type * as ort from 'onnxruntime-node';
import { PruneCompileError } from '../errors.js';
import { commonFeeds, type Runner } from './bench-inputs.js';
import { furtherFigures } from './further-figures.js';
import type { Benchmark, Comparison, Contender } from './results.js';
import type { Shapes } from '../runtime/inputs.js';
import type { Feeds } from '../runtime/feeds.js';
import { Random } from '../runtime/random.js';
import { optionsFor, type ProviderOptions, usesTf32 } from '../runtime/provider-options.js';
import type { Provider } from '../runtime/providers.js';
import { cpuNote, createOnProvider } from '../runtime/provider-session.js';
import { createSession, type SessionOptions } from '../runtime/session.js';
import { softwareDriver } from '../runtime/software-driver.js';
import { probeModel } from './probe-model.js';
import { requireProvider } from './providers.js';
import { compareContenders, summarise } from './statistics.js';

export interface ContenderModel {
  /** Unique among the contenders. */
  readonly name: string;
  /** A path or the model's bytes. */
  readonly model: string | Uint8Array;
}

export interface BenchOptions {
  /** Default cpu. */
  readonly provider?: Provider | undefined;
  /** Of cuda and tensorrt. */
  readonly providerOptions?: ProviderOptions | undefined;
  /** Intra-op threads of every session; default 1. */
  readonly threads?: number | undefined;
  /** Default 31, fewer where a run takes longer than a second. At least 2. */
  readonly rounds?: number | undefined;
  /**
   * What the rounds may take together, in milliseconds: where that is given, fewer are made than
   * `rounds` says (3 at least), or than the default. Without it, 60 s where a run takes longer than
   * a second.
   */
  readonly budgetMs?: number | undefined;
  /** Default 5, fewer where a run takes longer than a second. */
  readonly warmUps?: number | undefined;
  /** Fixes symbolic dimensions: input name -> dims. */
  readonly shapes?: Shapes | undefined;
  /** Extent of the free batch dimension; default 1. */
  readonly batch?: number | undefined;
  /** Real inputs instead of a random one: each round takes the next, the same for every contender. */
  readonly inputs?: readonly Feeds[] | undefined;
  /** The contender that all others are compared with; without it every pair is compared. */
  readonly baseline?: string | undefined;
  /** Whether the memory of each contender is measured, in a process of its own; default false. */
  readonly memory?: boolean | undefined;
  /** Of the inputs, the order of the rounds and the resampling; default 1. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether an abort ends the rounds and what was measured so far is the result, from 3 rounds on;
   * default false: the signal's reason is thrown.
   */
  readonly keepsPartial?: boolean | undefined;
  /** Called after every round. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * An odd number, so that the median is a time that was measured, and enough for a t distribution
 * close to normal.
 */
const DEFAULT_ROUNDS = 31;
/**
 * Fewer do not allow an interval: the extremes of 7 samples enclose the median with 1 - 2 / 2^7 =
 * 98 %.
 */
const FEWEST_ROUNDS = 7;
/** Of a measurement whose time is limited: the median of fewer is no better than any of them. */
const FEWEST_LIMITED_ROUNDS = 3;
const DEFAULT_WARM_UPS = 5;
/** The first run allocates, the second one is as the others are. */
const FEWEST_WARM_UPS = 2;
const SLOW_RUN_MS = 1000;
/** What the rounds of slow models may take together, unless the caller says. */
const BUDGET_MS = 60_000;
/**
 * A sample shorter than this is made of several runs: one run's timer and event loop take some
 * microseconds.
 */
const SHORTEST_SAMPLE_MS = 0.5;
const MOST_REPEATS = 64;
/**
 * Longer runs are not preceded by one that is not measured: weights come from memory at some GB/s, so
 * that the caches matter less than the time that this would take.
 */
const SETTLED_RUN_MS = 250;
/** Standard deviation / median above which the user is told that the machine was busy. */
const RESTLESS = 0.1;

/**
 * Times are milliseconds per run of the whole batch, inputs ready and outputs back in memory.
 * Throws E-PROVIDER when the provider cannot be used, E-SHAPE, E-MODEL-RUNTIME when a contender
 * does not run, E-USAGE, and the signal's reason.
 */
export async function benchModels(
  contenders: readonly ContenderModel[],
  options: BenchOptions = {},
): Promise<Benchmark> {
  const { provider = 'cpu', providerOptions, threads = 1, signal } = options;
  checkUsage(contenders, options);
  await requireProvider(provider);
  const notes: string[] = [];
  const runners: Runner[] = [];
  await startRuntime({ provider, providerOptions, threads });
  try {
    for (const { name, model } of contenders) {
      signal?.throwIfAborted();
      const { session, usesCpu, loadMs } = await createOnProvider(model, { provider, providerOptions, threads });
      runners.push({ name, model, session, loadMs });
      if (usesCpu) notes.push(cpuNote(name, provider));
    }
    const { shapes, feeds, hasOpenBatch } = await commonFeeds(runners, options, notes);
    const plan = await warmUp(runners, feeds, options, notes);
    const samples = await measure(runners, feeds, plan, options);
    const rounds = samples[0]?.length ?? 0;
    const isCut = rounds < plan.rounds;
    if (isCut) notes.push(`interrupted after ${rounds} of ${plan.rounds} rounds`);
    const results: Contender[] = [];
    for (const [index, runner] of runners.entries()) {
      const measured = summarise(runner.name, samples[index] ?? [], options.seed);
      const further = { ...options, memory: options.memory === true && !isCut };
      results.push({ ...measured, ...(await furtherFigures(runner, measured.medianMs, feeds[0] ?? {}, further)) });
    }
    notes.push(...results.flatMap(restlessNote));
    const { warmUps } = plan;
    const comparisons = compareAll(results, options);
    const named = optionsFor(provider, providerOptions);
    const tf32 = usesTf32(provider, providerOptions);
    const driver = softwareDriver(provider);
    return {
      provider,
      ...(named.size > 0 && { providerOptions: [...named].map(([name, value]) => ({ name, value })) }),
      ...(tf32 !== undefined && { tf32 }),
      ...(driver !== undefined && { softwareDriver: driver }),
      threads,
      ...(hasOpenBatch && { hasOpenBatch }),
      rounds,
      warmUps,
      shapes,
      contenders: results,
      comparisons,
      notes,
    };
  } finally {
    for (const { session } of runners) await session.release();
  }
}

const started = new Set<Provider>();

/**
 * The first session of a process waits for ONNX Runtime itself: that is no model's loading time.
 * Calibration and tuning measure many times, and it starts once.
 */
async function startRuntime(options: SessionOptions & { readonly provider: Provider }): Promise<void> {
  if (started.has(options.provider)) return;
  const session = await createSession(probeModel(), options);
  await session.release();
  started.add(options.provider);
}

function checkUsage(contenders: readonly ContenderModel[], { rounds, warmUps, batch, baseline }: BenchOptions): void {
  const names = contenders.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  const isWhole = (value: number | undefined, least: number) =>
    value === undefined || (Number.isSafeInteger(value) && value >= least);
  const problem =
    contenders.length === 0
      ? 'there is no model to benchmark'
      : repeated !== undefined
        ? `two models of the benchmark are called ${repeated}`
        : baseline !== undefined && !names.includes(baseline)
          ? `the baseline ${baseline} is none of the models ${names.join(', ')}`
          : !isWhole(rounds, 2)
            ? `a benchmark needs at least 2 rounds, not ${rounds}`
            : !isWhole(warmUps, 0) || !isWhole(batch, 1)
              ? 'warm-ups and batch must be whole numbers, the batch positive'
              : undefined;
  if (problem !== undefined) throw new PruneCompileError('E-USAGE', { what: problem });
}

interface RoundPlan {
  readonly rounds: number;
  readonly warmUps: number;
  /** Runs per sample. */
  readonly repeats: number;
  /** Whether a run that is not measured comes before each sample. */
  readonly settles: boolean;
}

async function warmUp(
  runners: readonly Runner[],
  feeds: readonly Feeds[],
  options: BenchOptions,
  notes: string[],
): Promise<RoundPlan> {
  const wanted = options.warmUps ?? DEFAULT_WARM_UPS;
  let latest = runners.map(() => 0);
  let done = 0;
  while (done < wanted) {
    latest = [];
    for (const { session } of runners) {
      options.signal?.throwIfAborted();
      latest.push(await time(session, feedsIn(feeds, done), 1));
    }
    done++;
    if (options.warmUps === undefined && done >= FEWEST_WARM_UPS && Math.max(...latest) > SLOW_RUN_MS) break;
  }
  const settles = runners.length > 1 && Math.max(...latest) <= SETTLED_RUN_MS;
  const perRound = latest.map((ms) => (settles ? 2 * ms : ms));
  const rounds =
    options.rounds === undefined
      ? affordableRounds(perRound, options.budgetMs, notes)
      : limited(options.rounds, perRound, options.budgetMs);
  const fastest = Math.min(...latest);
  // Without warm-ups nothing is known of the times.
  const repeats =
    fastest > 0 && fastest < SHORTEST_SAMPLE_MS ? Math.min(MOST_REPEATS, Math.ceil(SHORTEST_SAMPLE_MS / fastest)) : 1;
  if (repeats > 1) notes.push(`a run is so short that each sample is the mean of ${repeats} runs`);
  return { rounds, warmUps: done, repeats, settles };
}

function limited(rounds: number, latestMs: readonly number[], budgetMs = Number.POSITIVE_INFINITY): number {
  const roundMs = latestMs.reduce((total, ms) => total + ms, 0);
  const most = Math.max(FEWEST_LIMITED_ROUNDS, Math.floor(budgetMs / roundMs));
  return Math.min(rounds, most);
}

function affordableRounds(latestMs: readonly number[], budgetMs: number | undefined, notes: string[]): number {
  const slowest = Math.max(...latestMs);
  if (budgetMs === undefined && slowest <= SLOW_RUN_MS) return DEFAULT_ROUNDS;
  const roundMs = latestMs.reduce((total, ms) => total + ms, 0);
  const affordable = Math.floor((budgetMs ?? BUDGET_MS) / roundMs);
  const rounds = Math.max(FEWEST_ROUNDS, Math.min(DEFAULT_ROUNDS, affordable));
  if (rounds < DEFAULT_ROUNDS)
    notes.push(`${rounds} rounds instead of ${DEFAULT_ROUNDS}: one takes ${(roundMs / 1000).toFixed(1)} s`);
  return rounds;
}

async function measure(
  runners: readonly Runner[],
  feeds: readonly Feeds[],
  plan: RoundPlan,
  options: BenchOptions,
): Promise<number[][]> {
  const samples = runners.map((): number[] => []);
  for (const [round, order] of roundOrders(runners.length, plan.rounds, options.seed).entries()) {
    // Signals are heard between two runs only.
    if (options.keepsPartial === true) await new Promise((resolve) => setImmediate(resolve));
    if (options.signal?.aborted === true && options.keepsPartial === true && round >= FEWEST_LIMITED_ROUNDS) break;
    for (const index of order) {
      // A round that was begun is ended, so that every contender has as many times.
      if (options.keepsPartial !== true || round < FEWEST_LIMITED_ROUNDS) options.signal?.throwIfAborted();
      const runner = runners[index];
      if (runner === undefined) continue;
      if (plan.settles) await time(runner.session, feedsIn(feeds, round), 1);
      samples[index]?.push(await time(runner.session, feedsIn(feeds, round), plan.repeats));
    }
    options.onProgress?.(round + 1, plan.rounds);
  }
  return samples;
}

function feedsIn(feeds: readonly Feeds[], round: number): Feeds {
  return feeds[round % feeds.length] ?? {};
}

/**
 * The order of the contenders in every round: a shuffled order rotated by one from round to round,
 * shuffled anew once every contender has been at every place, so that no one always follows the
 * same other or always comes first.
 */
export function roundOrders(count: number, rounds: number, seed = 1): number[][] {
  const random = new Random(seed, 'round orders');
  let base: number[] = [];
  return Array.from({ length: rounds }, (_, round) => {
    const shift = round % count;
    if (shift === 0) base = random.shuffled(Array.from({ length: count }, (_item, index) => index));
    return [...base.slice(shift), ...base.slice(0, shift)];
  });
}

/** Milliseconds per run; outputs are freed outside the measured time. */
async function time(session: ort.InferenceSession, feeds: Feeds, repeats: number): Promise<number> {
  const results: ort.InferenceSession.OnnxValueMapType[] = [];
  const start = process.hrtime.bigint();
  for (let run = 0; run < repeats; run++) results.push(await session.run(feeds));
  const elapsed = process.hrtime.bigint() - start;
  for (const outputs of results) for (const tensor of Object.values(outputs)) tensor.dispose();
  return Number(elapsed) / 1e6 / repeats;
}

function compareAll(results: readonly Contender[], { baseline, seed }: BenchOptions): Comparison[] {
  const bases = baseline === undefined ? results : results.filter(({ name }) => name === baseline);
  return bases.flatMap((base) => {
    const others =
      baseline === undefined ? results.slice(results.indexOf(base) + 1) : results.filter((other) => other !== base);
    return others.map((other) => compareContenders(base, other, seed));
  });
}

function restlessNote({ name, medianMs, sdMs }: Contender): string[] {
  if (sdMs <= RESTLESS * medianMs) return [];
  return [
    `the times of ${name} vary by ${((100 * sdMs) / medianMs).toFixed(0)} %: the machine was busy or changed its clock`,
  ];
}
