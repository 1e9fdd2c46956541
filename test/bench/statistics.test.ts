import { describe, expect, test } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import {
  compareContenders,
  medianInterval,
  pairedRatioTest,
  pairedTTest,
  ratioInterval,
  summarise,
  verdictOf,
  quantile,
} from '../../src/bench/statistics.js';

/**
 * Student's sleep data (1908), the example of R's t.test; its paired test gives t = -4.0621, df =
 * 9, p = 0.002833.
 */
const FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2];
const SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

describe('pairedTTest', () => {
  test("gives the published values of Student's sleep data", () => {
    const { t, degreesOfFreedom, p } = pairedTTest(FIRST_DRUG, SECOND_DRUG);
    expect(t).toBeCloseTo(-4.0621, 4);
    expect(degreesOfFreedom).toBe(9);
    expect(p).toBeCloseTo(0.002833, 6);
  });

  test('gives tabulated critical values: t = 2.228 at 10 degrees of freedom is p = .05', () => {
    // Differences with mean 1 and a standard deviation that makes t = 2.228139.
    const spread = Math.sqrt(11) / 2.228139;
    const unit = [1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 0];
    const differences = unit.map((value) => 1 + value * spread);
    const { t, p } = pairedTTest(
      differences,
      differences.map(() => 0),
    );
    expect(t).toBeCloseTo(2.228139, 6);
    expect(p).toBeCloseTo(0.05, 5);
  });

  test('is defined where all differences are the same', () => {
    expect(pairedTTest([1, 2, 3], [1, 2, 3])).toEqual({ t: 0, degreesOfFreedom: 2, p: 1 });
    expect(pairedTTest([2, 3, 4], [1, 2, 3])).toMatchObject({ p: 0 });
  });

  test('needs two pairs', () => {
    expect(() => pairedTTest([1], [2])).toThrow(RangeError);
    expect(() => pairedTTest([1, 2], [2])).toThrow(RangeError);
  });
});

describe('pairedRatioTest', () => {
  test("is the t-test of the logarithms: Student's data as exponents gives its published values", () => {
    const { t, degreesOfFreedom, p } = pairedRatioTest(FIRST_DRUG.map(Math.exp), SECOND_DRUG.map(Math.exp));
    expect(t).toBeCloseTo(-4.0621, 4);
    expect(degreesOfFreedom).toBe(9);
    expect(p).toBeCloseTo(0.002833, 6);
  });

  test('does not depend on the unit', () => {
    const [slow, fast] = [
      [5, 7, 6, 9],
      [4, 5, 6, 5],
    ];
    const inSeconds = (ms: number) => ms / 1000;
    expect(pairedRatioTest(slow.map(inSeconds), fast.map(inSeconds)).t).toBeCloseTo(pairedRatioTest(slow, fast).t, 10);
  });

  test('sees a difference that an interrupted round hides from a test of milliseconds', () => {
    const fast = [...normals(1, 'fast', 31)].map((value) => 10 + 0.1 * value);
    const slow = fast.map((ms, round) => 1.2 * ms + (round % 3) / 10);
    const interrupted = fast.map((ms, round) => (round === 4 ? 40 : ms));
    expect(pairedTTest(slow, interrupted).p).toBeGreaterThan(0.05);
    expect(compareContenders(summarise('slow', slow), summarise('interrupted', interrupted)).verdict).toBe('faster');
  });
});

describe('bootstrap intervals', () => {
  const ranks = Array.from({ length: 31 }, (_, index) => index + 1);

  test('of the median are the order statistics that the binomial distribution names', () => {
    // P(median of a resample <= k) = P(Bin(31, k / 31) >= 16) is 1.8 % at k = 10 and 4.3 % at k =
    // 11, and symmetric.
    expect(medianInterval(ranks)).toEqual([11, 21]);
  });

  test('are the same for the same seed', () => {
    const samples = [...normals(1, 'times', 31)];
    expect(medianInterval(samples, 7)).toEqual(medianInterval(samples, 7));
  });

  test('of the ratio pair the rounds: a common slow-down cancels', () => {
    const slowDown = [...normals(2, 'slow', 31)].map((value) => 10 + value);
    expect(
      ratioInterval(
        slowDown.map((ms) => 3 * ms),
        slowDown,
      ),
    ).toEqual([expect.closeTo(3, 12), expect.closeTo(3, 12)]);
  });
});

describe('summarise', () => {
  test('keeps the samples in their order', () => {
    expect(summarise('a', [3, 1, 2])).toMatchObject({ medianMs: 2, meanMs: 2, sdMs: 1, samplesMs: [3, 1, 2] });
  });
});

describe('verdicts', () => {
  const times = (seed: number, name: string, meanMs: number) =>
    [...normals(seed, name, 31)].map((value) => meanMs + 0.5 * value);

  test('need the test and the interval to agree', () => {
    expect(verdictOf([1.1, 1.2], 5, 0.001)).toBe('faster');
    expect(verdictOf([0.8, 0.9], -5, 0.001)).toBe('slower');
    expect(verdictOf([0.99, 1.2], 5, 0.001)).toBe('no significant difference');
    expect(verdictOf([1.1, 1.2], 1.5, 0.14)).toBe('no significant difference');
    expect(verdictOf([1.1, 1.2], -2.5, 0.02)).toBe('no significant difference');
  });

  test('see a difference of one standard deviation', () => {
    const slow = summarise('slow', times(1, 'slow', 10.5));
    const fast = summarise('fast', times(1, 'fast', 10));
    expect(compareContenders(slow, fast)).toMatchObject({
      baseline: 'slow',
      contender: 'fast',
      verdict: 'faster',
      degreesOfFreedom: 30,
    });
    expect(compareContenders(fast, slow).verdict).toBe('slower');
    expect(compareContenders(slow, fast).speedup).toBeCloseTo(slow.medianMs / fast.medianMs, 12);
  });

  test('claim a difference between equal models in at most one of twenty benchmarks', () => {
    const claims = Array.from({ length: 60 }, (_, seed) =>
      compareContenders(summarise('a', times(seed, 'a', 10)), summarise('b', times(seed, 'b', 10))),
    ).filter(({ verdict }) => verdict !== 'no significant difference');
    expect(claims.length).toBeLessThanOrEqual(3);
  });
});

test('quantiles lie between samples, as in NumPy', () => {
  // numpy.quantile([3, 1, 2, 10], [0, .5, .95, .99, 1])
  const of = (share: number) => quantile([3, 1, 2, 10], share);
  expect([of(0), of(0.5), of(1)]).toEqual([1, 2.5, 10]);
  expect(of(0.95)).toBeCloseTo(8.95, 12);
  expect(of(0.99)).toBeCloseTo(9.79, 12);
  expect([quantile([7], 0.95), quantile([], 0.95)]).toEqual([7, Number.NaN]);
});
