/**
 * Models that an earlier compiler got wrong, each with the reason. Every one is run at sizes where
 * the error showed.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { createSession } from '../../src/runtime/session.js';

/** Sums of a few dozen products of size 1: 16 float32 epsilons of the output's scale. */
const TOLERANCE = 16 * 2 ** -23;

async function run(bytes: Uint8Array, dims: readonly number[], others: Record<string, ort.Tensor> = {}) {
  const session = await createSession(bytes, { optimize: false });
  const count = dims.reduce((total, dim) => total * dim, 1);
  const feeds = { x: new ort.Tensor(normals(3, 'x', count), [...dims]), ...others };
  const [result] = Object.values(await session.run(feeds));
  await session.release();
  if (result === undefined) throw new Error('no output');
  return { dims: result.dims, values: Array.from(result.data as Float32Array, Number) };
}

/** Masked and compiled model agree at all sizes given; returns whether anything was removed. */
async function expectEqual(
  bytes: Uint8Array,
  sizes: readonly (readonly number[])[],
  others?: Record<string, ort.Tensor>,
) {
  const compiled = await compileModel(bytes, { align: 1 });
  for (const dims of sizes) {
    const [masked, ours] = [await run(bytes, dims, others), await run(compiled.encode(), dims, others)];
    expect(ours.dims).toEqual(masked.dims);
    const scale = Math.max(0, ...masked.values.filter(Number.isFinite).map(Math.abs));
    for (const [index, value] of masked.values.entries()) {
      const other = ours.values[index] ?? Number.NaN;
      // A window wholly in the padding gives minus infinity, and 0 times that is NaN: in both
      // models.
      if (!Object.is(value, other)) expect(Math.abs(value - other)).toBeLessThanOrEqual(TOLERANCE * scale);
    }
  }
  return compiled.report.changed;
}

/** 1x1 convolution to 4 channels, of which 1 and 2 are the constants 0.7 and -0.4. */
function constants(g: GraphBuilder, x: string, columns: number): string {
  const data = normals(1, 'w', 4 * columns);
  data.fill(0, columns, 3 * columns);
  return g.conv(x, { data, dims: [4, columns, 1, 1] }, { bias: [1, 0.7, -0.4, 2] });
}

const reader = (rows: number, kernel: number) => ({
  data: normals(2, 'reader', rows * 4 * kernel * kernel),
  dims: [rows, 4, kernel, kernel],
});

describe('models that were compiled wrong', () => {
  test('where a computed target takes channels apart, one of its axes says nothing of the others', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 2, 'height', 'width']);
    const data = normals(1, 'w', 12 * 2).fill(0, 8, 16);
    // The first of the four constants is 0, and only it was looked at.
    const bias = [1, 1, 1, 1, 0, 0.7, 0.2, 0.4, 1, 1, 1, 1];
    const hidden = g.conv(x, { data, dims: [12, 2, 1, 1] }, { bias });
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [hidden]), int64([axis])], { axis: 0 });
    const [batch, height, width] = [size(0), size(2), size(3)];
    const apart = g.op('Reshape', [hidden, g.concat([batch, int64([3, 2, 2]), height, width], 0)]);
    const turned = g.transpose(apart, [0, 1, 4, 2, 5, 3]);
    const sides = [height, width].map((side) => g.mul(side, int64([2])));
    const whole = g.op('Reshape', [turned, g.concat([batch, int64([3]), ...sides], 0)]);
    g.output(g.conv(whole, { data: normals(2, 'reader', 2 * 3), dims: [2, 3, 1, 1] }));
    await expectEqual(g.bytes(), [
      [2, 2, 3, 5],
      [1, 2, 1, 1],
    ]);
  });

  test('a bias that is also a graph output is copied before constants are added to it', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const bias = g.initializer('bias', [3], [1, 2, 3]);
    g.output(bias, [3]);
    g.output(g.conv(constants(g, x, 2), reader(3, 1), { bias }));
    expect(await expectEqual(g.bytes(), [[1, 2, 4, 4]])).toBe(true);
  });

  test('a dilated pool whose window lies wholly in the padding of a tiny image', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 'h', 'w']);
    const pooled = g.maxPool(constants(g, x, 2), [2, 2], { dilations: 3, pads: 1 });
    g.output(g.conv(pooled, reader(3, 1)));
    await expectEqual(g.bytes(), [
      [1, 2, 2, 2],
      [1, 2, 9, 7],
    ]);
  });

  test('a normalisation whose scale is an input is no scale to fold into', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const scale = g.input('scale', [3]);
    const parameters = { shift: { data: [1, 2, 3] }, mean: { data: [0, 0, 0] }, variance: { data: [1, 1, 1] } };
    g.output(g.batchNorm(g.conv(constants(g, x, 2), reader(3, 3), { pads: 1 }), { scale, ...parameters }));
    const others = { scale: new ort.Tensor(Float32Array.of(2, -3, 0.5), [3]) };
    expect(await expectEqual(g.bytes(), [[1, 2, 5, 5]], others)).toBe(true);
  });

  test('a Gemm bias of one number per row is none per output', async () => {
    const g = graphBuilder();
    const x = g.input('x', [4, 2, 1, 1]);
    const flat = g.flatten(constants(g, x, 2));
    const weights = { data: normals(4, 'gemm', 16), dims: [4, 4] };
    g.output(g.op('Gemm', [flat, weights, { data: [1, 2, 3, 4], dims: [4, 1] }], { transB: 1 }));
    expect(await expectEqual(g.bytes(), [[4, 2, 1, 1]])).toBe(true);
  });

  test('an extent that goes through floating point rounds there and not before', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 6, 6]);
    const hidden = constants(g, x, 2);
    const size = g.op('Cast', [g.slice(g.op('Shape', [x]), { axes: [0], starts: [2], ends: [3] })], { to: 1 });
    const same = g.mul(g.op('Div', [size, { data: [4] }]), { data: [4] });
    const target = g.concat([g.op('Cast', [same], { to: 7 }), int64([-1])], 0);
    g.output(g.op('Reshape', [g.conv(hidden, reader(3, 1)), target]));
    await expectEqual(g.bytes(), [[1, 2, 6, 6]]);
  });

  test('an output that still declares a fixed batch says nothing about the batch', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 2, 4, 4]);
    const hidden = constants(g, x, 2);
    g.output(hidden, [1, 4, 4, 4]);
    const read = g.conv(hidden, reader(3, 1));
    const batch = g.slice(g.op('Shape', [hidden]), { axes: [0], starts: [0], ends: [1] });
    g.output(g.op('Reshape', [read, g.concat([batch, int64([-1])], 0)]));
    await expectEqual(g.bytes(), [
      [1, 2, 4, 4],
      [2, 2, 4, 4],
    ]);
  });

  test('in an old format, weights in a Constant that two edits replace', async () => {
    const g = graphBuilder({ opset: 7 });
    const x = g.input('x', [1, 1, 7, 6]);
    const dead = { data: [0, 0], dims: [2, 1, 1, 1] };
    const hidden = g.relu(g.conv(x, dead, { bias: [-0.4, 0.4] }));
    const each = { data: [0.3, -0.6], dims: [2, 1, 1, 1] };
    const window = { group: 2, kernel_shape: [1, 1], pads: [1, 0, 0, 2] };
    const placed = g.op('Conv', [hidden, each, { data: [0.6, 0.4] }], window);
    const kernel = g.constant({ data: normals(6, 'reader', 18), dims: [1, 2, 3, 3] });
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    g.output(g.op('Conv', [placed, kernel, { data: [1.4] }], attributes));
    expect(await expectEqual(g.bytes(), [[1, 1, 7, 6]])).toBe(true);
  });

  test('two inputs with batches of their own: ones take the right one', async () => {
    const g = graphBuilder();
    const other = g.input('other', ['views', 2, 6, 6]);
    const x = g.input('x', ['batch', 2, 6, 6]);
    g.output(g.conv(constants(g, x, 2), reader(3, 3), { pads: 1 }));
    g.output(g.conv(constants(g, other, 2), reader(3, 3), { pads: 1 }));
    const others = { other: new ort.Tensor(normals(9, 'other', 3 * 72), [3, 2, 6, 6]) };
    expect(await expectEqual(g.bytes(), [[2, 2, 6, 6]], others)).toBe(true);
  });
});
