import { expect, test } from 'vitest';
import * as numbers from '../../src/report/numbers.js';

test.each([
  [0, '0'],
  [999, '999'],
  [26_560, '26 560'],
  [1_234_567, '1 234 567'],
  [-9216, '-9 216'],
])('integer %d', (value, text) => expect(numbers.formatInteger(value)).toBe(text));

test.each([
  [999_994, '999 994'],
  [999_999, '1.00 M'],
  [25_557_032, '25.56 M'],
  [999_999_999, '1.00 G'],
  [4.089e9, '4.09 G'],
  [1.5e12, '1.50 T'],
])('count %d', (value, text) => expect(numbers.formatCount(value)).toBe(text));

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [999_999, '1.0 MB'],
  [102_500_000, '102.5 MB'],
  [2_300_000_000, '2.3 GB'],
])('bytes %d', (value, text) => expect(numbers.formatBytes(value)).toBe(text));

test.each([
  [0.12345, '0.123 ms'],
  [9.999, '10.0 ms'],
  [36.1, '36.1 ms'],
  [99.96, '100 ms'],
  [1204.4, '1 204 ms'],
  [Number.NaN, '?'],
])('ms %d', (value, text) => expect(numbers.formatMs(value)).toBe(text));

test.each([
  [100, 43.9, '-56.1 %'],
  [100, 112, '+12.0 %'],
  [100_000, 99_999, '0.0 %'],
  [0, 0, '0.0 %'],
  [0, 5, ''],
])('change from %d to %d', (before, after, text) => expect(numbers.formatChange(before, after)).toBe(text));

test.each([
  [0, '0'],
  [3.14e-7, '3.1e-7'],
  [0.314, '0.31'],
  [Number.NaN, 'not a number'],
  [Number.POSITIVE_INFINITY, 'infinite'],
])('difference %d', (value, text) => expect(numbers.formatDifference(value)).toBe(text));
