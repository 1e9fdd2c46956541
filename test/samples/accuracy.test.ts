/** How often a model is right. */
import { describe, expect, test } from 'vitest';
import { FLOAT, INT64, UINT8 } from '../../src/ir/tensor.js';
import { measureAccuracy } from '../../src/samples/accuracy.js';
import { type GivenOptions, readGiven } from '../../src/samples/given.js';
import { isAmong, largest } from '../../src/samples/scores.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { copier, type Folder, folder, npy } from './given-files.js';

const SCORES = [
  [9, 1, 2, 3, 4, 5, 0],
  [9, 8, 7, 6, 5, 4, 3],
  [1, 2, 3, 4, 5, 6, 7],
];

const inputFile = ({ write }: Folder) => write('x.npy', npy(FLOAT, [3, 7], SCORES.flat()));

async function accuracy(labels: (at: Folder) => string, options: Partial<GivenOptions> = {}) {
  const at = folder();
  const model = copier(['n', 7]);
  const given = await readGiven(model, { inputs: inputFile(at), labels: labels(at), ...options });
  return { given, found: await measureAccuracy([{ name: 'it', model }], given) };
}

test('right answers, and those among the five largest, over runs of any size', async () => {
  for (const batch of [1, 2, 3]) {
    const { found } = await accuracy(({ write }) => write('y.txt', '0\n1\r\n0\n\n'), { batch });
    expect(found).toMatchObject({ samples: 3, classes: 7, models: [{ name: 'it', top1: 1, top5: 2, alike: 3 }] });
  }
});

describe('labels', () => {
  test.each<[string, string, Uint8Array]>([
    ['bytes', 'y.npy', npy(UINT8, [3], [0, 1, 6])],
    ['a column', 'y.npy', npy(INT64, [3, 1], [0, 1, 6])],
    ['whole floating-point numbers', 'y.npy', npy(FLOAT, [3], [0, 1, 6])],
  ])('%s', async (_, name, contents) => {
    const { found, given } = await accuracy(({ write }) => write(name, contents));
    expect([found.models[0]?.top1, given.notes]).toEqual([2, []]);
  });

  test('rows of scores, of another model for example, of which the largest counts', async () => {
    const scores = npy(FLOAT, [3, 2], [0.2, 0.1, 0, 3, 1, 0]);
    const { found, given } = await accuracy(({ write }) => write('y.npy', scores));
    expect(found.models[0]?.top1).toBe(1);
    expect(given.notes[0]).toMatch(/y\.npy: the label of a sample is the largest of its 2 scores$/);
  });

  test.each<[string, string, string | Uint8Array, string]>([
    ['fewer than samples', 'y.txt', '1\n2\n', 'it has 2 labels, and'],
    ['words', 'y.txt', '1\ncat\n2\n', 'line 2 is not a whole number'],
    ['negative ones', 'y.npy', npy(INT64, [3], [0, -1, 2]), '-1 is no class: classes are counted from 0'],
    ['fractions', 'y.npy', npy(FLOAT, [3], [0, 0.5, 2]), 'y.npy has the shape [3]'],
  ])('that are refused: %s', async (_, name, contents, why) => {
    const rejected = await accuracy(({ write }) => write(name, contents)).catch((error: unknown) => error);
    expect(rejected).toMatchObject({
      code: 'E-INPUTS',
      facts: [['why', expect.stringContaining(why)], expect.anything()],
    });
  });

  test('a class that the model does not have', async () => {
    await expect(accuracy(({ write }) => write('y.txt', '0\n1\n7\n'))).rejects.toMatchObject({
      code: 'E-INPUTS',
      what: expect.stringMatching(/y\.txt has the class 7, and the model tells 7 classes apart$/) as unknown,
    });
  });
});

test('the same answer as the first model, wrong ones included', async () => {
  const at = folder();
  const g = graphBuilder();
  // The last two columns change places.
  const order = { dims: [7], data: [0, 1, 2, 3, 4, 6, 5], dataType: INT64 };
  g.output(g.op('Gather', [g.input('x', ['n', 7]), order], { axis: 1 }));
  const model = copier(['n', 7]);
  const given = await readGiven(model, { inputs: inputFile(at), labels: at.write('y.txt', '0\n0\n5\n') });
  const { models } = await measureAccuracy(
    [
      { name: 'one', model },
      { name: 'other', model: g.bytes() },
    ],
    given,
  );
  expect(models).toEqual([
    { name: 'one', top1: 2, top5: 3, alike: 3 },
    { name: 'other', top1: 3, top5: 3, alike: 2 },
  ]);
});

test('an output without a row of scores for each sample is told', async () => {
  const at = folder();
  const g = graphBuilder();
  g.output(g.op('ReduceSum', [g.input('x', ['n', 7])], { keepdims: 1 }));
  const given = await readGiven(g.bytes(), { inputs: inputFile(at), labels: at.write('y.txt', '0\n0\n5\n') });
  await expect(measureAccuracy([{ name: 'it', model: g.bytes() }], given)).rejects.toMatchObject({
    code: 'E-INPUTS',
    what: 'no output of the model is a row of scores for each sample',
  });
});

test('ties go to the first class, and NaN is the least of scores', () => {
  expect(largest(Float32Array.of(1, 3, 3))).toBe(1);
  expect(largest(Float32Array.of(Number.NaN, -5, Number.NaN))).toBe(1);
  expect(largest(Float32Array.of(Number.NaN))).toBe(-1);
  expect(isAmong(Float32Array.of(1, 3, 3), 2, 1)).toBe(false);
  expect(isAmong(Float32Array.of(1, 3, 3), 2, 2)).toBe(true);
  expect(isAmong(Float32Array.of(1, Number.NaN, 3), 1, 5)).toBe(false);
});
