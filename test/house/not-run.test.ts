/** What the end of a run says of tests that were skipped. */
import { expect, test } from 'vitest';
import { needs } from '../support/needs.js';
import { notRun } from '../support/not-run.js';

type Skipped = Parameters<typeof notRun>[0][number];

const skipped = (meta: ReturnType<Skipped['meta']>, note?: string): Skipped => ({
  meta: () => meta,
  result: () => ({ state: 'skipped', note, errors: undefined }),
});

const library = { present: false, missing: 'the library is not built', remedy: 'npm run build' };
const python = { present: false, missing: 'there is no Python', remedy: 'npm run python' };
const disk = { present: true, missing: 'there is no disk', remedy: 'buy one' };

test('a test runs where nothing is missing', () => {
  expect(needs(disk)).toEqual({ skip: false, meta: { lacks: [] } });
  expect(needs(disk, python).skip).toBe(true);
});

test('each thing that is missing is named once, with the tests that need it and the command that helps', () => {
  const both = skipped(needs(library, disk, python).meta ?? {});
  expect(notRun([skipped(needs(library).meta ?? {}), both, skipped({}, 'no CMake'), skipped({})])).toBe(
    [
      'Not run: 4 tests',
      '  2 tests: the library is not built',
      '    to run them: npm run build',
      '  1 test: there is no Python',
      '    to run them: npm run python',
      '  1 test: no CMake',
      '  1 test: left out by a filter or marked as skipped',
      '',
    ].join('\n'),
  );
});

test('nothing is said where all were run', () => expect(notRun([])).toBe(''));
