import { expect, it } from 'vitest';
import { describeComparison } from '../../src/bench/describe.js';
import type { Comparison } from '../../src/report/types.js';

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

it.each([
  [{}, '2.09x faster [2.05, 2.12], t(30) = 41.3, p < .001'],
  [
    { speedup: 0.5, interval: [0.4, 0.8], t: -3.21, p: 0.0031, verdict: 'slower' },
    '2.00x slower [1.25, 2.50], t(30) = -3.2, p = .003',
  ],
  [
    { speedup: 1.01, interval: [0.98, 1.03], t: 0.84, p: 0.41, verdict: 'no significant difference' },
    'no significant difference: 1.01x [0.98, 1.03], t(30) = 0.8, p = .41',
  ],
  [
    { speedup: 1.01, interval: [0.98, 1.03], t: 1.97, p: 0.0581, verdict: 'no significant difference' },
    'no significant difference: 1.01x [0.98, 1.03], t(30) = 2.0, p = .058',
  ],
] satisfies [Partial<Comparison>, string][])('says it in one sentence: %o', (changes, sentence) => {
  expect(describeComparison({ ...comparison, ...changes })).toBe(sentence);
});
