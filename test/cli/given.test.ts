/** --inputs, --labels and --trace on the command line. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FLOAT } from '../../src/ir/tensor.js';
import { ENGINE } from '../../src/cli/engine.js';
import type { ProviderVerifyOptions } from '../../src/verify/on-provider.js';
import { VERIFICATION } from '../report/sample.js';
import { parameters, smallNet } from '../verify/small-net.js';
import { photographs } from '../support/photographs.js';
import { REAL_FILES } from '../support/real-models.js';
import { copier, folder, npy, npz } from '../samples/given-files.js';
import { run } from './run-command.js';

const { readGiven, measureAccuracy, verifyModels, traceModels, benchModels } = ENGINE;
const engine = { readGiven, measureAccuracy, verifyModels, traceModels, benchModels };

const classifier = (name: string) => {
  const at = folder();
  const model = at.write(name, copier(['n', 3]));
  const inputs = at.write('x.npy', npy(FLOAT, [3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]));
  return { ...at, model, inputs };
};

test('verify tells how often both are right, and what was given', async () => {
  const { model, inputs, write } = classifier('a.onnx');
  const labels = write('y.txt', '0\n1\n0\n');
  const { code, stdout } = await run(['verify', model, model, '--inputs', inputs, '--labels', labels], { engine });
  expect(code).toBe(0);
  expect(stdout.replace(/\n {2}/g, ' ')).toContain(`note: given: 3 samples of ${inputs} in 1 run\n`);
  expect(stdout.split('\n').slice(-4)).toEqual([
    'right (top-1)    same answer  model',
    `2 of 3 (66.7 %)               ${model}`,
    `2 of 3 (66.7 %)  3 of 3       ${model}`,
    '',
  ]);
  const json = await run(['verify', model, model, '--inputs', inputs, '--labels', labels, '--json'], { engine });
  expect(JSON.parse(json.stdout)).toMatchObject({
    verification: { equal: true, cases: [{ shapes: { x: [3, 3] }, seed: 0 }] },
    accuracy: {
      samples: 3,
      classes: 3,
      models: [
        { top1: 2, alike: 3 },
        { top1: 2, alike: 3 },
      ],
    },
  });
});

test('bench takes the given inputs in turn', async () => {
  const { model, inputs, write } = classifier('a.onnx');
  const labels = write('y.txt', '0\n1\n0\n');
  const words = ['bench', model, '--inputs', inputs, '--labels', labels, '--runs', '3'];
  const { code, stdout } = await run(words, { engine });
  expect(code).toBe(0);
  expect(stdout).toContain('1x3, 3 interleaved rounds');
  expect(stdout.replace(/\n {2}/g, ' ')).toContain('3 given inputs in turn, one a round, the same for every model');
  expect(stdout).toContain('2 of 3 (66.7 %)               a.onnx');
  const two = JSON.parse((await run([...words, '--batch', '2', '--json'], { engine })).stdout) as unknown;
  // The last run has one sample alone: it is not measured, and it counts for the accuracy.
  expect(two).toMatchObject({ benchmarks: [{ shapes: { x: [2, 3] } }], accuracy: { samples: 3 } });
  expect(JSON.stringify(two)).toContain('1 given input in turn');
});

test('verify --trace names the place; of equal models there is none', async () => {
  const { write } = folder();
  const net = parameters();
  const one = write('one.onnx', smallNet(net));
  const other = write('other.onnx', smallNet({ ...net, b2: net.b2.map((value) => value + 0.1) }));
  const differ = await run(['verify', one, other, '--trace'], { engine });
  expect(differ.code).toBe(1);
  expect(differ.stdout).toMatch(
    /\nthe models part at\n {2}Conv_1_output_0\n {4}made by Conv Conv_1\n {4}differs by \S+ of its/,
  );
  expect(differ.stdout).toContain('7 of 7 values are in both models, 5 of them differ (at 1x3x8x8, seed 3)');
  const json = JSON.parse((await run(['verify', one, other, '--trace', '--json'], { engine })).stdout) as unknown;
  expect(json).toMatchObject({ trace: { parts: [{ name: 'Conv_1_output_0', op: 'Conv' }], compared: 7, of: 7 } });
  expect((await run(['verify', one, one, '--trace'], { engine })).stdout).toContain(
    'nothing to trace: the outputs are equal\n',
  );
});

test('with --providers, all are compared at the given inputs; trace and accuracy are of the CPU', async () => {
  const { write } = folder();
  const net = parameters();
  const one = write('one.onnx', smallNet(net));
  const other = write('other.onnx', smallNet({ ...net, b2: net.b2.map((value) => value + 0.1) }));
  const inputs = write(
    'x.npy',
    npy(
      FLOAT,
      [1, 3, 8, 8],
      Array.from({ length: 192 }, (_, at) => Math.sin(at)),
    ),
  );
  const asked: unknown[] = [];
  const there = {
    ...engine,
    checkProviders: () => Promise.resolve(),
    verifyOnProvider: (_one: unknown, _other: unknown, { provider, inputs: feeds }: ProviderVerifyOptions) => {
      asked.push([provider, feeds?.map((feed) => Object.values(feed).map(({ dims }) => dims))]);
      return Promise.resolve({ ...VERIFICATION, provider });
    },
  };
  const words = ['verify', one, other, '--inputs', inputs, '--trace', '--providers', 'cuda,cpu'];
  const { code, stdout } = await run(words, { engine: there });
  expect([code, asked]).toEqual([1, [['cuda', [[[1, 3, 8, 8]]]]]]);
  expect(stdout.replace(/\n {2}/g, ' ').match(/note: given: 1 sample of /g)).toHaveLength(2);
  const [cuda = 0, cpu = 0, parts = 0] = ['b.onnx, on CUDA', 'OUTPUTS DIFFER', '\nthe models part at\n'].map((part) =>
    stdout.replaceAll(other, 'b.onnx').indexOf(part),
  );
  expect([cuda > 0, cpu > cuda, parts > cpu]).toEqual([true, true, true]);
  const json = JSON.parse((await run([...words, '--json'], { engine: there })).stdout) as unknown;
  expect(json).toMatchObject({
    verifications: [{ provider: 'cuda', equal: true }, { equal: false }],
    trace: { parts: [{ op: 'Conv' }] },
  });
  const { model, inputs: rows, write: put } = classifier('a.onnx');
  const labels = put('y.txt', '0\n1\n0\n');
  const right = ['verify', model, model, '--inputs', rows, '--labels', labels, '--providers', 'cuda'];
  expect((await run(right, { engine: there })).stdout).toContain('2 of 3 (66.7 %)  3 of 3');
});

describe('mistakes', () => {
  test.each([
    [['verify', 'a.onnx', 'b.onnx', '--trace', '--providers', 'cuda'], '--trace needs cpu among --providers'],
    [['verify', 'a.onnx', 'b.onnx', '--labels', 'y.txt'], '--labels needs inputs'],
    [['bench', 'a.onnx', '--mean', '0.5'], '--mean needs inputs'],
    [
      ['verify', 'a.onnx', 'b.onnx', '--inputs', 'x.npy', '--shape', 'x=1,3'],
      '--shape and --inputs exclude each other',
    ],
    [['verify', 'a.onnx', 'b.onnx', '--std', '0'], '--std takes numbers above 0, not "0"'],
    [['verify', 'a.onnx', 'b.onnx', '--mean', 'a'], '--mean takes numbers, not "a"'],
  ])('%s', async (words, message) => {
    const { code, stderr } = await run(words);
    expect(code).toBe(2);
    expect(stderr).toContain(`prune-compile: ${message}    [E-USAGE]`);
  });
});

test('a trained network is as often right as the one that was compiled from it', async () => {
  const { images, labels } = photographs();
  const { write, path } = folder();
  const values = npy(FLOAT, images.dims, [...images.values]);
  const inputs = write('images.npz', npz({ input: values, labels: npy(FLOAT, [labels.length], labels) }));
  const dense = `${REAL_FILES}/models/cifar/resnet20_bn_op13.onnx`;
  const compiled = `${path}/compiled.onnx`;
  (await ENGINE.compileModel(readFileSync(dense))).write(compiled);
  const { code, stdout } = await run(['verify', dense, compiled, '--inputs', inputs, '--labels', inputs], { engine });
  expect(code).toBe(0);
  expect(stdout).toMatch(/94 of 100 \(94\.0 %\) {2}100 of 100 \(100\.0 %\) {15}\S+resnet20_bn_op13\.onnx\n/);
  expect(stdout).toMatch(/94 of 100 \(94\.0 %\) {2}100 of 100 \(100\.0 %\) {2}100 of 100 {3}\S+compiled\.onnx\n/);
  expect(stdout).not.toContain('not read as an input');
});
