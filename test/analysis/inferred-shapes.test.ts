/**
 * What is believed of shapes is what a run has: random windows and resizes, and what turns,
 * flattens or encloses them.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { inferShapes } from '../../src/graph-info/shapes.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { Random } from '../../src/runtime/random.js';

type Build = (g: GraphBuilder, x: string, random: Random) => string;

const pick = <Choice>(random: Random, ...choices: readonly Choice[]): Choice =>
  choices[random.below(choices.length)] as Choice;
const pair = (random: Random, least: number, most: number) => [1, 2].map(() => least + random.below(most - least + 1));

function window(random: Random): Record<string, readonly number[] | string> {
  const auto = pick(random, 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER');
  return {
    kernel_shape: pair(random, 1, 4),
    strides: pair(random, 1, 4),
    auto_pad: auto,
    // Beside auto_pad they mean nothing, and yet some say so much.
    ...((auto === 'NOTSET' || random.below(4) === 0) && { pads: [...pair(random, 0, 3), ...pair(random, 0, 3)] }),
    ...(random.below(2) === 0 && { dilations: pair(random, 1, 3) }),
  };
}

const zeros = (dims: readonly number[]) => ({ data: new Float32Array(dims.reduce((a, b) => a * b, 1)), dims });
const SCALES = [0.3, 0.5, 0.75, 0.9, 1, 1.1, 1.5, 2, 2.3, 3, 1 / 3, 2 / 3];
const int64 = (data: readonly number[]) => ({ data: [...data], dims: [data.length], dataType: 7 });
const ceil = (random: Random) => ({ ceil_mode: random.below(2) });

const KINDS: Readonly<Record<string, Build>> = {
  Conv: (g, x, random) => {
    const attributes = window(random);
    return g.op('Conv', [x, zeros([3, 4, ...(attributes['kernel_shape'] as number[])])], attributes);
  },
  MaxPool: (g, x, random) => g.op('MaxPool', [x], { ...window(random), ...ceil(random) }),
  AveragePool: (g, x, random) =>
    g.op('AveragePool', [x], { ...window(random), ...ceil(random), count_include_pad: random.below(2) }),
  LpPool: (g, x, random) => g.op('LpPool', [x], { ...window(random), ...ceil(random) }),
  ConvTranspose: (g, x, random) => {
    const attributes = window(random);
    return g.op('ConvTranspose', [x, zeros([4, 3, ...(attributes['kernel_shape'] as number[])])], {
      ...attributes,
      ...(random.below(2) === 0 && { output_padding: pair(random, 0, 2) }),
      ...(random.below(4) === 0 && { output_shape: pair(random, 10, 60) }),
    });
  },
  'ConvTranspose with computed weights': (g, x, random) => {
    const weights = g.op('Relu', [
      g.op('Mul', [zeros([4, 3, ...pair(random, 1, 3)]), g.op('ReduceMax', [x], { keepdims: 0 })]),
    ]);
    return g.op('ConvTranspose', [x, weights], {
      strides: pair(random, 1, 3),
      ...(random.below(2) === 0 ? { auto_pad: 'SAME_UPPER' } : {}),
      ...(random.below(2) === 0 ? { output_padding: pair(random, 0, 1) } : {}),
      ...(random.below(4) === 0 ? { output_shape: pair(random, 10, 60) } : {}),
    });
  },
  Einsum: (g, x, random) => {
    const [b, c, h] = [1, 2, 3].map(() => 1 + random.below(2));
    const other = (dims: readonly number[]) => zeros(dims.map((extent) => (random.below(2) === 0 ? 1 : extent)));
    const y = g.op('AveragePool', [x], { kernel_shape: [1, 1] });
    return pick(
      random,
      () => g.op('Einsum', [other([b ?? 1, 5, 4]), y], { equation: 'bqc,bchw->bqhw' }),
      () => g.op('Einsum', [y, other([c ?? 1, 4, h ?? 1, 1])], { equation: 'bchw, bchw -> bhwc' }),
      () => g.op('Einsum', [other([b ?? 1, 1]), y], { equation: 'bc,bc...->b...c' }),
      () => g.op('Einsum', [other([4, 3]), y], { equation: 'ck,bchw' }),
    )();
  },
  Slice: (g, x, random) => {
    const end = () => pick(random, 2 ** 53 - 1, -(2 ** 53 - 1), random.below(30) - 15);
    const bounds = [pair(random, -20, 20), [end(), end()], [2, 3], [pick(random, 1, 2, -1, -2), pick(random, 1, -1)]];
    return g.op('Slice', [x, ...bounds.map(int64)]);
  },
  'Resize by scales': (g, x, random) => {
    const scales = { data: [1, 1, pick(random, ...SCALES), pick(random, ...SCALES)], dims: [4] };
    return g.op('Resize', [x, '', scales], { mode: pick(random, 'nearest', 'linear') });
  },
  'Resize to sizes': (g, x, random) =>
    g.op('Resize', [x, '', '', int64(pair(random, 1, 40))], {
      axes: [2, 3],
      keep_aspect_ratio_policy: pick(random, 'stretch', 'not_larger', 'not_smaller'),
    }),
};

const FOLLOWING: Readonly<Record<string, (g: GraphBuilder, y: string) => string>> = {
  nothing: (_, y) => y,
  'channels behind': (g, y) => g.relu(g.op('Transpose', [y], { perm: [0, 2, 3, 1] })),
  'all in one': (g, y) => g.op('Reshape', [y, int64([-1])]),
  flattened: (g, y) => g.relu(g.flatten(y)),
  'another pool': (g, y) => g.op('MaxPool', [y], { kernel_shape: [2, 1], strides: [2, 1] }),
  'a mean': (g, y) => g.globalAveragePool(y),
};

/**
 * Believed and real extents of the last value, or undefined where ONNX Runtime does not run the
 * model.
 */
async function shapesOf(g: GraphBuilder, y: string, dims: readonly number[]) {
  g.output(y);
  const bytes = g.bytes();
  const { graph, proto } = readModel(bytes);
  const believed = (await inferShapes(graph, proto)).of(graph.outputs[0]);
  const session = await createSession(bytes, { optimize: false });
  try {
    const result = await session.run({ x: new ort.Tensor(new Float32Array(dims.reduce((a, b) => a * b)), dims) });
    return { believed, real: result[y]?.dims };
  } catch {
    return undefined;
  } finally {
    await session.release();
  }
}

const isWrong = (believed: readonly (number | string)[] | undefined, real: readonly number[] | undefined) =>
  believed !== undefined &&
  (believed.length !== real?.length || believed.some((dim, axis) => typeof dim === 'number' && dim !== real[axis]));

describe('inferred shapes', () => {
  test.each(Object.entries(KINDS))('%s', async (kind, build) => {
    let compared = 0;
    for (let seed = 0; seed < 150; seed++) {
      const random = new Random(seed, kind);
      const following = pick(random, ...Object.values(FOLLOWING));
      const dims = [1, 4, ...pair(random, 1, 24)];
      const g = graphBuilder({ opset: 19 });
      const y = following(g, build(g, g.input('x', dims), random));
      const shapes = await shapesOf(g, y, dims).catch(() => undefined);
      if (shapes === undefined) continue;
      compared++;
      expect(isWrong(shapes.believed, shapes.real), `seed ${seed}: ${JSON.stringify(shapes)}`).toBe(false);
    }
    expect(compared).toBeGreaterThan(50);
  });

  test('what is in doubt is its size alone', async () => {
    const g = graphBuilder();
    const y = g.op('MaxPool', [g.input('x', ['n', 4, 12, 12])], {
      kernel_shape: [1, 1],
      strides: [2, 1],
      ceil_mode: 1,
    });
    g.output(g.op('Transpose', [y], { perm: [3, 2, 1, 0] }));
    const { graph, proto } = readModel(g.bytes());
    const { of } = await inferShapes(graph, proto);
    expect(of(graph.outputs[0])).toEqual([12, '', 4, 'n']);
  });

  test('of what a subgraph computes with such operators nothing is believed', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 4, 11, 11]);
    const branch = (name: string) => {
      const inner = graphBuilder();
      inner.op('MaxPool', [x], { kernel_shape: [1, 1], strides: [2, 2], ceil_mode: 1 }, { outputs: [name] });
      inner.output(name);
      return { graph: inner.graph() };
    };
    const condition = g.constant({ data: [1], dims: [], dataType: 9 });
    const taken = g.op('If', [condition], { then_branch: branch('a'), else_branch: branch('b') });
    const shapes = await shapesOf(g, g.relu(taken), [1, 4, 11, 11]);
    expect(shapes).toEqual({ believed: undefined, real: [1, 4, 6, 6] });
  });
});
