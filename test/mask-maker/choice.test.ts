/** Options that are unknown or do not fit each other, and what is said of them. */
import { expect, test } from 'vitest';
import { checkChoice, type MakeMasksOptions, parseGranularity } from '../../src/mask-maker/choice.js';
import { failureOf } from '../onnx/failure.js';

const MISTAKES: readonly (readonly [MakeMasksOptions, string])[] = [
  [{ granularity: 'filters' }, 'there is no granularity "filters"'],
  [{ granularity: '4:2' }, 'there is no granularity "4:2"'],
  [{ granularity: '0x4' }, 'there is no granularity "0x4"'],
  [{ ratio: 0 }, 'the ratio cannot be 0'],
  [{ ratio: 1 }, 'the ratio cannot be 1'],
  [{ ratio: Number.NaN }, 'the ratio cannot be NaN'],
  [{ criterion: 'fpgm', granularity: 'kernel' }, 'the criterion fpgm scores filters and cannot be used with kernel'],
  [
    { criterion: 'bn-scale', granularity: 'channel' },
    'the criterion bn-scale scores filters and cannot be used with channel',
  ],
  [{ granularity: '2:4', ratio: 0.5 }, '2:4 determines the ratio itself'],
  [{ granularity: '2:4', scope: 'global' }, '2:4 is the same in every layer: it has no global scope'],
  [{ granularity: 'kernel', groups: 'residual' }, '--groups residual applies to filters or channels, not to kernel'],
  [{ granularity: '4x4', widthMultiple: 8 }, '--width-multiple applies to filters or channels, not to 4x4'],
  [{ widthMultiple: 0 }, 'the width multiple cannot be 0'],
  [{ seed: 0.5 }, 'the seed cannot be 0.5'],
];

test.each(MISTAKES)('%j', (options, what) => {
  expect(failureOf(() => checkChoice(options))).toMatchObject({ code: 'E-USAGE', what });
});

test('granularities', () => {
  expect(parseGranularity('channel')).toEqual({ kind: 'channel' });
  expect(parseGranularity('16x1')).toEqual({ kind: 'block', rows: 16, columns: 1 });
  expect(parseGranularity('block 2x3')).toEqual({ kind: 'block', rows: 2, columns: 3 });
  expect(parseGranularity('2:4')).toEqual({ kind: 'pattern', keep: 2, of: 4 });
  for (const text of ['', '4', '4x', 'x4', '1:1', '-1:2', '4x4x4', '99999x1'])
    expect(parseGranularity(text)).toBeUndefined();
});
