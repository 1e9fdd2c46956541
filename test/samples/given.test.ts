/** Files of `--inputs` as runs of a model. */
import { describe, expect, test } from 'vitest';
import { encodeProto } from '../../src/onnx/encode.js';
import { DOUBLE, FLOAT, INT64, UINT8 } from '../../src/ir/tensor.js';
import { type Given, readGiven } from '../../src/samples/given.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { TensorType } from '../../src/onnx/schema.js';
import { adder, copier, folder, npy, npz } from './given-files.js';

/** Dims and values of an input, run by run. */
const runs = ({ feeds }: Given, name = 'x') =>
  feeds.map((feed) => [feed[name]?.dims, [...((feed[name]?.data ?? []) as Float32Array)]]);

const count = (length: number) => Array.from({ length }, (_, at) => at);

function tensorProto(name: string, dims: readonly number[], values: readonly number[]): Uint8Array {
  const rawData = new Uint8Array(Float32Array.from(values).buffer);
  return TensorType.encode({ name, dims: [...dims], dataType: FLOAT, rawData }).finish();
}

describe('arrays', () => {
  test('one file of many samples: so many in a run, the rest in the last', async () => {
    const { write } = folder();
    const inputs = write('x.npy', npy(FLOAT, [5, 2], count(10)));
    const given = await readGiven(copier(['n', 2]), { inputs, batch: 2 });
    expect(runs(given)).toEqual([
      [
        [2, 2],
        [0, 1, 2, 3],
      ],
      [
        [2, 2],
        [4, 5, 6, 7],
      ],
      [
        [1, 2],
        [8, 9],
      ],
    ]);
    expect([given.counts, given.samples, given.notes]).toEqual([[2, 2, 1], 5, []]);
    expect((await readGiven(copier(['n', 2]), { inputs })).counts).toEqual([5]);
  });

  test('a batch that the model fixes', async () => {
    const { write } = folder();
    const inputs = write('x.npy', npy(FLOAT, [4, 2], count(8)));
    expect((await readGiven(copier([2, 2]), { inputs })).counts).toEqual([2, 2]);
    await expect(readGiven(copier([3, 2]), { inputs })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: '4 given samples cannot be run 3 at a time',
    });
  });

  test('a single sample without its axis', async () => {
    const { write } = folder();
    const inputs = write('x.npy', npy(FLOAT, [2], [7, 8]));
    expect(runs(await readGiven(copier(['n', 2]), { inputs }))).toEqual([
      [
        [1, 2],
        [7, 8],
      ],
    ]);
    expect(runs(await readGiven(copier([1, 2]), { inputs }))).toEqual([
      [
        [1, 2],
        [7, 8],
      ],
    ]);
  });

  test('several inputs by name; what is none of them is told', async () => {
    const { write } = folder();
    const arrays = { b: npy(FLOAT, [1, 2], [3, 4]), extra: npy(FLOAT, [1], [0]), a: npy(FLOAT, [1, 2], [1, 2]) };
    const inputs = write('both.npz', npz(arrays));
    const given = await readGiven(adder(), { inputs });
    expect([runs(given, 'a'), runs(given, 'b')]).toEqual([
      [
        [
          [1, 2],
          [1, 2],
        ],
      ],
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]);
    expect(given.notes).toEqual([`not read as an input: ${inputs}, array extra`]);
  });

  test('several inputs by place, where numpy.savez was given no names', async () => {
    const { write } = folder();
    const inputs = write('both.npz', npz({ arr_0: npy(FLOAT, [1, 2], [1, 2]), arr_1: npy(FLOAT, [1, 2], [3, 4]) }));
    expect(runs(await readGiven(adder(), { inputs }), 'b')).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
    ]);
  });

  test('names that are none of the inputs are no places', async () => {
    const { write } = folder();
    const inputs = write('both.npz', npz({ b2: npy(FLOAT, [1, 2], [1, 2]), a2: npy(FLOAT, [1, 2], [3, 4]) }));
    await expect(readGiven(adder(), { inputs })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: 'the given arrays do not say which input of the model each is for',
    });
  });

  test('a model without a batch takes an array as it is', async () => {
    const { write } = folder();
    const g = graphBuilder();
    g.output(g.op('MatMul', [g.input('a', [2, 3]), g.input('b', [3, 1])]));
    const inputs = write('ab.npz', npz({ a: npy(FLOAT, [2, 3], count(6)), b: npy(FLOAT, [3, 1], count(3)) }));
    const given = await readGiven(g.bytes(), { inputs });
    expect([given.feeds.length, given.samples]).toEqual([1, 1]);
  });
});

describe('types', () => {
  test('are those of the model; what is rounded or not scaled is told', async () => {
    const { write } = folder();
    const doubles = write('d.npy', npy(DOUBLE, [1, 2], [0.1, 2]));
    const rounded = await readGiven(copier(['n', 2]), { inputs: doubles });
    expect(runs(rounded)).toEqual([
      [
        [1, 2],
        [Math.fround(0.1), 2],
      ],
    ]);
    expect(rounded.notes).toEqual([`${doubles}: float64 was rounded to float32`]);
    const bytes = write('u.npy', npy(UINT8, [1, 2], [3, 250]));
    expect((await readGiven(copier(['n', 2]), { inputs: bytes })).notes).toEqual([
      `${bytes}: uint8 values from 3 to 250 were taken as they are, as float32`,
    ]);
  });

  test('what would lose its meaning is refused', async () => {
    const { write } = folder();
    const g = graphBuilder();
    g.output(g.op('Identity', [g.input('x', ['n', 2], INT64)]), ['n', 2], INT64);
    const inputs = write('x.npy', npy(FLOAT, [1, 2], [0.5, 1]));
    await expect(readGiven(g.bytes(), { inputs })).rejects.toMatchObject({ code: 'E-SHAPE' });
    const large = write('l.npy', npy(DOUBLE, [1, 2], [1e300, 1]));
    await expect(readGiven(copier(['n', 2]), { inputs: large })).rejects.toMatchObject({
      code: 'E-SHAPE',
      facts: expect.arrayContaining([['why', 'its float64 values are beyond what float32 holds']]) as unknown,
    });
  });
});

describe('folders', () => {
  test('files in the order of their numbers, run together; what is something else is told', async () => {
    const { path, write } = folder();
    write('10.npy', npy(FLOAT, [2], [5, 6]));
    write('2.npy', npy(FLOAT, [2], [3, 4]));
    write('1.npy', npy(FLOAT, [2], [1, 2]));
    write('.hidden.npy', 'no array');
    write('README.md', 'about them');
    const given = await readGiven(copier(['n', 2]), { inputs: path });
    expect(runs(given)).toEqual([
      [
        [3, 2],
        [1, 2, 3, 4, 5, 6],
      ],
    ]);
    expect(given.notes).toEqual([`not read as inputs: README.md in ${path}`]);
  });

  test('samples that came with a batch of their own', async () => {
    const { path, write } = folder();
    write('1.npy', npy(FLOAT, [1, 2], [1, 2]));
    write('2.npy', npy(FLOAT, [1, 2], [3, 4]));
    expect((await readGiven(copier(['n', 2]), { inputs: path })).counts).toEqual([2]);
    expect((await readGiven(copier([1, 2]), { inputs: path })).counts).toEqual([1, 1]);
  });

  test('samples of several shapes are runs of their own', async () => {
    const { path, write } = folder();
    write('1.npy', npy(FLOAT, [1, 2], [1, 2]));
    write('2.npy', npy(FLOAT, [1, 3], [3, 4, 5]));
    expect((await readGiven(copier(['n', 'm']), { inputs: path })).counts).toEqual([1, 1]);
  });

  test('sets of ONNX: inputs by number, expected outputs left alone', async () => {
    const { path, write } = folder();
    for (const set of [0, 1]) {
      write(`test_data_set_${set}/input_0.pb`, tensorProto('whatever', [1, 2], [set, 1]));
      write(`test_data_set_${set}/input_1.pb`, tensorProto('', [1, 2], [set, 2]));
      write(`test_data_set_${set}/output_0.pb`, tensorProto('y', [1, 2], [9, 9]));
    }
    const given = await readGiven(adder(), { inputs: path });
    expect([runs(given, 'a'), runs(given, 'b')]).toEqual([
      [
        [
          [1, 2],
          [0, 1],
        ],
        [
          [1, 2],
          [1, 1],
        ],
      ],
      [
        [
          [1, 2],
          [0, 2],
        ],
        [
          [1, 2],
          [1, 2],
        ],
      ],
    ]);
    expect(given.notes).toEqual([`not read as inputs: test_data_set_0/output_0.pb and 1 more in ${path}`]);
  });

  test('one TensorProto', async () => {
    const { write } = folder();
    const inputs = write('input_0.pb', tensorProto('other', [1, 2], [1, 2]));
    expect(runs(await readGiven(copier(['n', 2]), { inputs }))).toEqual([
      [
        [1, 2],
        [1, 2],
      ],
    ]);
  });
});

describe('files that are refused', () => {
  const refused = (name: string, contents: string | Uint8Array) => {
    const { write } = folder();
    return readGiven(copier(['n', 2]), { inputs: write(name, contents) });
  };

  test.each<[string, string, string | Uint8Array]>([
    ['text', 'x.npy', 'no array'],
    ['cut', 'x.npy', npy(FLOAT, [4, 2], count(8)).subarray(0, 140)],
    ['a cut archive', 'x.npz', npz({ x: npy(FLOAT, [4, 2], count(8)) }).subarray(0, 150)],
    ['no TensorProto', 'x.pb', 'no tensor'],
    ['empty', 'x.pb', ''],
    ['no image', 'x.png', 'no image'],
    ['a model', 'm.pb', encodeProto({ irVersion: 8, graph: { name: 'g' } })],
  ])('%s', async (_, name, contents) => {
    await expect(refused(name, contents)).rejects.toMatchObject({ code: 'E-INPUTS' });
  });

  test('a path that is not there, and a folder without arrays', async () => {
    const { path } = folder();
    await expect(readGiven(copier(['n', 2]), { inputs: `${path}/none.npy` })).rejects.toMatchObject({
      code: 'E-INPUT-MISSING',
    });
    await expect(readGiven(copier(['n', 2]), { inputs: path })).rejects.toMatchObject({
      code: 'E-INPUTS',
      facts: expect.arrayContaining([['why', 'the folder has neither arrays nor images']]) as unknown,
    });
  });

  test('another shape than the model takes, with a hint where axes are in another order', async () => {
    const { write } = folder();
    const inputs = write('x.npy', npy(FLOAT, [1, 4, 4, 3], count(48)));
    await expect(readGiven(copier(['n', 3, 4, 4]), { inputs })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: `${inputs} does not fit the model's input x`,
      facts: expect.arrayContaining([
        ['try', 'numpy.transpose(x, (0, 3, 1, 2)): the model takes channels before rows'],
      ]) as unknown,
    });
  });
});
