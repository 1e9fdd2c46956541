import { describe, expect, test } from 'vitest';
import type { BenchOptions } from '../../src/bench/benchmark.js';
import { benchCompiled, contenderNames, withLaunches } from '../../src/cli/commands/bench.js';
import type { CompiledOutput } from '../../src/cli/compiled-output.js';
import type { Context } from '../../src/cli/context.js';
import { Interruption } from '../../src/cli/io.js';
import type { Compiled } from '../../src/compile.js';
import { nearestNames } from '../../src/nearest.js';
import type { Verification } from '../../src/verify/verification.js';
import { BENCHMARK, DIFFERENT, REPORT, VERIFICATION } from '../report/sample.js';
import { run } from './run-command.js';

const INSPECTION = {
  model: 'a.onnx',
  opset: 17,
  figures: REPORT.before,
  layers: [],
  removableChannels: 0,
  unknownOps: [],
  remarks: [],
  unreadWeights: [],
  subgraphLayers: 0,
};

test('inspect', async () => {
  const engine = { inspectModel: () => Promise.resolve(INSPECTION) };
  const text = await run(['inspect', 'a.onnx'], { engine });
  expect([text.code, text.stderr]).toEqual([0, '']);
  expect(text.stdout).toMatch(/^a\.onnx: opset 17/);
  expect(JSON.parse((await run(['inspect', 'a.onnx', '--json'], { engine })).stdout)).toEqual({
    schema: 1,
    ...INSPECTION,
  });
});

test('why', async () => {
  const explanation = {
    node: '/conv1',
    channels: 2,
    groups: [{ channels: [0, 1], state: 'removable' as const, chain: [] }],
  };
  const engine = { explainNode: () => Promise.resolve(explanation) };
  expect((await run(['why', 'a.onnx', '/conv1'], { engine })).stdout).toBe(
    '/conv1: 2 of 2 channels can be removed\nchannels 0, 1 (2 of 2) can be removed\n',
  );
  expect(JSON.parse((await run(['why', 'a.onnx', '/conv1', '--json'], { engine })).stdout)).toEqual({
    schema: 1,
    model: 'a.onnx',
    ...explanation,
  });
});

test('verify: 0 when equal, 1 when not', async () => {
  const equal = await run(['verify', 'a.onnx', 'b.onnx', '-q']);
  expect([equal.code, equal.stderr]).toEqual([0, '']);
  const differ = await run(['verify', 'a.onnx', 'b.onnx', '-q'], {
    engine: { verifyModels: () => Promise.resolve(DIFFERENT) },
  });
  expect(differ.code).toBe(1);
  expect(differ.stdout).toContain('OUTPUTS DIFFER');
  expect(differ.stderr).toBe('prune-compile: b.onnx does not compute what a.onnx computes    [E-OUTPUTS-DIFFER]\n');
  const json = await run(['verify', 'a.onnx', 'b.onnx', '--json']);
  expect(JSON.parse(json.stdout)).toEqual({
    schema: 1,
    reference: 'a.onnx',
    candidate: 'b.onnx',
    verification: VERIFICATION,
  });
});

test('bench', async () => {
  const seen: unknown[] = [];
  const engine = {
    benchModels: (
      contenders: readonly { name: string }[],
      { baseline }: { readonly baseline?: string | undefined },
    ) => {
      seen.push([contenders, baseline]);
      return Promise.resolve(BENCHMARK);
    },
  };
  const { code, stdout } = await run(['bench', 'x/a.onnx', 'x/b.onnx', '--json'], { engine });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ schema: 1, benchmarks: [BENCHMARK] });
  expect(seen).toEqual([
    [
      [
        { name: 'a.onnx', model: 'x/a.onnx' },
        { name: 'b.onnx', model: 'x/b.onnx' },
      ],
      'a.onnx',
    ],
  ]);
});

test('contenders are told apart', () => {
  expect(contenderNames(['x/a.onnx', 'y/b.onnx'])).toEqual(['a.onnx', 'b.onnx']);
  expect(contenderNames(['x/a.onnx', 'y/a.onnx'])).toEqual(['x/a.onnx', 'y/a.onnx']);
  expect(contenderNames(['a.onnx', 'a.onnx'])).toEqual(['a.onnx #1', 'a.onnx #2']);
});

test('nearest names', () => {
  expect(nearestNames('inpsect', ['inspect', 'bench', 'why'])).toEqual(['inspect']);
  expect(nearestNames('xyz', ['inspect', 'bench', 'why'])).toEqual([]);
});

describe('options of providers', () => {
  const asked: unknown[] = [];
  const engine = {
    benchModels: (_models: unknown, { provider, providerOptions }: BenchOptions) => {
      asked.push([provider, [...(providerOptions ?? [])]]);
      return Promise.resolve({ ...BENCHMARK, provider: provider ?? 'cpu', tf32: false });
    },
  };

  test('reach the benchmark, whose table says TF32', async () => {
    const words = ['--providers', 'cuda', '--provider-option', 'use_tf32=0', '--provider-option=prefer_nhwc=1'];
    const { code, stdout } = await run(['bench', 'a.onnx', 'b.onnx', '-q', ...words], { engine });
    expect([code, asked]).toEqual([
      0,
      [
        [
          'cuda',
          [
            ['use_tf32', '0'],
            ['prefer_nhwc', '1'],
          ],
        ],
      ],
    ]);
    expect(stdout).toMatch(/^CUDA, TF32 off, /);
  });

  test.each([
    [['bench', 'a.onnx', '--provider-option', 'use_tf32=0'], 'use_tf32 is for cuda, and the providers are cpu'],
    [['a.onnx', '--provider-option', 'trt_x=1'], 'trt_x is for tensorrt, and the providers are cpu'],
    [['verify', 'a.onnx', 'b.onnx', '--provider-option', 'tf32'], '--provider-option takes the name of an option'],
  ])('%j is refused', async (words, said) => {
    const { code, stderr } = await run(words);
    expect([code, stderr.includes(said)]).toEqual([2, true]);
  });
});

test('verify --providers compares there, and the CPU only where it is named', async () => {
  const { code, stdout } = await run(['verify', 'a.onnx', 'b.onnx', '-q', '--providers', 'cuda']);
  expect([code, stdout.split('\n')[0]]).toEqual([0, 'a.onnx and b.onnx, on CUDA']);
  const both = await run(['verify', 'a.onnx', 'b.onnx', '--json', '--providers', 'cpu,cuda']);
  const { verifications } = JSON.parse(both.stdout) as { verifications: Verification[] };
  expect(verifications.map(({ provider }) => provider)).toEqual([undefined, 'cuda']);
  const engine = {
    verifyOnProvider: () => Promise.resolve({ ...VERIFICATION, equal: false, provider: 'cuda' as const }),
  };
  const differ = await run(['verify', 'a.onnx', 'b.onnx', '-q', '--providers', 'cuda'], { engine });
  expect([differ.code, differ.stderr]).toEqual([
    1,
    expect.stringContaining('b.onnx does not compute what a.onnx computes on cuda'),
  ]);
});

describe('batches', () => {
  const batchesOf = async (words: readonly string[], hasOpenBatch: boolean) => {
    const batches: unknown[] = [];
    const engine = {
      benchModels: (_models: unknown, { provider = 'cpu', batch }: BenchOptions) => {
        batches.push(batch);
        return Promise.resolve({ ...BENCHMARK, provider, ...(hasOpenBatch && { hasOpenBatch: true as const }) });
      },
    };
    expect((await run(['bench', 'a.onnx', '-q', ...words], { engine })).code).toBe(0);
    return batches;
  };

  test('a card is measured at three, where the models leave it open and none was named', async () => {
    expect(await batchesOf(['--providers', 'cuda'], true)).toEqual([undefined, 8, 32]);
    expect(await batchesOf(['--providers', 'cuda'], false)).toEqual([undefined]);
    expect(await batchesOf(['--providers', 'cuda', '--batch', '4'], true)).toEqual([4]);
    expect(await batchesOf([], true)).toEqual([undefined]);
  });

  test('Ctrl-C during the second keeps the first', async () => {
    const controller = new AbortController();
    const engine = {
      benchModels: (_models: unknown, { provider = 'cpu', batch }: BenchOptions) => {
        if (batch !== undefined) controller.abort(new Interruption('SIGINT'));
        if (controller.signal.aborted) return Promise.reject(controller.signal.reason as Interruption);
        return Promise.resolve({ ...BENCHMARK, provider, hasOpenBatch: true as const });
      },
    };
    const words = ['bench', 'a.onnx', '--json', '--providers', 'cuda'];
    const { code, stdout } = await run(words, { engine, signal: controller.signal });
    expect([code, (JSON.parse(stdout) as { benchmarks: unknown[] }).benchmarks.length]).toEqual([130, 1]);
  });
});

test('less work that is no faster on a card is bound by launches', () => {
  const [comparison] = BENCHMARK.comparisons;
  if (comparison === undefined) throw new Error('the sample has a comparison');
  const on = (provider: 'cpu' | 'cuda', verdict: 'faster' | 'no significant difference') =>
    withLaunches(
      {
        ...BENCHMARK,
        provider,
        notes: [],
        comparisons: [{ ...comparison, baseline: 'masked', contender: 'compiled', verdict }],
      },
      100,
      45,
    ).notes;
  expect(on('cuda', 'no significant difference')).toEqual([
    expect.stringMatching(/^bound by launches: 55 % less multiply-accumulates are not faster here/),
  ]);
  expect(on('cuda', 'faster')).toEqual([]);
  expect(on('cpu', 'no significant difference')).toEqual([]);
});

test('sparse operators of a model that is measured on a card run on the processor, which is said', async () => {
  const of = async (sparse: boolean) => {
    const { sparse: _sparse, ...rest } = REPORT;
    const report = sparse ? { ...REPORT, sparse: { layers: 1, decided: [], libraryFound: true } } : rest;
    const compiled = { report, masked: () => 'masked' } as unknown as Compiled;
    const context = {
      engine: {
        denseModel: () => Promise.resolve(Buffer.from('dense')),
        benchModels: () => Promise.resolve({ ...BENCHMARK, provider: 'cuda' as const, notes: [] }),
      },
      io: { signal: new AbortController().signal },
      options: { providers: ['cuda'] },
      steps: { run: (_step: string, work: (progress: () => void) => unknown) => work(() => undefined) },
    } as unknown as Context;
    const found = await benchCompiled(compiled, 'model', { source: 'out' } as unknown as CompiledOutput, context);
    return found.flatMap(({ notes }) => notes).filter((note) => note.startsWith('sparse operators'));
  };
  expect(await of(true)).toEqual([expect.stringMatching(/run on the CPU.* --structured alone/)]);
  expect(await of(false)).toEqual([]);
});
