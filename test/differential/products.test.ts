/**
 * Matrix products in small networks: a hidden layer of eight units, of which four are zero, between
 * two of the products. Compiled, the network gives the same outputs, and has four hidden units.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type TensorLiteral } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { createSession } from '../../src/runtime/session.js';

const HIDDEN = 8;
const WIDTH = 6;
/** Two sums of at most eight products of size 1. */
const TOLERANCE = 16 * 2 ** -23;
const MICROSOFT = { domain: 'com.microsoft' };

/** A matrix whose rows or columns 0, 2, 4 and 6 are zero. */
function pruned(rows: number, columns: number, axis: 0 | 1, leading: readonly number[] = []): TensorLiteral {
  const data = normals(3, 'pruned', rows * columns).map((value, at) => {
    const unit = axis === 0 ? Math.floor(at / columns) : at % columns;
    return unit % 2 === 0 ? 0 : value;
  });
  return { data, dims: [...leading, rows, columns] };
}

const full = (...dims: readonly number[]): TensorLiteral => ({
  data: normals(
    4,
    'full',
    dims.reduce((total, extent) => total * extent, 1),
  ),
  dims,
});

/** One number per hidden unit, so that the dead ones are constants: rows are axis -2. */
const bias = (asRows: boolean): TensorLiteral => ({
  data: normals(5, 'bias', HIDDEN),
  dims: asRows ? [HIDDEN, 1] : [HIDDEN],
});

type Network = (g: GraphBuilder, x: string) => string;
const fused = (g: GraphBuilder, a: string | TensorLiteral, b: string | TensorLiteral, attributes = {}) =>
  g.op('FusedMatMul', [a, b], attributes, MICROSOFT);

/** x is [2, WIDTH, WIDTH]. */
const NETWORKS: readonly (readonly [name: string, kept: number, network: Network])[] = [
  [
    'constants on the right',
    4,
    (g, x) => g.op('MatMul', [g.add(g.op('MatMul', [x, pruned(WIDTH, HIDDEN, 1)]), bias(false)), full(HIDDEN, 3)]),
  ],
  [
    'constants on the left (token mixing)',
    4,
    (g, x) => g.op('MatMul', [full(3, HIDDEN), g.add(g.op('MatMul', [pruned(HIDDEN, WIDTH, 0), x]), bias(true))]),
  ],
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB): (typeof NETWORKS)[number] => [
      `Gemm with the constant as A, transA ${transA}, transB ${transB}`,
      4,
      (g, x) => {
        const first = transA === 1 ? pruned(WIDTH, HIDDEN, 1) : pruned(HIDDEN, WIDTH, 0);
        const [row] = g.ops('Split', [x, { data: BigInt64Array.of(1n, 1n) }], { axis: 0 }, { outputs: 2 });
        const square = g.reshape(row ?? '', [WIDTH, WIDTH]);
        const made = g.op('Gemm', [first, square], { transA, transB, alpha: 0.5 });
        const added = g.op('Gemm', [full(3, HIDDEN), g.relu(g.add(made, bias(true))), { data: [1, 2, 3, 4, 5, 6] }], {
          beta: 2,
        });
        return g.op('Gemm', [full(2, 3), added, { data: [0.5, -1], dims: [2, 1] }]);
      },
    ]),
  ),
  [
    'constants on the left, then on the right',
    4,
    (g, x) =>
      g.op('MatMul', [
        g.transpose(g.add(g.op('MatMul', [pruned(HIDDEN, WIDTH, 0), x]), bias(true)), [0, 2, 1]),
        full(HIDDEN, 3),
      ]),
  ],
  [
    'constants of rank 3',
    4,
    (g, x) =>
      g.op('MatMul', [g.add(g.op('MatMul', [x, pruned(WIDTH, HIDDEN, 1, [1])]), bias(false)), full(1, HIDDEN, 3)]),
  ],
  [
    'a constant matrix per place',
    8,
    (g, x) => g.op('MatMul', [g.add(g.op('MatMul', [x, pruned(WIDTH, HIDDEN, 1)]), bias(false)), full(2, HIDDEN, 3)]),
  ],
  [
    'FusedMatMul with transposed operands',
    4,
    (g, x) => {
      const hidden = g.add(fused(g, x, pruned(HIDDEN, WIDTH, 0), { transA: 1, transB: 1, alpha: 0.5 }), bias(false));
      return fused(g, full(HIDDEN, 3), hidden, { transA: 1, transB: 1, alpha: 2 });
    },
  ],
];

async function run(bytes: Uint8Array) {
  const session = await createSession(bytes, { optimize: false });
  const dims = [2, WIDTH, WIDTH];
  const [result] = Object.values(await session.run({ x: new ort.Tensor(normals(9, 'x', 2 * WIDTH * WIDTH), dims) }));
  await session.release();
  if (result === undefined) throw new Error('no output');
  return { dims: result.dims, values: result.data as Float32Array };
}

describe('matrix products', () => {
  test.each(NETWORKS)('%s: %i units stay', async (_, kept, network) => {
    const g = graphBuilder();
    g.output(network(g, g.input('x', [2, WIDTH, WIDTH])));
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
