/** ONNX Runtime's InstanceNormalization crashes on empty images, and takes its process with it. */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { benchModels } from '../../src/bench/benchmark.js';
import { compileModel } from '../../src/compile.js';
import { Extents } from '../../src/runtime/extents.js';
import { verifyModels } from '../../src/verify/verify.js';

const norm = { scale: { data: [1, 2, 3] }, shift: { data: [0.5, 0, -1] } };

/** The first row and column are cut off: of a single pixel nothing is left. */
function cropped(dims: readonly (number | string)[] = ['n', 3, 'h', 'w']): Uint8Array {
  const g = graphBuilder();
  const x = g.conv(g.input('x', dims), { data: normals(1, 'w', 9), dims: [3, 3, 1, 1] });
  const rest = g.slice(x, { axes: [2, 3], starts: [1, 1], ends: [Infinity, Infinity] }, { outputs: ['rest'] });
  g.output(g.op('InstanceNormalization', [rest, norm.scale, norm.shift], {}, { outputs: ['y'] }));
  return g.bytes();
}

/** As many columns as there are numbers above a limit in the image: none, of a small image. */
function counted(): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 'h', 'w']);
  const found = g.op('NonZero', [
    g.op('Greater', [g.op('ReduceMax', [x], { axes: [0, 1, 2], keepdims: 0 }), { data: [9] }]),
  ]);
  const places = g.op('Squeeze', [found, int64([0])]);
  const columns = g.op('Gather', [x, places], { axis: 3 });
  g.output(g.op('InstanceNormalization', [columns, norm.scale, norm.shift]));
  return g.bytes();
}

describe('sizes at which a value is empty', () => {
  test('are not chosen', async () => {
    const { equal, cases, notes } = await verifyModels(cropped(), cropped());
    expect(equal).toBe(true);
    expect(cases.map(({ shapes }) => shapes['x']?.slice(2))).toContainEqual([2, 2]);
    expect(cases.map(({ shapes }) => shapes['x']?.slice(2))).not.toContainEqual([1, 1]);
    expect(notes).toEqual([]);
  });

  test('hide no wrong edit at the others', async () => {
    const reference = graphBuilder();
    reference.output(reference.relu(reference.input('x', ['n', 3, 'h', 'w'])));
    expect((await verifyModels(cropped(), reference.bytes())).equal).toBe(false);
  });

  test('are an error where they are asked for and ONNX Runtime crashes', async () => {
    const shapes = { x: [1, 3, 1, 1] };
    await expect(verifyModels(cropped(), cropped(), { shapes })).rejects.toMatchObject({
      code: 'E-MODEL-RUNTIME',
      facts: expect.arrayContaining([['why', expect.stringMatching(/^ONNX Runtime crashed/)]]) as unknown,
    });
    await expect(benchModels([{ name: 'a', model: cropped() }], { shapes, rounds: 2 })).rejects.toMatchObject({
      code: 'E-MODEL-RUNTIME',
    });
    const feeds = { x: new ort.Tensor('float32', new Float32Array(3), [1, 3, 1, 1]) };
    await expect(verifyModels(cropped(), cropped(), { inputs: [feeds] })).rejects.toThrow(/crashed/);
  });

  test('are survived where only a run tells them', async () => {
    await expect(verifyModels(counted(), counted(), { shapes: { x: [1, 3, 4, 4] } })).rejects.toMatchObject({
      code: 'E-MODEL-RUNTIME',
    });
  });

  test('of the compiled model alone are a failure of it', async () => {
    const g = graphBuilder();
    g.output(g.relu(g.input('x', [1, 3, 1, 1]), { outputs: ['y'] }));
    const result = await verifyModels(g.bytes(), cropped([1, 3, 1, 1]));
    expect(result).toMatchObject({ equal: false, fails: true });
    expect(result.reason).toMatch(/ONNX Runtime crashed/);
  });

  test('are compared where the model has no others, and nothing crashes', async () => {
    const build = () => {
      const g = graphBuilder();
      g.output(g.relu(g.conv(g.input('x', [0, 3, 4, 4]), { data: normals(1, 'w', 12), dims: [4, 3, 1, 1] })));
      return g.bytes();
    };
    const { equal, notes } = await verifyModels(build(), build());
    expect(equal).toBe(true);
    expect(notes[0]).toBe('value "x" is empty at x=0,3,4,4: nothing after it can be compared');
  });
});

describe('Extents', () => {
  test('finds what is empty, and what nobody knows', async () => {
    const extents = new Extents(cropped());
    expect(await extents.at({ x: [1, 3, 1, 1] })).toEqual({ empty: 'rest', isSafe: false });
    expect(await extents.at({ x: [1, 3, 2, 2] })).toEqual({ empty: undefined, isSafe: true });
    expect(await new Extents(counted()).at({ x: [1, 3, 8, 8] })).toEqual({ empty: undefined, isSafe: false });
  });

  test('minds no lists that are empty at every size', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 3]);
    const none = g.slice(g.op('Shape', [x]), { axes: [0], starts: [2], ends: [2] });
    g.output(g.reshape(x, [-1, 3]));
    g.output(none, undefined, 7);
    expect(await new Extents(g.bytes()).at({ x: [2, 3] })).toEqual({ empty: undefined, isSafe: true });
  });
});

describe('a static batch of 0', () => {
  test('stays right behind padded borders, where ones are made like the input', async () => {
    const g = graphBuilder();
    const first = normals(2, 'first', 8 * 27).fill(0, 0, 4 * 27);
    const x = g.input('x', [0, 3, 8, 8]);
    const bias = { data: normals(2, 'bias', 8) };
    const a = g.relu(g.conv(x, { data: first, dims: [8, 3, 3, 3] }, { pads: 1, bias }));
    g.output(g.conv(a, { data: normals(2, 'second', 4 * 72), dims: [4, 8, 3, 3] }, { pads: 1 }));
    const compiled = await compileModel(g.bytes(), { align: 1 });
    expect(compiled.report.changed).toBe(true);
    const { equal, reason } = await verifyModels(g.bytes(), compiled.encode());
    expect(reason).toBeUndefined();
    expect(equal).toBe(true);
  });
});
