import { expect, test } from 'vitest';
import { describeComparison, describeTest, describeVerdict } from '../../src/bench/describe.js';
import type { Comparison } from '../../src/bench/results.js';

const comparison: Comparison = {
  baseline: 'masked',
  contender: 'compiled',
  speedup: 2.09,
  interval: [2.05, 2.12],
  t: 41.27,
  degreesOfFreedom: 30,
  p: 1e-12,
  verdict: 'faster',
};

const EVEN = { interval: [0.98, 1.03], verdict: 'no significant difference' } as const;

test.each([
  [{}, 'faster: t(30) = 41.3, p < .001'],
  [{ t: 181.7 }, 'faster: t(30) = 182, p < .001'],
  [{ t: -3.21, p: 0.0031, verdict: 'slower' }, 'slower: t(30) = -3.2, p = .003'],
  [{ ...EVEN, t: 0.4, p: 0.692 }, 'no significant difference: t(30) = 0.4, p = .69'],
  [{ ...EVEN, t: 1.97, p: 0.0581 }, 'no significant difference: t(30) = 2.0, p = .058'],
  [
    { t: 5.2, p: 1e-5, interval: [0.98, 1.04], verdict: 'no significant difference' },
    "no difference is claimed: the test says t(30) = 5.2, p < .001, and the interval of the medians' ratio, [0.98, 1.04], contains 1",
  ],
  [
    { t: 1.2, p: 0.24, interval: [1.01, 1.04], verdict: 'no significant difference' },
    "no difference is claimed: the test says t(30) = 1.2, p = .24, and the interval of the medians' ratio, [1.01, 1.04], does not contain 1",
  ],
] satisfies [Partial<Comparison>, string][])('says it in one sentence: %o', (changes, sentence) => {
  expect(describeComparison({ ...comparison, ...changes })).toBe(sentence);
});

test('the verdict alone says where test and interval disagree', () => {
  expect(describeVerdict(comparison)).toBe('faster');
  const unclear = { ...comparison, interval: [0.98, 1.04], verdict: 'no significant difference' } as const;
  expect(describeVerdict({ ...unclear, p: 0.4 })).toBe('no significant difference');
  expect(describeVerdict({ ...unclear, p: 0.001 })).toBe('none: the test and the interval disagree');
});

test.each([
  [99.94, 't(9) = 99.9, p = 1.00'],
  [99.96, 't(9) = 100, p = 1.00'],
  [-0.04, 't(9) = 0.0, p = 1.00'],
  [12_345, 't(9) = 12345, p = 1.00'],
  [Number.MAX_VALUE, 't(9) = 1.8e+308, p = 1.00'],
])('writes t = %d', (t, text) => {
  expect(describeTest({ t, degreesOfFreedom: 9, p: 1 })).toBe(text);
});
