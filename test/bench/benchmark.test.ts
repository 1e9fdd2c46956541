import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { benchModels, roundOrders } from '../../src/bench/benchmark.js';
import { folder } from '../samples/given-files.js';

function gemm(batch: number | 'batch' = 'batch', features = 6): Uint8Array {
  const g = graphBuilder();
  g.output(g.gemm(g.input('x', [batch, features]), { data: normals(1, 'w', 4 * features), dims: [4, features] }));
  return g.bytes();
}

const pair = [
  { name: 'masked', model: gemm() },
  { name: 'compiled', model: gemm() },
];
const three = [{ name: 'dense', model: gemm() }, ...pair];

describe('benchModels', () => {
  test('times every contender once a round and compares every pair', async () => {
    const progress: number[] = [];
    const result = await benchModels(three, { rounds: 5, warmUps: 1, onProgress: (done) => progress.push(done) });
    expect(result).toMatchObject({ provider: 'cpu', threads: 1, rounds: 5, warmUps: 1, shapes: { x: [1, 6] } });
    expect(result.contenders.map(({ name, samplesMs }) => [name, samplesMs.length])).toEqual([
      ['dense', 5],
      ['masked', 5],
      ['compiled', 5],
    ]);
    expect(result.contenders.every(({ samplesMs }) => samplesMs.every((ms) => ms > 0))).toBe(true);
    expect(result.comparisons.map(({ baseline, contender }) => `${baseline} ${contender}`)).toEqual([
      'dense masked',
      'dense compiled',
      'masked compiled',
    ]);
    expect(progress).toEqual([1, 2, 3, 4, 5]);
    expect(result.notes.join()).toMatch(/each sample is the mean of \d+ runs/);
  });

  test('tells throughput, loading time, size and, where asked, memory', async () => {
    const { write } = folder();
    const g = graphBuilder();
    const weights = { data: normals(1, 'w', 2 ** 22), dims: [2048, 2048] };
    g.output(g.op('MatMul', [g.input('x', ['n', 2048]), weights]));
    const bytes = g.bytes();
    const models = [
      { name: 'file', model: write('large.onnx', bytes) },
      { name: 'bytes', model: bytes },
    ];
    const { contenders } = await benchModels(models, { rounds: 2, warmUps: 1, batch: 3, memory: true });
    const [file, other] = contenders;
    for (const { samplesPerSecond = 0, medianMs, loadMs = 0, sizeBytes, p95Ms, p99Ms } of contenders) {
      expect(samplesPerSecond * medianMs).toBeCloseTo(3000, 6);
      expect(loadMs).toBeGreaterThan(0);
      expect(sizeBytes).toBe(bytes.length);
      expect(medianMs <= p95Ms && p95Ms <= p99Ms).toBe(true);
    }
    // The weights alone have 16 MiB; what loading copies meanwhile is up to ONNX Runtime.
    expect(file?.peakMemoryBytes).toBeGreaterThan(2 ** 24);
    expect(file?.peakMemoryBytes).toBeLessThan(2 ** 28);
    expect(other).not.toHaveProperty('peakMemoryBytes');
    expect((await benchModels(models, { rounds: 2, warmUps: 1 })).contenders[0]).not.toHaveProperty('peakMemoryBytes');
  });

  test('keeps what was measured so far, where asked, and throws otherwise', async () => {
    const until = (last: number, options: object) => {
      const controller = new AbortController();
      const onProgress = (done: number) => {
        if (done === last) controller.abort(new Error('enough'));
      };
      return benchModels(pair, { rounds: 9, warmUps: 1, signal: controller.signal, onProgress, ...options });
    };
    const { rounds, contenders, notes } = await until(4, { keepsPartial: true, memory: true });
    expect([rounds, contenders.map(({ samplesMs }) => samplesMs.length)]).toEqual([4, [4, 4]]);
    expect(notes).toContain('interrupted after 4 of 9 rounds');
    await expect(until(4, {})).rejects.toThrow('enough');
    // Two rounds say nothing.
    await expect(until(2, { keepsPartial: true })).rejects.toThrow('enough');
  });

  test('compares with the named baseline only', async () => {
    const { comparisons } = await benchModels(three, { rounds: 2, baseline: 'masked' });
    expect(comparisons.map(({ baseline, contender }) => `${baseline} ${contender}`)).toEqual([
      'masked dense',
      'masked compiled',
    ]);
  });

  test('fits the rounds into the time that they may take, but for the fewest', async () => {
    const { rounds, notes } = await benchModels(pair, { budgetMs: 0, warmUps: 1 });
    expect(rounds).toBe(7);
    expect(notes.join()).toMatch(/7 rounds instead of 31: one takes 0\.0 s/);
    expect((await benchModels(pair, { budgetMs: 60_000, warmUps: 1 })).rounds).toBe(31);
  });

  test('sets a free batch', async () => {
    expect((await benchModels(pair, { rounds: 2, batch: 8 })).shapes).toEqual({ x: [8, 6] });
  });

  test('refuses a batch that the model does not have', async () => {
    const fixed = [{ name: 'masked', model: gemm(1) }];
    await expect(benchModels(fixed, { batch: 8 })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: 'the batch cannot be 8: it is fixed at 1',
    });
    expect((await benchModels(fixed, { rounds: 2, batch: 1 })).comparisons).toEqual([]);
  });

  test('names the contender that does not run where the first one does', async () => {
    const models = [...pair, { name: 'other', model: gemm('batch', 7) }];
    await expect(benchModels(models)).rejects.toMatchObject({
      code: 'E-MODEL-RUNTIME',
      what: 'other does not run at x=1,6, where masked runs',
    });
  });

  test.each([
    [[], {}, 'there is no model to benchmark'],
    [[...pair, ...pair], {}, 'two models of the benchmark are called masked'],
    [pair, { baseline: 'dense' }, 'the baseline dense is none of the models masked, compiled'],
    [pair, { rounds: 1 }, 'a benchmark needs at least 2 rounds, not 1'],
  ])('refuses what makes no sense', async (models, options, message) => {
    await expect(benchModels(models, options)).rejects.toMatchObject({ code: 'E-USAGE', what: message });
  });

  test('stops when told to', async () => {
    await expect(benchModels(pair, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});

describe('roundOrders', () => {
  test('puts every contender at every place equally often', () => {
    const orders = roundOrders(3, 30);
    for (const place of [0, 1, 2]) {
      for (const contender of [0, 1, 2]) expect(orders.filter((order) => order[place] === contender)).toHaveLength(10);
    }
  });

  test('changes who follows whom', () => {
    const followers = new Set(roundOrders(3, 30).map((order) => order[(order.indexOf(0) + 1) % 3]));
    expect(followers.size).toBe(2);
  });
});
