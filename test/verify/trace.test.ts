/** The first value at which two models part. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { traceModels } from '../../src/verify/trace.js';
import { parameters, smallNet } from './small-net.js';

const net = parameters();

const changed = (values: Float32Array, at: number, by: number) =>
  values.map((value, index) => (index === at ? value + by : value));

const places = async (one: Uint8Array, other: Uint8Array) =>
  (await traceModels(one, other)).parts.map(({ op, name }) => [op, name]);

test('the layer whose weight is another one', async () => {
  const reference = smallNet(net);
  const second = await traceModels(reference, smallNet({ ...net, w2: changed(net.w2, 7, 0.1) }));
  expect(second.parts.map(({ op, name }) => [op, name])).toEqual([['Conv', 'Conv_1_output_0']]);
  expect([second.compared, second.of]).toEqual([7, 7]);
  const [part] = second.parts;
  expect(part?.difference).toBeGreaterThan(part?.bound ?? 1);
  expect(await places(reference, smallNet({ ...net, w1: changed(net.w1, 0, 0.1) }))).toEqual([
    ['Conv', 'Conv_output_0'],
  ]);
  expect(await places(reference, smallNet({ ...net, b3: changed(net.b3, 1, 0.1) }))).toEqual([
    ['Gemm', 'Gemm_output_0'],
  ]);
});

test('two places, each with nothing wrong before it', async () => {
  const build = (left: number, right: number) => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 4]);
    const branch = (name: string, factor: number) =>
      g.op('MatMul', [x, { dims: [4, 4], data: normals(1, name, 16).map((value) => factor * value) }]);
    g.output(g.add(branch('l', left), branch('r', right)));
    return g.bytes();
  };
  expect(await places(build(1, 1), build(1.1, 0.9))).toEqual([
    ['MatMul', 'MatMul_output_0'],
    ['MatMul', 'MatMul_1_output_0'],
  ]);
});

test('what is made up for later is no parting: only what leads to an output counts', async () => {
  const build = (factor: number, shift: number) => {
    const g = graphBuilder();
    const scale = (x: string, by: number) => g.mul(x, { dims: [], data: [by] });
    const doubled = scale(g.input('x', ['n', 4]), factor);
    g.output(g.add(scale(doubled, 1 / factor), { dims: [], data: [shift] }));
    return g.bytes();
  };
  const { parts, differing } = await traceModels(build(2, 0), build(4, 0.5));
  expect(parts.map(({ op }) => op)).toEqual(['Add']);
  expect(differing).toBe(2);
});

describe('fewer channels', () => {
  /** Filters 1 and 4 of the first layer are zero, with their biases. */
  const pruned = () => {
    const [w1, b1] = [Float32Array.from(net.w1), Float32Array.from(net.b1)];
    for (const filter of [1, 4]) {
      w1.fill(0, filter * 27, (filter + 1) * 27);
      b1[filter] = 0;
    }
    return { ...net, w1, b1 };
  };

  test('are among those of the reference, in order; the wrong layer is found behind them', async () => {
    const reference = smallNet(pruned());
    const compiled = (await compileModel(reference, { align: 1 })).encode();
    const good = await traceModels(reference, compiled);
    expect(good.parts).toEqual([]);
    const wrong = smallNet({ ...pruned(), w3: changed(net.w3, 2, 0.2) });
    const other = (await compileModel(wrong, { align: 1 })).encode();
    expect(await places(reference, other)).toEqual([['Gemm', 'Gemm_output_0']]);
  });

  test('that are none of the reference are found', async () => {
    const reference = smallNet(pruned());
    const wrong = smallNet({ ...pruned(), w1: changed(pruned().w1, 2 * 27, 0.3) });
    const { parts } = await traceModels(reference, (await compileModel(wrong, { align: 1 })).encode());
    expect(parts.map(({ op, narrowed }) => [op, narrowed])).toEqual([['Conv', { axis: 1, from: 8, to: 6 }]]);
  });
});

test('models without a name in common: the place cannot be told', async () => {
  const build = (name: string, factor: number) => {
    const g: GraphBuilder = graphBuilder();
    const inner = g.op(
      'Mul',
      [g.input('x', ['n', 2]), { dims: [], data: [factor] }],
      {},
      { outputs: [`${name}_inner`] },
    );
    g.output(g.op('Relu', [inner], {}, { outputs: ['y'] }));
    return g.bytes();
  };
  // The output itself is there in both.
  expect(await traceModels(build('a', 1), build('b', 2))).toMatchObject({ compared: 1, of: 2, parts: [{ name: 'y' }] });
});
