/** Points of small networks: the same set however they were come by; and what a point may lack. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { ErrorCode } from '../../src/errors.js';
import { combined, countMissing } from '../../src/exploration/combine.js';
import { explore } from '../../src/explore/explore.js';
import type { Exploration } from '../../src/exploration/exploration.js';
import { readExploration } from '../../src/exploration/file.js';
import type { ExploreOptions } from '../../src/explore/settings.js';
import { renderJson } from '../../src/report/json.js';
import { plainNetwork, residualNetwork } from '../mask-maker/networks.js';
import { folder } from '../samples/given-files.js';
import { needsLibrary } from '../support/needs.js';

const GRID: ExploreOptions = {
  granularities: ['filter'],
  ratios: [0.25, 0.5, 0.75],
  criteria: ['l1', 'l2'],
  rounds: 3,
};

/** What does not depend on the clock. */
function facts({ points }: Exploration) {
  return points.map(({ seconds: _seconds, timing, ...others }) => ({ ...others, isTimed: timing !== undefined }));
}

const code = (wanted: ErrorCode): unknown => expect.objectContaining({ code: wanted });

test('every point is compiled, equal and timed; the masked share and what is left are told', async () => {
  const steps: string[] = [];
  const progress: string[] = [];
  const found = await explore(residualNetwork(), {
    ...GRID,
    groups: 'residual',
    onPoint: (_, { point, done, total }) => steps.push(`${done}/${total} ${point.ratio} ${point.criterion}`),
    onProgress: (done, total) => progress.push(`${done}/${total}`),
  });
  expect(steps).toEqual(['1/6 0.5 l1', '2/6 0.5 l2', '3/6 0.25 l1', '4/6 0.25 l2', '5/6 0.75 l1', '6/6 0.75 l2']);
  expect(progress).toEqual(['0/6', '1/6', '2/6', '3/6', '4/6', '5/6', '6/6']);
  expect(found.points.map(({ criterion, ratio }) => [criterion, ratio])).toEqual([
    ['l1', 0.25],
    ['l1', 0.5],
    ['l1', 0.75],
    ['l2', 0.25],
    ['l2', 0.5],
    ['l2', 0.75],
  ]);
  for (const { equal, timing, zeros = 0, ratio, problem } of found.points) {
    expect([equal, problem, timing?.rounds]).toEqual([true, undefined, 3]);
    expect(zeros).toBeCloseTo(ratio, 1);
  }
  const macs = found.points.slice(0, 3).map((point) => point.macs ?? 0);
  expect(macs).toEqual(macs.toSorted((a, b) => b - a));
  expect(found.dense).toMatchObject({ parameters: 3176, macs: 105_528 });
  expect(found.conclusions.payoffs.map(({ measured }) => measured)).toEqual([
    [0.25, 0.5, 0.75],
    [0.25, 0.5, 0.75],
  ]);
  expect(countMissing(found)).toBe(0);
});

test('a budget ends it after a point, and it goes on; parts make the same whole', async () => {
  const model = plainNetwork();
  const whole = await explore(model, GRID);
  let found = await explore(model, { ...GRID, budgetMs: 1 });
  expect([found.points.length, countMissing(found)]).toEqual([1, 5]);
  found = await explore(model, { ...GRID, known: found, budgetMs: 1 });
  expect([found.points.length, countMissing(found)]).toEqual([2, 4]);
  found = await explore(model, { ...GRID, known: found });
  expect(facts(found)).toEqual(facts(whole));

  const parts = await Promise.all([1, 2].map((index) => explore(model, { ...GRID, shard: { index, count: 2 } })));
  expect(parts.map(({ points }) => points.length)).toEqual([3, 3]);
  const merged = combined(parts.map((exploration, at) => ({ name: `part ${at}`, exploration })));
  expect(facts(merged)).toEqual(facts(whole));
  expect([merged.shard, countMissing(merged), merged.int8 === undefined]).toEqual([undefined, 0, false]);
});

test('what is known is not measured again; a larger grid adds to it', async () => {
  const model = plainNetwork();
  const first = await explore(model, { ...GRID, ratios: [0.5], criteria: ['l1'] });
  const second = await explore(model, { ...GRID, criteria: ['l1'], known: first });
  expect(second.points.find(({ ratio }) => ratio === 0.5)).toEqual(first.points[0]);
  expect(second.points.map(({ ratio }) => ratio)).toEqual([0.25, 0.5, 0.75]);
  const again = await explore(model, { ...GRID, ratios: [0.75], criteria: ['l1'], known: second });
  expect(again.points).toEqual(second.points);
});

test('other models and other settings do not belong together', async () => {
  const known = await explore(plainNetwork(), { ...GRID, ratios: [0.5], criteria: ['l1'] });
  await expect(explore(residualNetwork(), { ...GRID, known })).rejects.toEqual(code('E-EXPLORATION'));
  await expect(explore(plainNetwork(), { ...GRID, threads: 2, known })).rejects.toThrow('settings differ: threads');
  expect(() =>
    combined([
      { name: 'a.json', exploration: known },
      { name: 'b.json', exploration: { ...known, settings: { ...known.settings, seed: 7 } } },
    ]),
  ).toThrow('a.json and b.json do not belong together');
});

describe('what a point may lack', () => {
  test('masks that cannot be made are told there, and the others go on', async () => {
    const found = await explore(plainNetwork(), { ...GRID, ratios: [0.5], criteria: ['bn-scale', 'l1'] });
    expect(found.points.map(({ criterion, problem, equal }) => [criterion, problem?.code, equal])).toEqual([
      ['bn-scale', 'E-USAGE', undefined],
      ['l1', undefined, true],
    ]);
    // It is tried again.
    const tried: string[] = [];
    const options: ExploreOptions = { ...GRID, ratios: [0.5], criteria: ['bn-scale', 'l1'], known: found };
    await explore(plainNetwork(), { ...options, onPoint: (_, { point }) => tried.push(point.criterion) });
    expect(tried).toEqual(['bn-scale']);
  });

  test('scattered zeros become sparse operators', needsLibrary, async () => {
    const found = await explore(residualNetwork(), {
      granularities: ['unstructured', '2:4'],
      ratios: [0.9],
      rounds: 3,
      groups: 'residual',
      widthMultiple: 4,
      scope: 'global',
    });
    expect(found.points.map(({ granularity, ratio, way, equal }) => [granularity, ratio, way, equal])).toEqual([
      ['unstructured', 0.9, 'sparse', true],
      ['2:4', 0.5, 'sparse', true],
    ]);
  });

  test('dense int8 where all operators are known, else the reason', async () => {
    const one = { ...GRID, ratios: [0.5], criteria: ['l1'] } as const;
    const g = graphBuilder();
    const x = g.relu(
      g.conv(
        g.input('x', [1, 3, 8, 8]),
        { data: Array.from({ length: 216 }, (_, at) => (at % 7) - 3), dims: [8, 3, 3, 3] },
        { pads: 1 },
      ),
    );
    g.output(
      g.conv(x, { data: Array.from({ length: 32 }, (_, at) => (at % 5) - 2), dims: [4, 8, 1, 1] }),
      [1, 4, 8, 8],
    );
    const { int8 } = await explore(g.bytes(), one);
    expect(int8).toMatchObject({ timing: { rounds: 3 } });
    const wave = graphBuilder();
    const y = wave.op(
      'Sin',
      [
        wave.conv(
          wave.input('x', [1, 3, 8, 8]),
          { data: Array.from({ length: 216 }, (_, at) => (at % 7) - 3), dims: [8, 3, 3, 3] },
          { pads: 1 },
        ),
      ],
      {},
      { name: 'wave' },
    );
    wave.output(
      wave.conv(y, { data: Array.from({ length: 32 }, (_, at) => (at % 5) - 2), dims: [4, 8, 1, 1] }),
      [1, 4, 8, 8],
    );
    expect((await explore(wave.bytes(), one)).int8).toEqual({ problem: 'wave (Sin) cannot be quantised here' });
  });
});

describe('evaluate', () => {
  const one = { ...GRID, ratios: [0.5, 0.75], criteria: ['l1'] } as const;

  test('the last number that the command prints, of the dense model and of every compiled one', async () => {
    const { path, write } = folder();
    const model = write('m.onnx', plainNetwork());
    // As good as it is large.
    const evaluate = 'echo "of 100: $(wc -c < {})"';
    const found = await explore(model, { ...one, evaluate });
    expect(found.dense?.accuracy).toBe(plainNetwork().length);
    expect(found.points.map(({ accuracy }) => accuracy)).toEqual(found.points.map(({ sizeBytes }) => sizeBytes));
    expect(found.conclusions.front.length).toBeGreaterThan(0);
    expect(path).not.toBe('');
  });

  test('a command that fails, or prints no number, ends it', async () => {
    await expect(explore(plainNetwork(), { ...one, evaluate: 'echo nothing >&2; exit 3 #' })).rejects.toThrow(
      /it ended with 3\n.*it said: nothing/,
    );
    await expect(explore(plainNetwork(), { ...one, evaluate: 'echo good #' })).rejects.toThrow('it printed no number');
  });
});

describe('options that do not fit', () => {
  test.each([
    [{ granularities: ['filters'] }, 'there is no granularity "filters"'],
    [{ ratios: [1] }, 'a ratio cannot be 1'],
    [{ ratios: [] }, 'there is nothing to explore'],
    [{ shard: { index: 3, count: 2 } }, 'there is no shard 3/2'],
  ] as const)('%j', async (options, message) => {
    await expect(explore(plainNetwork(), { ...GRID, ...options })).rejects.toThrow(message);
  });
});

test('the file says again what was found, and damage is refused', async () => {
  const { write } = folder();
  const found = await explore(plainNetwork(), { ...GRID, ratios: [0.5], criteria: ['l1'] });
  const text = renderJson(found);
  expect(readExploration(write('a.json', text))).toEqual(JSON.parse(text));
  const reading = (contents: string) => () => readExploration(write('b.json', contents));
  expect(reading(text.slice(0, 90))).toThrow(code('E-INPUT-UNREADABLE'));
  expect(reading('{}')).toThrow('it is of another kind');
  expect(reading(text.replace('"schema": 1', '"schema": 2'))).toThrow('another version wrote it');
  expect(reading(text.replace(/"speedup": [\d.]+/, '"speedup": "fast"'))).toThrow(code('E-EXPLORATION'));
  expect(() => readExploration('nothing.json')).toThrow(code('E-INPUT-MISSING'));
});
