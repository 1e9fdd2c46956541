/** Cost tables in files, and which table decides. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { LAYER_KINDS, speedupAt } from '../../src/cost/sparse-cost.js';
import { encodeTable, type MeasuredTable, parseTable, readTable } from '../../src/cost/sparse-table-file.js';
import { MACHINES, TABLES } from '../../src/cost/sparse-tables.js';
import { calibratedPath, chooseTable, shippedFor } from '../../src/cost/sparse-target.js';
import type { NativeKernels } from '../../src/runtime/kernels.js';
import type { Machine } from '../../src/runtime/machine.js';

const TABLE: MeasuredTable = {
  name: 'calibrated on a processor',
  machine: { cpu: 'a processor', isa: 'avx2', kernel: 'jit', build: '0123456789ab', onnxruntime: '1.30.0' },
  secondsPerMovedElement: 3e-10,
  layers: {
    conv1x1: {
      denseMacsPerSecond: 5e10,
      speedups: [
        [0.3, 0.7],
        [0.5, 1.25],
        [0.9, 4],
      ],
    },
    conv: { denseMacsPerSecond: 5e10, speedups: [[0.5, 1.25]] },
    matmul: { denseMacsPerSecond: 5e10, speedups: [[0.5, 1.25]] },
  },
};

const KB = 1024;

const HERE: Machine = {
  cpu: 'a processor',
  runtime: '1.30.0',
  kernels: kernelsOf('avx2', 'jit'),
  caches: { firstLevelData: 32 * KB, secondLevel: 512 * KB },
};

function kernelsOf(isa: string, kernel: string, fmaPerCycle?: number): NativeKernels {
  const [fmaPeak, perCycle] = [() => undefined, () => fmaPerCycle];
  return { build: '0123456789ab', isa, kernel, executableMemory: true, fmaPeak, fmaPerCycle: perCycle };
}

/** The text of the table with one place of it changed. */
function changed(place: readonly string[], value: unknown): string {
  const root = JSON.parse(encodeTable(TABLE)) as Record<string, unknown>;
  let at: Record<string, unknown> = root;
  for (const key of place.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[place.at(-1) ?? ''] = value;
  return JSON.stringify(root);
}

describe('files', () => {
  test('are read as they were written, a point on each line', () => {
    const text = encodeTable(TABLE);
    expect(parseTable(text)).toEqual(TABLE);
    expect(text).toContain('\n        [0.3, 0.7],\n        [0.5, 1.25],\n');
  });

  test.each<[string, string | [readonly string[], unknown]]>([
    ['the file is not an object', '[]'],
    ['the file has no format', '{}'],
    ['format is not "prune-compile sparse costs"', [['format'], 'other']],
    ['version is 2, this release reads 1', [['version'], 2]],
    ['the file has an unknown key more', [['more'], 1]],
    ['name is not a string', [['name'], '']],
    ['machine has no cpu', [['machine'], {}]],
    ['machine.isa is not a string', [['machine', 'isa'], 7]],
    ['secondsPerMovedElement is not a number above 0', [['secondsPerMovedElement'], 0]],
    ['secondsPerMovedElement is not a number above 0', [['secondsPerMovedElement'], '1']],
    ['layers has no conv', [['layers', 'conv'], undefined]],
    ['layers has an unknown key gemm', [['layers', 'gemm'], {}]],
    ['layers.conv is not an object', [['layers', 'conv'], null]],
    ['layers.conv.speedups is not a list of points', [['layers', 'conv', 'speedups'], []]],
    ['layers.conv.denseMacsPerSecond is not a number above 0', [['layers', 'conv', 'denseMacsPerSecond'], -1]],
    [
      'layers.conv.speedups[1] is not [a share of zeros',
      [
        ['layers', 'conv', 'speedups'],
        [
          [0.1, 1],
          [2, 2],
        ],
      ],
    ],
    ['layers.conv.speedups[0] is not [a share of zeros', [['layers', 'conv', 'speedups'], [[0.1, 1, 3]]]],
    ['layers.conv.speedups[0] is not a number above 0', [['layers', 'conv', 'speedups'], [[0.1]]]],
    [
      'layers.conv.speedups[1]: shares of zeros have to rise',
      [
        ['layers', 'conv', 'speedups'],
        [
          [0.1, 1],
          [0.1, 2],
        ],
      ],
    ],
    [
      'layers.conv.speedups[1]: speed-ups must not fall',
      [
        ['layers', 'conv', 'speedups'],
        [
          [0.1, 2],
          [0.2, 1],
        ],
      ],
    ],
  ])('%s', (message, how) => {
    expect(() => parseTable(typeof how === 'string' ? how : changed(...how))).toThrow(message);
  });

  test('a file that is named and cannot be used is an error', () => {
    const folder = temporary();
    const path = join(folder, 'costs.json');
    expect(() => chooseTable(path)).toThrow(expect.objectContaining({ code: 'E-INPUT-MISSING' }));
    expect(() => chooseTable(path)).toThrow(
      expect.objectContaining({
        what: `there is no machine and no cost table called ${path}`,
        facts: [
          ['why', 'it is none of avx512, avx512-wide, avx2, baseline, and no file'],
          [
            'try',
            '--sparse-target with one of avx512, avx512-wide, avx2, baseline, or with a file of prune-compile doctor --calibrate',
          ],
        ],
      }),
    );
    expect(() => chooseTable(folder)).toThrow(expect.objectContaining({ code: 'E-INPUT-UNREADABLE' }));
    writeFileSync(path, changed(['layers', 'conv', 'speedups'], [[0.5, 'fast']]));
    expect(() => chooseTable(path)).toThrow(
      expect.objectContaining({
        code: 'E-COST-TABLE',
        what: `${path} is not a cost table of sparse operators`,
        facts: [
          ['why', 'layers.conv.speedups[0] is not a number above 0'],
          ['try', 'prune-compile doctor --calibrate --output FILE makes one on the machine that it is for'],
        ],
      }),
    );
    writeFileSync(path, '{ "format": ');
    expect(() => readTable(path)).toThrow(expect.objectContaining({ code: 'E-COST-TABLE' }));
  });
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A cache folder of its own, with this text where the calibrated table is. */
function withCache(text?: string): string {
  vi.stubEnv('XDG_CACHE_HOME', temporary());
  onTestFinished(() => void vi.unstubAllEnvs());
  const path = calibratedPath();
  if (text !== undefined) {
    mkdirSync(dirname(path));
    writeFileSync(path, text);
  }
  return path;
}

describe('the table that decides', () => {
  test('one that is named, whatever the machine; any file, whatever its machine', () => {
    const unasked = () => {
      throw new Error('nobody needs to know this machine');
    };
    expect(chooseTable('avx512', unasked)).toEqual({ table: TABLES.avx512, from: 'shipped', notes: [] });
    expect(chooseTable('AVX512', unasked).table).toBe(TABLES.avx512);
    expect(chooseTable(TABLE, unasked).table).toBe(TABLE);
    const path = join(temporary(), 'edge.json');
    writeFileSync(path, changed(['machine', 'cpu'], 'another one'));
    expect(chooseTable(path, unasked)).toMatchObject({ table: { name: TABLE.name }, from: path, notes: [] });
  });

  test.each([
    ['avx521', 'avx512'],
    ['AVX-2', 'avx2'],
    ['basline', 'baseline'],
  ])('a mistyped name is answered with the nearest one: %s', (given, near) => {
    expect(() => chooseTable(given)).toThrow(
      expect.objectContaining({
        code: 'E-INPUT-MISSING',
        what: `there is no machine and no cost table called ${given}`,
        facts: expect.arrayContaining([['try', `--sparse-target ${near}`]]),
      }),
    );
  });

  test('a shipped one, and in what the processor is like the one that it was measured on', () => {
    withCache();
    const machine = { ...HERE, kernels: kernelsOf('avx2', 'stream') };
    const likeness = 'avx2, the stream kernel, caches of 32 KB and 512 KB';
    expect(chooseTable(undefined, () => machine)).toEqual({ table: TABLES.avx2, from: 'shipped', likeness, notes: [] });
  });

  test.each<[name: string, isa: string, kernel: string, fmaPerCycle: number | undefined, kilobytes: [number, number]]>([
    ['avx512', 'avx512', 'jit', 1.02, [32, 1024]],
    ['avx512-wide', 'avx512', 'jit', 1.93, [48, 2048]],
    // Of another size, but near.
    ['avx512-wide', 'avx512', 'jit', 2, [48, 1280]],
    ['avx2', 'avx2', 'stream', undefined, [32, 512]],
    ['avx2', 'avx2', 'stream', undefined, [32, 256]],
    ['avx2', 'avx2', 'stream', undefined, [48, 1280]],
    // Two multiply-adds per cycle, with a smaller cache than the wide one has; and a smaller one yet.
    ['baseline', 'avx512', 'jit', 2, [32, 1024]],
    ['baseline', 'avx2', 'stream', undefined, [32, 128]],
    // Emitted code is not allowed.
    ['baseline', 'avx512', 'stream', 1, [32, 1024]],
    ['baseline', 'avx512', 'jit', undefined, [32, 1024]],
    ['baseline', 'sve', 'jit', undefined, [64, 1024]],
  ])('%s for %s, %s, %s multiply-adds, caches %j', (name, isa, kernel, fmaPerCycle, [first, second]) => {
    const caches = { firstLevelData: first * KB, secondLevel: second * KB };
    const shipped = shippedFor({ kernels: kernelsOf(isa, kernel, fmaPerCycle), caches });
    expect(shipped.name).toBe(name);
    expect(shipped.likeness === undefined).toBe(name === 'baseline');
    expect(shipped.why === undefined).toBe(name !== 'baseline');
  });

  test('the baseline where no table fits, and a note with what is unlike', () => {
    withCache();
    const machine = { ...HERE, kernels: kernelsOf('avx512', 'jit', 2), caches: undefined };
    expect(chooseTable(undefined, () => machine)).toEqual({
      table: TABLES.baseline,
      from: 'shipped',
      notes: [
        'no cost table was measured on a processor like this one (avx512, the jit kernel, ' +
          '2 multiply-adds per cycle, caches of unknown size): the cautious table "baseline" decides; ' +
          'prune-compile doctor --calibrate measures it',
      ],
    });
  });

  test('portable code has a table of its own, whatever the caches are', () => {
    expect(shippedFor({ kernels: kernelsOf('baseline', 'stream'), caches: undefined })).toEqual({ name: 'baseline' });
  });

  test('the baseline promises no more than any other table', () => {
    const promises = LAYER_KINDS.flatMap((kind) =>
      TABLES.baseline.layers[kind].speedups.flatMap(([zeros, speedup]) =>
        MACHINES.map((name) => ({ name, kind, zeros, speedup, other: speedupAt(TABLES[name].layers[kind], zeros) })),
      ),
    );
    // Reading between points rounds.
    const less = promises.filter(({ speedup, other = Number.POSITIVE_INFINITY }) => other < speedup - 1e-9);
    expect(less).toEqual([]);
  });

  test('the baseline where there is no library to ask, and a note', () => {
    withCache(encodeTable(TABLE));
    const { table, notes } = chooseTable(undefined, () => ({ ...HERE, kernels: undefined }));
    expect(table).toBe(TABLES.baseline);
    expect(notes).toEqual([
      expect.stringMatching(/^the native library does not load here.*--sparse-target names one$/),
    ]);
  });

  test('a calibrated one of this machine', () => {
    const path = withCache(encodeTable(TABLE));
    expect(chooseTable(undefined, () => HERE)).toEqual({ table: TABLE, from: path, notes: [] });
  });

  test.each([
    ['the processor was other there and is a processor here', changed(['machine', 'cpu'], 'other')],
    ['ONNX Runtime was 1.31.0 there and is 1.30.0 here', changed(['machine', 'onnxruntime'], '1.31.0')],
    ['the kernel was stream there and is jit here', changed(['machine', 'kernel'], 'stream')],
    ['the build of the native library was ff there', changed(['machine', 'build'], 'ff')],
    ['version is 9, this release reads 1', changed(['version'], 9)],
    ['name is not a string', changed(['name'], 3)],
  ])('not one that does not fit: %s', (why, text) => {
    const path = withCache(text);
    const { table, notes } = chooseTable(undefined, () => HERE);
    expect(table).toBe(TABLES.baseline);
    expect(notes).toEqual([expect.stringContaining(`the calibrated table ${path} is not used: ${why}`)]);
  });

  test('a cache folder that is relative is ignored, as the specification has it', () => {
    const file = join('prune-compile', 'sparse-costs.json');
    expect(calibratedPath({ XDG_CACHE_HOME: '/var/cache/x' })).toBe(join('/var/cache/x', file));
    expect(calibratedPath({ XDG_CACHE_HOME: 'here' })).toBe(join(homedir(), '.cache', file));
    expect(calibratedPath({})).toBe(join(homedir(), '.cache', file));
  });
});
