/** Caches as Linux lists them: a folder per cache, a file per fact. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cachesOf } from '../../src/runtime/machine.js';

type Cache = readonly [level: string, type: string, size: string];

function listing(caches: readonly Cache[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [index, [level, type, size]] of caches.entries()) {
    const cache = join(folder, `index${index}`);
    mkdirSync(cache);
    for (const [file, text] of Object.entries({ level, type, size })) writeFileSync(join(cache, file), `${text}\n`);
  }
  // Beside the caches there is a file for the power management.
  writeFileSync(join(folder, 'uevent'), '');
  return folder;
}

const CORE: readonly Cache[] = [
  ['1', 'Instruction', '32K'],
  ['1', 'Data', '48K'],
  ['2', 'Unified', '1280K'],
  ['3', 'Unified', '16384K'],
];

test('the sizes that one core has to itself', () => {
  expect(cachesOf(listing(CORE))).toEqual({ firstLevelData: 48 * 1024, secondLevel: 1280 * 1024 });
});

test.each<[string, readonly Cache[]]>([
  ['no second level', CORE.filter(([level]) => level !== '2')],
  ['no data cache', CORE.filter(([, type]) => type !== 'Data')],
  ['a size in other words', CORE.map(([level, type]) => [level, type, '1M'])],
  ['nothing', []],
])('unknown where there is %s', (_, caches) => {
  expect(cachesOf(listing(caches))).toBeUndefined();
});

test('unknown where the system has no such folder', () => {
  expect(cachesOf(join(listing([]), 'absent'))).toBeUndefined();
});
