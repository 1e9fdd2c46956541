/** Reading between the points of a cost table, forwards and backwards. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KindCosts, secondsWon, speedupAt, speedupToWin, zerosFor } from '../../src/cost/sparse-cost.js';
import { TABLES } from '../../src/cost/sparse-tables.js';

const costs: KindCosts = {
  denseMacsPerSecond: 1e9,
  speedups: [
    [0.5, 1],
    [0.75, 2],
    [0.9, 4],
  ],
};

test('at the points, between them in time, nothing below, no more above', () => {
  expect(speedupAt(costs, 0.49)).toBeUndefined();
  expect(speedupAt(costs, 0.5)).toBe(1);
  expect(speedupAt(costs, 0.75)).toBeCloseTo(2, 12);
  // Half-way in zeros is half-way in time: (1 + 1/2) / 2 = 3/4.
  expect(speedupAt(costs, 0.625)).toBeCloseTo(4 / 3, 12);
  expect(speedupAt(costs, 0.99)).toBe(4);
  expect(speedupAt({ ...costs, speedups: [[0.3, 2]] }, 0.3)).toBe(2);
});

test('backwards: the first share that is fast enough', () => {
  expect(zerosFor(costs, 0.5)).toBe(0.5);
  expect(zerosFor(costs, 1)).toBe(0.5);
  expect(zerosFor(costs, 4 / 3)).toBeCloseTo(0.625, 12);
  expect(zerosFor(costs, 4)).toBeCloseTo(0.9, 12);
  expect(zerosFor(costs, 4.1)).toBeUndefined();
  // A level stretch: its beginning.
  const level = {
    ...costs,
    speedups: [
      [0.5, 1],
      [0.6, 2],
      [0.8, 2],
      [0.9, 3],
    ] as const,
  };
  expect(zerosFor(level, 2)).toBeCloseTo(0.6, 12);
});

test('forwards and backwards agree, in every table that is shipped', () => {
  const kinds = Object.values(TABLES).flatMap(({ layers }) => Object.values(layers));
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.double({ min: 0, max: 1, noNaN: true }), (kind, share) => {
      const [first = [0, 0], last = [1, 1]] = [kind.speedups[0], kind.speedups.at(-1)];
      const zeros = first[0] + share * (last[0] - first[0]);
      const speedup = speedupAt(kind, zeros) ?? Number.NaN;
      expect(zerosFor(kind, speedup * (1 - 1e-12))).toBeLessThanOrEqual(zeros + 1e-9);
      expect(speedupAt(kind, zerosFor(kind, speedup * (1 - 1e-12)) ?? 0)).toBeCloseTo(speedup, 6);
    }),
  );
});

describe('winning', () => {
  test('a layer has to win more than what two measurements differ by', () => {
    expect(secondsWon(1, 1)).toBeLessThan(0);
    expect(secondsWon(1, 1.1)).toBeLessThan(0);
    expect(secondsWon(1, 1.12)).toBeGreaterThan(0);
    expect(secondsWon(2, 2)).toBeCloseTo(0.8, 12);
  });

  test('and the speed-up that wins so much wins just that', () => {
    for (const seconds of [-0.3, 0, 0.1, 0.8])
      expect(secondsWon(1, speedupToWin(1, seconds) ?? Number.NaN)).toBeCloseTo(seconds, 12);
    expect(speedupToWin(1, 0.9)).toBeUndefined();
    expect(speedupToWin(Number.POSITIVE_INFINITY, 1)).toBeCloseTo(1 / 0.9, 12);
  });
});
