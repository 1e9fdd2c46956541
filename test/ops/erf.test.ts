/**
 * The error function against tabulated values (Abramowitz and Stegun, table 7.1, and its
 * complement).
 */
import { expect, test } from 'vitest';
import { erf } from '../../src/ops/erf.js';

test.each([
  [0, 0],
  [0.5, 0.5204998778130465],
  [1, 0.8427007929497149],
  [2, 0.9953222650189527],
  [2.999, 0.9999777698314002],
  [3, 0.9999779095030014],
  [4, 0.9999999845827421],
  [7, 1],
])('erf(%d)', (x, value) => {
  expect(erf(x)).toBeCloseTo(value, 12);
  expect(erf(-x)).toBeCloseTo(-value, 12);
});

test('ends and holes', () => {
  expect([erf(Infinity), erf(-Infinity), erf(Number.NaN)]).toEqual([1, -1, Number.NaN]);
});
