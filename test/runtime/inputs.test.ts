import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { BOOL, DOUBLE, FLOAT, FLOAT16, INT64, INT8 } from '../../src/ir/tensor.js';
import {
  concreteShapes,
  firstSizes,
  planShapes,
  secondSizes,
  type TensorInput,
} from '../../src/runtime/input-shapes.js';
import { findShapes, nudgedFeeds, randomFeeds } from '../../src/runtime/inputs.js';
import { createSession } from '../../src/runtime/session.js';

const input = (name: string, shape: readonly (number | string)[], type: Tensor.Type = 'float32'): TensorInput => ({
  name,
  type,
  shape,
  isTensor: true,
});

function firstShapes(inputs: readonly TensorInput[], overrides = {}, batch = 1) {
  const plan = planShapes(inputs, overrides);
  const [sizes] = firstSizes(plan, batch);
  return sizes === undefined ? {} : concreteShapes(plan, sizes);
}

describe('planShapes', () => {
  test.each([
    [
      ['batch', 3, 'h', 'w'],
      [2, 3, 224, 224],
    ],
    [
      ['n', 'height', 'width', 3],
      [2, 224, 224, 3],
    ],
    [
      ['', 3, '', ''],
      [2, 3, 224, 224],
    ],
    [
      ['s0', 'c', 'h', 'w'],
      [2, 3, 224, 224],
    ],
    [
      ['batch', 'sequence'],
      [2, 8],
    ],
    [
      ['batch', 'seq_len', 64],
      [2, 8, 64],
    ],
    [[], []],
    [
      [1, 3, 32, 32],
      [1, 3, 32, 32],
    ],
  ])('fills %j', (shape, expected) => {
    expect(firstShapes([input('x', shape)], {}, 2)).toEqual({ x: expected });
  });

  test('gives one name one value, wherever it stands', () => {
    expect(firstShapes([input('x', ['b', 'sequence']), input('state', [2, 'b', 64])], {}, 3)).toEqual({
      x: [3, 8],
      state: [2, 3, 64],
    });
  });

  test('takes overrides, and their names for other inputs', () => {
    expect(firstShapes([input('x', ['b', 4]), input('y', ['b', 'k'])], { x: [7, 4] })).toEqual({
      x: [7, 4],
      y: [7, 8],
    });
  });

  test.each([
    [{ z: [1] }, 'the model has no input z'],
    [{ x: [1, 3] }, 'input x has 4 axes, 2 were given'],
    [{ x: [1, 4, 8, 8] }, 'axis 1 of input x is 3 in the model, 4 was given'],
    [{ x: [0, 3, 8, 8] }, 'the shape of input x must be positive whole numbers'],
    [{ x: [2, 3, 8, 8], mask: [3, 8] }, 'dimension batch cannot be both 2 and 3'],
  ])('refuses %j, naming both sides', (overrides, message) => {
    const inputs = [input('x', ['batch', 3, 'h', '']), input('mask', ['batch', 8])];
    expect(() => planShapes(inputs, overrides)).toThrow(
      expect.objectContaining({
        code: 'E-SHAPE',
        what: message,
        facts: expect.arrayContaining([['the model has', 'x [batch, 3, h, ?], mask [batch, 8]']]),
      }),
    );
  });

  test('has second sizes where height, width or length are free, and none elsewhere', () => {
    const second = (shape: readonly (number | string)[]) => {
      const plan = planShapes([input('x', shape)]);
      const [first] = firstSizes(plan);
      return first === undefined ? [] : secondSizes(plan, first).map((sizes) => concreteShapes(plan, sizes)['x']);
    };
    expect(second(['n', 3, 'h', 'w'])[0]).toEqual([1, 3, 192, 160]);
    expect(second(['n', 'seq'])[0]).toEqual([1, 13]);
    expect(second(['n', 3, 32, 32])).toEqual([]);
  });
});

describe('findShapes', () => {
  test('tries sizes until the model runs', async () => {
    const g = graphBuilder();
    const flat = g.flatten(g.input('x', ['n', 1, 'h', 'w']));
    g.output(g.gemm(flat, { data: normals(1, 'w', 2 * 28 * 28), dims: [2, 28 * 28] }));
    expect((await findShapes(await createSession(g.bytes()))).shapes).toEqual({ x: [1, 1, 28, 28] });
  });

  test('sees no input in an initializer that is listed among them', async () => {
    const g = graphBuilder({ initializersAsInputs: true });
    g.output(g.add(g.input('x', ['n', 2]), g.initializer('bias', [2], [1, 2])));
    expect((await findShapes(await createSession(g.bytes()))).shapes).toEqual({ x: [1, 2] });
  });

  test('says what it tried', async () => {
    const g = graphBuilder();
    g.output(g.reshape(g.input('x', ['n', 3]), [5]));
    await expect(findShapes(await createSession(g.bytes()))).rejects.toMatchObject({
      code: 'E-MODEL-RUNTIME',
      facts: expect.arrayContaining([['tried', 'x=1,3']]),
    });
  });
});

describe('randomFeeds', () => {
  const inputs = [input('x', [2, 500]), input('ids', [50], 'int64'), input('mask', [50], 'bool')];
  const shapes = { x: [2, 500], ids: [50], mask: [50] };

  test('is the same for the same seed and another for another', () => {
    expect(randomFeeds(inputs, shapes, 1)['x']?.data).toEqual(randomFeeds(inputs, shapes, 1)['x']?.data);
    expect(randomFeeds(inputs, shapes, 1)['x']?.data).not.toEqual(randomFeeds(inputs, shapes, 2)['x']?.data);
  });

  test('draws normal floats, and zeros and ones', () => {
    const feeds = randomFeeds(inputs, shapes, 1);
    const values = feeds['x']?.data instanceof Float32Array ? [...feeds['x'].data] : [];
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    // Of 1000 draws the mean has standard deviation .03 and the variance .045; four of each are
    // allowed.
    expect(Math.abs(mean)).toBeLessThan(0.13);
    expect(Math.abs(variance - 1)).toBeLessThan(0.18);
    expect(new Set(feeds['ids']?.data as BigInt64Array)).toEqual(new Set([0n, 1n]));
    expect(new Set(feeds['mask']?.data as Uint8Array)).toEqual(new Set([0, 1]));
  });

  test.each([FLOAT, FLOAT16, DOUBLE, INT64, INT8, BOOL])(
    'makes inputs that ONNX Runtime takes, data type %i',
    async (dataType) => {
      const g = graphBuilder();
      g.output(g.op('Identity', [g.input('x', [2, 3], dataType)]), [2, 3], dataType);
      const session = await createSession(g.bytes());
      const { plan, shapes: found } = await findShapes(session);
      const feeds = randomFeeds(plan.inputs, found, 1);
      const [result] = Object.values(await session.run(feeds));
      expect(result?.data).toEqual(feeds['x']?.data);
    },
  );
});

describe('nudgedFeeds', () => {
  test.each(['float32', 'float64', 'float16'] as const)(
    'moves every %s value by one unit in the last place',
    (type) => {
      const feeds = randomFeeds([input('x', [100], type)], { x: [100] }, 1);
      const bits = ({ x }: ReturnType<typeof randomFeeds>) => {
        const data = x?.data;
        if (!ArrayBuffer.isView(data)) return [];
        const { buffer } = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
        const Words = type === 'float64' ? BigInt64Array : type === 'float32' ? Int32Array : Uint16Array;
        return Array.from(new Words(buffer), BigInt);
      };
      const before = bits(feeds);
      const steps = bits(nudgedFeeds(feeds, 1)).map((word, index) => Number(word - (before[index] ?? 0n)));
      expect(new Set(steps)).toEqual(new Set([1, -1]));
    },
  );

  test('leaves infinities, NaN and other types alone', () => {
    const feeds = {
      x: new Tensor('float32', Float32Array.of(Infinity, -Infinity, NaN), [3]),
      n: new Tensor('int32', Int32Array.of(1), [1]),
    };
    expect(nudgedFeeds(feeds, 1)['x']?.data).toEqual(feeds.x.data);
    expect(nudgedFeeds(feeds, 1)['n']).toBe(feeds.n);
  });
});
