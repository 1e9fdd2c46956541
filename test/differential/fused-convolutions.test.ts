/**
 * FusedConv, as ONNX Runtime's optimiser writes it. Filters 0, 2, 4 and 6 of eight are zero;
 * compiled, the network gives the same outputs and keeps as many of the eight as the case says.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type Input } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { createSession } from '../../src/runtime/session.js';

const HIDDEN = 8;
const DIMS = [2, 4, 6, 6] as const;
/** Two sums of at most 72 products of size 1. */
const TOLERANCE = 64 * 2 ** -23;

const size = (dims: readonly number[]) => dims.reduce((total, extent) => total * extent, 1);
const weights = (name: string, dims: readonly number[]) => ({ data: normals(4, name, size(dims)), dims });
/** [8, …] with dead filters. */
const pruned = (...dims: readonly number[]) => ({
  data: normals(3, 'pruned', size(dims)).map((value, at) =>
    Math.floor((at * HIDDEN) / size(dims)) % 2 === 0 ? 0 : value,
  ),
  dims,
});
const bias = { data: [0.5, 1, -0.5, 2, 7, 3, 0, 4] };
const fused = (g: GraphBuilder, inputs: readonly Input[], activation: string, more = {}) =>
  g.op('FusedConv', inputs, { ...(activation !== '' && { activation }), ...more }, { domain: 'com.microsoft' });
const clip = { activation_params: { floats: [0, 6] } };
const pads = { pads: [1, 1, 1, 1] };

const CASES: readonly {
  readonly name: string;
  readonly kept: number;
  readonly network: (g: GraphBuilder, x: string) => string;
}[] = [
  ...(['', 'Relu', 'Clip'] as const).map((activation) => ({
    name: `constants after ${activation || 'no activation'} go into a bias`,
    kept: 4,
    network: (g: GraphBuilder, x: string) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 4, 3, 3), bias], activation, {
        ...pads,
        ...(activation === 'Clip' && clip),
      });
      return fused(g, [hidden, weights('out', [3, HIDDEN, 1, 1]), { data: [1, 2, 3] }], 'Relu');
    },
  })),
  {
    name: 'constants that a padded layer reads ride on one of them',
    kept: 5,
    network: (g, x) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 4, 1, 1), bias], 'Relu');
      return fused(g, [hidden, weights('out', [3, HIDDEN, 3, 3])], 'Sigmoid', pads);
    },
  },
  ...(['Sigmoid', 'HardSigmoid'] as const).map((activation) => ({
    name: `what ${activation} makes of a constant is not known`,
    kept: 8,
    network: (g: GraphBuilder, x: string) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 4, 1, 1), bias], activation, {
        ...(activation === 'HardSigmoid' && { activation_params: { floats: [0.2, 0.5] } }),
      });
      return g.conv(hidden, weights('out', [3, HIDDEN, 1, 1]));
    },
  })),
  ...(['LeakyRelu', 'Tanh'] as const).map((activation) => ({
    name: `${activation} keeps zeros`,
    kept: 4,
    network: (g: GraphBuilder, x: string) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 4, 1, 1)], activation, {
        ...(activation === 'LeakyRelu' && { activation_params: { floats: [0.1] } }),
      });
      return g.conv(hidden, weights('out', [3, HIDDEN, 3, 3]), { pads: 1 });
    },
  })),
  {
    name: 'two groups',
    kept: 4,
    network: (g, x) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 2, 3, 3), bias], 'Relu', { group: 2, ...pads });
      return fused(g, [hidden, weights('out', [6, 4, 1, 1])], 'Relu', { group: 2 });
    },
  },
  {
    name: 'a sum that is joined as well is not followed',
    kept: 8,
    network: (g, x) => {
      const hidden = fused(g, [x, pruned(HIDDEN, 4, 1, 1), bias], 'Relu');
      const sum = fused(g, [hidden, pruned(HIDDEN, HIDDEN, 1, 1), bias, hidden], 'Relu');
      return g.conv(sum, weights('out', [3, HIDDEN, 1, 1]));
    },
  },
];

async function run(bytes: Uint8Array) {
  const session = await createSession(bytes, { optimize: false });
  const [result] = Object.values(await session.run({ x: new ort.Tensor(normals(9, 'x', size(DIMS)), [...DIMS]) }));
  await session.release();
  if (result === undefined) throw new Error('no output');
  return { dims: result.dims, values: result.data as Float32Array };
}

describe('FusedConv', () => {
  test.each(CASES)('$name', async ({ kept, network }) => {
    const g = graphBuilder();
    g.output(network(g, g.input('x', DIMS)));
    const bytes = g.bytes();
    const compiled = await compileModel(bytes, { align: 1 });
    const [before, after] = [await run(bytes), await run(compiled.encode())];
    expect(after.dims).toEqual(before.dims);
    const scale = before.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [at, value] of before.values.entries())
      expect(Math.abs(value - (after.values[at] ?? Number.NaN))).toBeLessThanOrEqual(TOLERANCE * scale);
    expect(compiled.report.layers[0]?.keptOutputChannels).toBe(kept);
  });
});
