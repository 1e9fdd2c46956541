import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';
import { edited, type Parameters, parameters, smallNet, taken } from './small-net.js';

const net = parameters();
const reference = smallNet(net);
const largestBias = Math.max(...net.b1.map(Math.abs));
const swap = (values: Float32Array, dims: readonly number[], axis: number) => {
  const order = Array.from({ length: dims[axis] ?? 0 }, (_, index) => (index === 0 ? 1 : index === 1 ? 0 : index));
  return taken(values, dims, axis, order);
};

describe('equal models', () => {
  test('finds a model equal to itself, with differences of zero and a bound above the noise', async () => {
    const result = await verifyModels(reference, reference);
    expect(result).toMatchObject({ equal: true, difference: 0 });
    expect(result.bound).toBeGreaterThan(result.noise);
    expect(result.bound).toBeLessThan(1e-5);
    expect(result.reason).toBeUndefined();
  });

  test('runs four inputs at the first shape and one at a second batch size', async () => {
    const { cases } = await verifyModels(reference, reference);
    expect(cases.map(({ shapes, seed }) => [shapes['x']?.[0], seed])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 4],
      [2, 1],
    ]);
  });

  test('allows another order of the same sums', async () => {
    const order = [7, 3, 0, 5, 1, 6, 2, 4];
    const permuted = { ...net, w1: taken(net.w1, [8, 3, 3, 3], 0, order), b1: taken(net.b1, [8], 0, order) };
    const result = await verifyModels(reference, smallNet({ ...permuted, w2: taken(net.w2, [6, 8, 3, 3], 1, order) }));
    expect(result.equal).toBe(true);
  });

  test.each([1, 2])('finds a masked ResNet-18 and its narrow network equal (seed %i)', async (seed) => {
    const masked = resnet('resnet18', { width: 8, masks: 'zeros', choice: { kind: 'inner' }, meaning: 'drop', seed });
    const result = await verifyModels(masked.bytes(), masked.narrowBytes());
    expect(result).toMatchObject({ equal: true });
    expect(result.difference).toBeLessThan(result.bound);
  });
});

describe('negative controls: planted wrong edits', () => {
  const wrong: Readonly<Record<string, Partial<Parameters>>> = {
    'one input column of a convolution dropped': { w2: edited(net.w2, (w) => w.fill(0, 2 * 9, 3 * 9)) },
    'one kernel tap dropped': { w1: edited(net.w1, (w) => w.fill(0, 40, 41)) },
    'a bias changed by 1 %': { b1: net.b1.map((bias) => (Math.abs(bias) === largestBias ? 1.01 * bias : bias)) },
    'a bias of 1e-4 dropped': { b2: edited(net.b2, (b) => b.set([(b[1] ?? 0) + 1e-4], 1)) },
    'two channels swapped in the producer only': { w1: swap(net.w1, [8, 3, 3, 3], 0), b1: swap(net.b1, [8], 0) },
    'two outputs swapped': { w3: swap(net.w3, [5, 6], 0), b3: swap(net.b3, [5], 0) },
    'weights rounded to half precision': {
      w2: Float32Array.from(net.w2, (value) => Math.round(value * 2 ** 11) / 2 ** 11),
    },
  };

  test.each(Object.entries(wrong))('catches %s', async (_, edit) => {
    const result = await verifyModels(reference, smallNet({ ...net, ...edit }));
    expect(result.equal).toBe(false);
    expect(result.difference).toBeGreaterThan(4 * result.bound);
    expect(result.reason).toMatch(/^output "\S+" differs by \S+ of its scale, \S+ was allowed$/);
  });

  // Channel 0 is the constant 0.5 everywhere; absorbed into the next bias it forgets that padding
  // reads zeros beside it.
  const constantChannel = {
    ...net,
    w1: edited(net.w1, (w) => w.fill(0, 0, 27)),
    b1: edited(net.b1, (b) => b.set([0.5], 0)),
  };
  const others = [1, 2, 3, 4, 5, 6, 7];
  const absorbed: Parameters = {
    ...net,
    w1: taken(constantChannel.w1, [8, 3, 3, 3], 0, others),
    b1: taken(constantChannel.b1, [8], 0, others),
    w2: taken(net.w2, [6, 8, 3, 3], 1, others),
    b2: net.b2.map(
      (bias, out) => bias + 0.5 * net.w2.subarray(out * 72, out * 72 + 9).reduce((sum, tap) => sum + tap, 0),
    ),
  };

  test('catches a constant absorbed without regard to zero padding', async () => {
    expect((await verifyModels(smallNet(constantChannel), smallNet(absorbed))).equal).toBe(false);
  });

  test('allows the same absorption where nothing is padded', async () => {
    expect((await verifyModels(smallNet(constantChannel, { pads: 0 }), smallNet(absorbed, { pads: 0 }))).equal).toBe(
      true,
    );
  });

  test('catches a model that is right at one image size only', async () => {
    const build = (baked: boolean) => {
      const g = graphBuilder();
      const x = g.input('x', [1, 2, 'height', 'width']);
      const map = {
        data: new Float32Array(baked ? 2 * 224 * 224 : 2).fill(0.25),
        dims: [1, 2, baked ? 224 : 1, baked ? 224 : 1],
      };
      g.output(g.add(x, map));
      return g.bytes();
    };
    const result = await verifyModels(build(false), build(true));
    expect(result.cases.map(({ shapes }) => shapes['x'])).toContainEqual([1, 2, 192, 160]);
    expect(result.equal).toBe(false);
    expect(result.reason).toMatch(/fails at x=1,2,192,160, where the reference runs/);
  });
});

describe('what is never equal', () => {
  const unary = (op: string, output = 'y') => {
    const g = graphBuilder();
    g.output(g.op(op, [g.input('x', ['n', 4])], {}, { outputs: [output] }));
    return g.bytes();
  };

  test('other NaN places', async () => {
    const result = await verifyModels(unary('Sqrt'), unary('Abs'));
    expect(result).toMatchObject({ equal: false, worstOutput: 'y' });
    expect(result.reason).toMatch(/NaN or infinity at \d+ places/);
    expect(result.notes.join()).toMatch(/NaN or infinite values/);
  });

  test('the same NaN places are equal', async () => {
    expect((await verifyModels(unary('Sqrt'), unary('Sqrt'))).equal).toBe(true);
  });

  test('another output name', async () => {
    expect((await verifyModels(unary('Relu'), unary('Relu', 'z'))).reason).toBe(
      'its outputs are z float32 instead of y float32',
    );
  });

  test('another output shape', async () => {
    const result = await verifyModels(unary('Relu'), unary('Transpose'));
    expect(result).toMatchObject({
      equal: false,
      difference: 1,
      reason: 'output "y" differs: its shape is [4, 1] instead of [1, 4]',
    });
  });

  test('bytes that are no model', async () => {
    const result = await verifyModels(unary('Relu'), new Uint8Array([8, 7, 1, 2, 3]));
    expect(result.equal).toBe(false);
    expect(result.reason).toMatch(/^the compiled model cannot be loaded: /);
  });

  test('integer outputs that differ anywhere', async () => {
    const argument = (op: string) => {
      const g = graphBuilder();
      g.output(g.op(op, [g.input('x', ['n', 4])], { axis: 1 }, { outputs: ['y'] }), ['n', 1], INT64);
      return g.bytes();
    };
    expect(await verifyModels(argument('ArgMax'), argument('ArgMax'))).toMatchObject({
      equal: true,
      difference: 0,
      bound: 0,
    });
    expect((await verifyModels(argument('ArgMax'), argument('ArgMin'))).reason).toMatch(/int64 values are not equal/);
  });
});

describe('inputs and notes', () => {
  test('says when an output does not depend on the input', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 4]);
    g.output(g.add(g.mul(x, { data: [0] }), { data: [1, 2, 3, 4] }, { outputs: ['y'] }));
    const { equal, notes } = await verifyModels(g.bytes(), g.bytes());
    expect(equal).toBe(true);
    expect(notes).toEqual(['output "y" is the same for every input: its equality proves little']);
  });

  test('notes a second batch size at which the reference itself does not run', async () => {
    const g = graphBuilder();
    const flat = g.reshape(g.input('x', ['batch', 3, 2, 2]), [1, 12]);
    g.output(g.gemm(flat, { data: normals(1, 'w', 24), dims: [2, 12] }));
    const { equal, notes } = await verifyModels(g.bytes(), g.bytes());
    expect(equal).toBe(true);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^compared at one batch size only: the reference does not run at x=2,3,2,2 /);
  });

  test('compares float16 models within their own noise', async () => {
    const build = (factor: number) => {
      const g = graphBuilder();
      const weights = { data: normals(1, 'w', 64).map((value) => factor * value), dims: [8, 8], dataType: FLOAT16 };
      g.output(g.op('MatMul', [g.input('x', ['n', 8], FLOAT16), weights]), ['n', 8], FLOAT16);
      return g.bytes();
    };
    expect((await verifyModels(build(1), build(1))).equal).toBe(true);
    expect((await verifyModels(build(1), build(1.05))).equal).toBe(false);
  });

  test('takes real inputs and no others', async () => {
    const feeds = { x: new ort.Tensor('float32', normals(9, 'x', 192), [1, 3, 8, 8]) };
    const { equal, cases, notes } = await verifyModels(reference, reference, { inputs: [feeds] });
    expect(equal).toBe(true);
    expect(cases).toEqual([{ shapes: { x: [1, 3, 8, 8] }, seed: 0, difference: 0 }]);
    expect(notes).toEqual(['compared on 1 given input only']);
  });

  test.each([
    [{}, "given input 0 has no value for the model's input x"],
    [
      { x: new ort.Tensor('int32', new Int32Array(192), [1, 3, 8, 8]) },
      'given input 0 has int32 values for x, the model expects float32',
    ],
    [
      { x: new ort.Tensor('float32', new Float32Array(3), [1, 3, 1, 1]) },
      'axis 2 of input x is 8 in the model, 1 was given',
    ],
  ])('refuses given inputs that do not fit', async (feeds, message) => {
    await expect(verifyModels(reference, reference, { inputs: [feeds] })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: message,
    });
  });

  test('fixes symbolic dimensions as told', async () => {
    const shapes = { x: [3, 3, 8, 8] };
    const { cases, notes } = await verifyModels(reference, reference, { shapes, seeds: [5] });
    expect(cases).toEqual([{ shapes, seed: 5, difference: 0 }]);
    expect(notes).toEqual([
      'compared at the given shapes only: x=3,3,8,8; leave --shape out to compare at other sizes too',
    ]);
  });

  test('has no note for given shapes that are those of the model', async () => {
    const fixed = smallNet(net, { dims: [1, 3, 8, 8] });
    expect((await verifyModels(fixed, fixed, { shapes: { x: [1, 3, 8, 8] } })).notes).toEqual([]);
  });

  test('runs the smallest image that the reference runs, quietly none where there is none', async () => {
    const sizes = async (build: (g: GraphBuilder, x: string) => string) => {
      const g = graphBuilder();
      g.output(build(g, g.input('x', [1, 3, 'height', 'width'])));
      const { cases, notes } = await verifyModels(g.bytes(), g.bytes());
      return [...cases.slice(4).map(({ shapes }) => shapes['x']?.slice(2)), notes];
    };
    const kernel = (size: number) => ({ data: normals(1, 'w', 3 * size * size), dims: [1, 3, size, size] });
    expect(await sizes((g, x) => g.relu(x))).toEqual([[192, 160], [1, 1], []]);
    // 4 by 4 without padding: 5 is the first of the sizes that leaves a window.
    expect(await sizes((g, x) => g.conv(x, kernel(4)))).toEqual([[192, 160], [5, 5], []]);
    expect(await sizes((g, x) => g.conv(x, kernel(40)))).toEqual([[192, 160], []]);
  });

  test('catches an edit that is wrong only where every window reaches into the padding', async () => {
    // The largest sum over 3 by 3 ones, padded, is 9 of every image but the tiny: 1 of a single
    // pixel.
    const build = (absorbed: boolean) => {
      const g = graphBuilder();
      const x = g.input('x', [1, 1, 'height', 'width']);
      const ones = g.add(g.mul(x, { data: [0] }), { data: [1] });
      const sums = g.conv(ones, { data: new Float32Array(9).fill(1), dims: [1, 1, 3, 3] }, { pads: 1 });
      const largest = g.op('GlobalMaxPool', [sums]);
      g.output(g.add(g.op('GlobalMaxPool', [x]), absorbed ? { data: [9] } : largest));
      return g.bytes();
    };
    const { equal, cases } = await verifyModels(build(false), build(true));
    expect(equal).toBe(false);
    expect(cases.map(({ difference }) => difference > 0.5)).toEqual([false, false, false, false, false, true]);
  });

  test('stops when told to', async () => {
    await expect(verifyModels(reference, reference, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });

  test('throws when the reference does not run at any shape', async () => {
    const g = graphBuilder();
    g.output(g.gemm(g.input('x', ['n', 'k']), { data: normals(1, 'w', 22), dims: [2, 11] }));
    await expect(verifyModels(g.bytes(), g.bytes())).rejects.toMatchObject({ code: 'E-MODEL-RUNTIME' });
  });
});
