import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { denseVariant } from '../../src/bench/dense.js';
import { BOOL, FLOAT, FLOAT16 } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

const WEIGHT_DIMS = [4, 2, 3, 3];
const weights = normals(1, 'w', 72, 0.2);
const mask = Float32Array.from(weights, (_, index) => index % 2);

function zerosIn(bytes: Uint8Array): number {
  let zeros = 0;
  for (const { initializer } of readModel(bytes).graph.initializers()) {
    if (initializer.dims.length === 4) for (const value of initializer.numbers()) if (value === 0) zeros++;
  }
  return zeros;
}

describe('denseVariant', () => {
  test('refills zeros with small values and leaves the others alone', () => {
    const g = graphBuilder();
    const pruned = weights.map((value, index) => value * (mask[index] ?? 0));
    g.output(g.conv(g.input('x', [1, 2, 5, 5]), { data: pruned, dims: WEIGHT_DIMS }));
    const { bytes, refilledWeights, bypassedMasks } = denseVariant(readModel(g.bytes()));
    expect({ refilledWeights, bypassedMasks }).toEqual({ refilledWeights: 36, bypassedMasks: 0 });
    const [tensor] = [...readModel(bytes).graph.initializers()];
    const values = tensor?.initializer.numbers() ?? [];
    for (const [index, value] of values.entries()) {
      if (mask[index] === 1) expect(value).toBe(weights[index]);
      else expect(Math.abs(value)).toSatisfy((size: number) => size > 5e-4 && size < 5e-3);
    }
  });

  test.each(['weight first', 'mask first'])('bypasses masks in the graph (%s)', async (order) => {
    const g = graphBuilder();
    const w = g.initializer('weight_orig', WEIGHT_DIMS, weights);
    const bools = g.initializer(
      'weight_mask',
      WEIGHT_DIMS,
      Array.from(mask, (value) => value === 1),
      BOOL,
    );
    const cast = g.op('Cast', [g.op('Identity', [bools])], { to: FLOAT });
    const product = g.mul(...(order === 'weight first' ? ([w, cast] as const) : ([cast, w] as const)));
    g.output(g.conv(g.input('x', [1, 2, 5, 5]), product, { kernel: [3, 3] }));
    const { bytes, bypassedMasks } = denseVariant(readModel(g.bytes()));
    expect(bypassedMasks).toBe(1);
    const plain = graphBuilder();
    plain.output(plain.conv(plain.input('x', [1, 2, 5, 5]), { data: weights, dims: WEIGHT_DIMS }));
    expect(await firstOutput(bytes)).toEqual(await firstOutput(plain.bytes()));
  });

  test('refills weights in Constant nodes, float16 ones too', () => {
    const g = graphBuilder({ constantNodes: true });
    const zeros = { data: Float32Array.from(weights, () => 0), dims: WEIGHT_DIMS, dataType: FLOAT16 };
    g.output(g.conv(g.input('x', [1, 2, 5, 5], FLOAT16), zeros), undefined, FLOAT16);
    const { bytes, refilledWeights } = denseVariant(readModel(g.bytes()));
    expect(refilledWeights).toBe(72);
    const constant = readModel(bytes)
      .graph.nodes.find(({ opType }) => opType === 'Constant')
      ?.tensor('value');
    expect(constant?.numbers().every((value) => value !== 0)).toBe(true);
  });

  test('does not take a product of two weights for a mask, nor a computed value for a weight', () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const scaled = g.mul({ data: weights, dims: WEIGHT_DIMS }, { data: [2, 0.5, 1, 1], dims: [4, 1, 1, 1] });
    g.output(g.mul(g.conv(x, scaled, { kernel: [3, 3] }), { data: [0, 1, 1, 0], dims: [1, 4, 1, 1] }));
    expect(denseVariant(readModel(g.bytes())).bypassedMasks).toBe(0);
  });

  test('leaves the model as it was and is the same for the same seed', () => {
    const g = graphBuilder();
    const pruned = weights.map((value, index) => value * (mask[index] ?? 0));
    g.output(
      g.conv(
        g.input('x', [1, 2, 5, 5]),
        g.mul({ data: pruned, dims: WEIGHT_DIMS }, { data: mask, dims: WEIGHT_DIMS }),
        { kernel: [3, 3] },
      ),
    );
    const model = readModel(g.bytes());
    const before = encodeModel(model);
    const first = denseVariant(model);
    expect(encodeModel(model)).toEqual(before);
    expect(denseVariant(model).bytes).toEqual(first.bytes);
    expect(denseVariant(model, 2).bytes).not.toEqual(first.bytes);
    // What is left are the zeros of the mask, which nobody reads.
    expect(zerosIn(first.bytes)).toBe(36);
  });
});

async function firstOutput(model: Uint8Array): Promise<number[]> {
  const session = await ort.InferenceSession.create(model);
  const results = await session.run({ x: new ort.Tensor('float32', normals(5, 'x', 50), [1, 2, 5, 5]) });
  const data = results[session.outputNames[0] ?? '']?.data;
  await session.release();
  return data instanceof Float32Array ? [...data] : [];
}
