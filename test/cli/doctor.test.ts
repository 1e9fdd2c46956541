/**
 * The doctor: its words and its JSON for a made-up machine, what it finds without the library, and
 * a calibration that is then used.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { CostTable } from '../../src/cost/sparse-cost.js';
import { encodeTable, type MeasuredTable, parseTable } from '../../src/cost/sparse-table-file.js';
import { calibratedPath, chooseTable } from '../../src/cost/sparse-target.js';
import { notFalling } from '../../src/calibrate/calibrate.js';
import { ENGINE } from '../../src/cli/engine.js';
import type { Diagnosis } from '../../src/doctor.js';
import type { CompileReport } from '../../src/report/types.js';
import { kernelsPath, unheededSettings } from '../../src/runtime/kernels.js';
import { modelFolder, run } from './run-command.js';
import { isBuilt, needsLibrary } from '../support/needs.js';

/** One convolution, half of its weights zero. */
function layer(): Uint8Array {
  const g = graphBuilder();
  const weights = { data: Array.from({ length: 256 }, (_, at) => at % 2), dims: [16, 16, 1, 1] };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 16, 8, 8]), weights)]));
  return g.bytes();
}

const HEALTHY: Diagnosis = {
  tool: { name: 'prune-compile', version: '1.2.3' },
  node: 'v22.1.0',
  platform: 'linux x64',
  runtime: {
    version: '1.30.0',
    providers: [
      { name: 'cpu', bundled: true, works: true },
      { name: 'cuda', bundled: false, works: false, why: 'Failed to load shared library' },
    ],
  },
  cpu: { model: 'A Processor', cores: 8, instructionSets: ['avx2', 'fma'] },
  kernels: {
    path: '/lib/kernels.so',
    found: true,
    loads: true,
    build: '0123456789ab',
    isa: 'avx2',
    kernel: 'jit',
    executableMemory: true,
  },
  costTable: { name: 'avx2', from: 'shipped', notes: ['a note'] },
  missing: [{ what: 'the execution provider cuda', get: 'npm rebuild' }],
};

const diagnoses = (diagnosis: Diagnosis) => ({ engine: { diagnose: () => Promise.resolve(diagnosis) } });

describe('what is here', () => {
  test('in words', async () => {
    const { code, stdout } = await run(['doctor', '-q'], diagnoses(HEALTHY));
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'prune-compile     1.2.3, Node 22.1.0, linux x64',
        'processor         A Processor, 8 cores',
        '  instructions    avx2 fma',
        'ONNX Runtime      1.30.0',
        '  cpu             works',
        '  cuda            not bundled: Failed to load shared library',
        'sparse operators  work',
        '  library         /lib/kernels.so (build 0123456789ab)',
        '  run             code made for each layer (jit), avx2; memory for code is',
        '                  allowed',
        '  cost table      avx2 (shipped)',
        '  note            a note',
        '',
        'What is missing, and how to get it:',
        '- the execution provider cuda: npm rebuild',
        '',
      ].join('\n'),
    );
  });

  test('as JSON; what is missing is no failure', async () => {
    const kernels = { path: '/lib/kernels.so', found: false, loads: false, why: 'it is not there' };
    const { code, stdout, stderr } = await run(['doctor', '--json'], diagnoses({ ...HEALTHY, kernels }));
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({ schema: 1, ...HEALTHY, kernels });
    const told = await run(['doctor', '-q'], diagnoses({ ...HEALTHY, kernels }));
    expect(told.stdout).toContain('sparse operators  do not work: their native library is not there\n');
    const stale = { ...kernels, found: true, why: 'it has no version, unlike the libraries of this package' };
    expect(
      (await run(['doctor', '-q'], diagnoses({ ...HEALTHY, kernels: stale }))).stdout.replace(/\s+/g, ' '),
    ).toContain('sparse operators do not work: their native library cannot be used: it has no version');
  });

  test('it takes no model, and writes nothing without --calibrate', async () => {
    expect((await run(['doctor', 'model.onnx'])).stderr).toBe(
      'prune-compile: doctor takes options only, but got model.onnx    [E-USAGE]\n  try    prune-compile doctor\n  help   prune-compile doctor --help\n',
    );
    expect((await run(['doctor', '--output', 'x.json'])).stderr).toContain('--output was given');
    expect((await run(['doctor', '--help'])).stdout).toMatch(/^Usage: prune-compile doctor \[options\]\n/);
  });

  test('of this machine', async () => {
    const { code, stdout } = await run(['doctor', '--json'], { engine: ENGINE });
    expect(code).toBe(0);
    const found = JSON.parse(stdout) as Diagnosis;
    expect(found.runtime.providers.find(({ name }) => name === 'cpu')).toEqual({
      name: 'cpu',
      bundled: true,
      works: true,
    });
    expect(found.runtime.providers.map(({ name }) => name)).toEqual(['cpu', 'webgpu', 'cuda', 'tensorrt']);
    expect(found.kernels).toMatchObject({ path: kernelsPath(), found: isBuilt });
    expect(found.costTable.from).toBe('shipped');
    for (const { get } of found.missing) expect(get).not.toBe('');
    if (found.kernels.loads) {
      expect(['avx512', 'avx2', 'baseline']).toContain(found.kernels.isa);
      expect(['jit', 'stream']).toContain(found.kernels.kernel);
      expect(found.missing.map(({ what }) => what)).toContain('a cost table measured on this machine');
    }
  });
});

test(
  'variables of the native library that it does not heed are told, by doctor and by --sparse',
  needsLibrary,
  async () => {
    vi.stubEnv('PRUNE_COMPILE_ISA', 'neon');
    vi.stubEnv('PRUNE_COMPILE_KERNEL', 'Stream');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const { stdout } = await run(['doctor', '--json'], { engine: ENGINE });
    const { kernels, costTable } = JSON.parse(stdout) as Diagnosis;
    const notes = [
      `PRUNE_COMPILE_ISA=neon is ignored: neon is none of avx512, avx2, baseline; ${kernels.isa ?? ''} is used`,
      `PRUNE_COMPILE_KERNEL=Stream is ignored: Stream is none of jit, stream; ${kernels.kernel ?? ''} is used`,
    ];
    expect(costTable.notes).toEqual(notes);
    const { model, at } = modelFolder();
    writeFileSync(model, layer());
    const compiled = await run([model, '-o', at('out.onnx'), '--sparse', '--json'], { engine: ENGINE });
    const { remarks } = JSON.parse(compiled.stdout) as CompileReport;
    expect(remarks.filter(({ kind }) => kind === 'note').map(({ message }) => message)).toEqual(
      expect.arrayContaining(notes),
    );
  },
);

test('what is heeded, or not set, is not told', () => {
  const kernels = { isa: 'avx2', kernel: 'stream' };
  expect(unheededSettings(kernels, {})).toEqual([]);
  expect(unheededSettings(kernels, { PRUNE_COMPILE_ISA: '', PRUNE_COMPILE_KERNEL: 'stream' })).toEqual([]);
  expect(unheededSettings(kernels, { PRUNE_COMPILE_ISA: 'avx512', PRUNE_COMPILE_KERNEL: 'jit' })).toEqual([
    'PRUNE_COMPILE_ISA=avx512 is ignored: avx512 is not available here; avx2 is used',
    'PRUNE_COMPILE_KERNEL=jit is ignored: jit is not available here; stream is used',
  ]);
});

test('variables of the native library are no options', async () => {
  const { code } = await run(['doctor', '-q'], {
    ...diagnoses(HEALTHY),
    env: { PRUNE_COMPILE_ISA: 'avx2', PRUNE_COMPILE_KERNEL: 'stream' },
  });
  expect(code).toBe(0);
});

describe('calibration', () => {
  const layers: CostTable['layers'] = {
    conv1x1: {
      denseMacsPerSecond: 5e10,
      speedups: [
        [0.5, 1.25],
        [0.9, 4],
      ],
    },
    conv: {
      denseMacsPerSecond: 5e10,
      speedups: [
        [0.5, 1.2],
        [0.9, 3.5],
      ],
    },
    matmul: {
      denseMacsPerSecond: 5e10,
      speedups: [
        [0.5, 1.1],
        [0.9, 3],
      ],
    },
  };
  const table: MeasuredTable = {
    name: 'calibrated on A Processor',
    machine: { cpu: 'A Processor', isa: 'avx2', kernel: 'jit', build: 'ab', onnxruntime: '1.30.0' },
    secondsPerMovedElement: 3.5e-10,
    layers,
  };
  const calibrated = (path: string) => ({
    engine: {
      calibrate: () => Promise.resolve({ table, notes: ['a note'], text: encodeTable(table), path }),
    },
  });

  test('goes where it is looked for, into a folder that is made, or where --output says', async () => {
    const path = modelFolder().at('cache/prune-compile/costs.json');
    const { code, stdout } = await run(['doctor', '--calibrate', '-q'], calibrated(path));
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, 9)).toEqual([
      "calibrated on A Processor: times as fast as ONNX Runtime's dense kernels, one",
      'thread, by share of zeros',
      'zeros                50 %   90 %',
      '1x1 convolution      1.25   4.00',
      'larger kernels       1.20   3.50',
      'MatMul               1.10   3.00',
      'moving data       0.35 ns an element',
      '',
      'a note',
    ]);
    expect(stdout.replace(/\s+/g, ' ')).toContain(`--sparse decides by ${path} from now on`);
    expect(parseTable(readFileSync(path, 'utf8'))).toEqual(table);
    expect(readdirSync(dirname(path))).toEqual(['costs.json']);
  });

  test('is written as a whole or not at all', async () => {
    const { folder, at } = modelFolder();
    const named = at('edge.json');
    const { stdout } = await run(['doctor', '--calibrate', '--json', '--output', named], calibrated(at('unused')));
    expect(JSON.parse(stdout)).toEqual({ schema: 1, output: named, table, notes: ['a note'] });
    expect(parseTable(readFileSync(named, 'utf8'))).toEqual(table);
    expect(readdirSync(folder).toSorted()).toEqual(['edge.json', 'model.onnx']);
    expect((await run(['doctor', '--calibrate', '-o', '-', '-q'], calibrated(at('unused')))).stdout).toBe(
      encodeTable(table),
    );
    const { code, stderr } = await run(['doctor', '--calibrate', '-o', at('no/such/x.json'), '-q'], calibrated(named));
    expect(stderr).toContain('E-OUTPUT-UNWRITABLE');
    expect(code).toBe(2);
  });

  test('figures that fall with more zeros are taken for the lower ones', () => {
    expect(
      notFalling([
        [0.3, 0.7],
        [0.5, 1.3],
        [0.8, 1.2],
        [0.9, 2.004],
      ]),
    ).toEqual([
      [0.3, 0.7],
      [0.5, 1.2],
      [0.8, 1.2],
      [0.9, 2],
    ]);
  });

  test('measures for real, in a few rounds, and decides from then on', needsLibrary, async () => {
    const cache = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
    vi.stubEnv('XDG_CACHE_HOME', cache);
    onTestFinished(() => {
      vi.unstubAllEnvs();
      rmSync(cache, { recursive: true, force: true });
    });
    const { code, stderr } = await run(['doctor', '--calibrate', '--runs', '3', '-q'], { engine: ENGINE });
    expect(code, stderr).toBe(0);
    const path = calibratedPath();
    expect(readdirSync(dirname(path))).toEqual(['sparse-costs.json']);
    const measured = parseTable(readFileSync(path, 'utf8'));
    expect(measured.name).toBe(`calibrated on ${measured.machine.cpu}`);
    expect(chooseTable()).toEqual({ table: measured, from: path, notes: [] });
    const { model, at } = modelFolder();
    writeFileSync(model, layer());
    const compiled = await run([model, '-o', at('out.onnx'), '--sparse', '--json'], { engine: ENGINE });
    expect(compiled.code, compiled.stderr).toBe(0);
    const { remarks } = JSON.parse(compiled.stdout) as CompileReport;
    expect(remarks[0]?.message).toBe(`layers were chosen by the cost table "${measured.name}" (docs/sparse.md)`);
    const { stdout } = await run(['doctor', '--json'], { engine: ENGINE });
    expect(JSON.parse(stdout)).toMatchObject({ costTable: { name: measured.name, from: path, notes: [] } });
  });
});
