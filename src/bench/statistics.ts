/**
 * Statistics of paired timings: medians with bootstrap intervals, and the paired t-test of their
 * logarithms. Pure and seeded.
 */
import jStat from 'jstat';
import { mean, median, quantileSorted, sampleStandardDeviation } from 'simple-statistics';
import type { Comparison, Contender } from './results.js';
import { Random } from '../runtime/random.js';

/**
 * Resamples of a percentile bootstrap: an end of the interval is then the 50th value from the edge
 * of 2000, which moves by about sqrt(50) = 7 places (0.35 % of the distribution) from seed to seed:
 * far below the interval's own width.
 */
const RESAMPLES = 2000;
const CONFIDENCE = 0.95;
/** Differences that are this likely without any real one are not called significant. */
export const SIGNIFICANCE = 0.05;

export type Interval = readonly [low: number, high: number];

export interface TTest {
  readonly t: number;
  readonly degreesOfFreedom: number;
  /** Two-sided. */
  readonly p: number;
}

/** The figures of one contender; `samplesMs` has one time per round, in the order of the rounds. */
export function summarise(name: string, samplesMs: readonly number[], seed = 1): Contender {
  const samples = [...samplesMs];
  return {
    name,
    medianMs: median(samples),
    meanMs: mean(samples),
    sdMs: samples.length < 2 ? 0 : sampleStandardDeviation(samples),
    p95Ms: quantile(samples, 0.95),
    p99Ms: quantile(samples, 0.99),
    interval: medianInterval(samples, seed),
    samplesMs: samples,
  };
}

/**
 * Between the two samples beside it, in proportion (type 7 of Hyndman and Fan, as in NumPy and R): of
 * few samples it is close to the largest.
 */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low = Number.NaN, high = low] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

/** Percentile bootstrap 95 % interval of the median. */
export function medianInterval(samples: readonly number[], seed = 1): Interval {
  return bootstrap(samples.length, seed, (rounds) => median(rounds.map((round) => samples[round] ?? Number.NaN)));
}

/**
 * Percentile bootstrap 95 % interval of median(baseline) / median(contender). Rounds are drawn, and
 * both times of a drawn round are used, so that what slows a whole round down (another process, a
 * clock change) cancels.
 */
export function ratioInterval(baseline: readonly number[], contender: readonly number[], seed = 1): Interval {
  return bootstrap(baseline.length, seed, (rounds) => {
    const of = (samples: readonly number[]) => median(rounds.map((round) => samples[round] ?? Number.NaN));
    return of(baseline) / of(contender);
  });
}

function bootstrap(count: number, seed: number, statistic: (rounds: readonly number[]) => number): Interval {
  const random = new Random(seed, 'bootstrap');
  const values = Array.from({ length: RESAMPLES }, () =>
    statistic(Array.from({ length: count }, () => random.below(count))),
  );
  values.sort((a, b) => a - b);
  const tail = (1 - CONFIDENCE) / 2;
  return [quantileSorted(values, tail), quantileSorted(values, 1 - tail)];
}

/**
 * Paired Student t-test of the mean of a[i] - b[i]; t is positive where `a` is larger. Needs two
 * pairs at least.
 */
export function pairedTTest(a: readonly number[], b: readonly number[]): TTest {
  if (a.length !== b.length || a.length < 2)
    throw new RangeError('a paired t-test needs two lists of one length, 2 or more');
  const differences = a.map((value, index) => value - (b[index] ?? Number.NaN));
  const degreesOfFreedom = differences.length - 1;
  const centre = mean(differences);
  const error = sampleStandardDeviation(differences) / Math.sqrt(differences.length);
  // Timings never agree to the last digit; made-up ones may.
  if (error === 0)
    return { t: centre === 0 ? 0 : Math.sign(centre) * Number.MAX_VALUE, degreesOfFreedom, p: centre === 0 ? 1 : 0 };
  const t = centre / error;
  return { t, degreesOfFreedom, p: 2 * jStat.studentt.cdf(-Math.abs(t), degreesOfFreedom) };
}

/**
 * The paired t-test on the logarithms of two lists of times: of the mean log ratio, so of a factor
 * between them. Times have a long tail upwards. In milliseconds a few rounds that something
 * interrupted make the deviation, and p says nothing where the interval of the ratio is far from 1;
 * a logarithm keeps them within reach, and is what a ratio is about.
 */
export function pairedRatioTest(a: readonly number[], b: readonly number[]): TTest {
  return pairedTTest(a.map(Math.log), b.map(Math.log));
}

/** Both must have been measured in the same rounds. */
export function compareContenders(baseline: Contender, contender: Contender, seed = 1): Comparison {
  const { t, degreesOfFreedom, p } = pairedRatioTest(baseline.samplesMs, contender.samplesMs);
  const interval = ratioInterval(baseline.samplesMs, contender.samplesMs, seed);
  return {
    baseline: baseline.name,
    contender: contender.name,
    speedup: baseline.medianMs / contender.medianMs,
    interval,
    t,
    degreesOfFreedom,
    p,
    verdict: verdictOf(interval, t, p),
  };
}

/**
 * A difference is claimed only where the test of the mean log ratio and the interval of the
 * medians' ratio agree on it.
 */
export function verdictOf([low, high]: Interval, t: number, p: number): Comparison['verdict'] {
  if (p < SIGNIFICANCE && low > 1 && t > 0) return 'faster';
  if (p < SIGNIFICANCE && high < 1 && t < 0) return 'slower';
  return 'no significant difference';
}
