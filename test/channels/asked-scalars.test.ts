/** Constants behind operators are what ONNX Runtime makes of them, and unknown where that is unsure. */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { type Dim, graphBuilder, type GraphBuilder, int64, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { FLOAT, FLOAT16, INT32 } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { passContext } from '../../src/pipeline.js';
import { createSession } from '../../src/runtime/session.js';

const CHANNELS = 3;
const STATIC = [1, CHANNELS, 4, 5] as const;

/** Filter 1 of the convolution is zero and has the bias `k`. */
function model(k: number, dims: readonly Dim[], apply: (g: GraphBuilder, x: string) => string): Uint8Array {
  const g = graphBuilder();
  const data = normals(1, 'w', CHANNELS * CHANNELS).fill(0, CHANNELS, 2 * CHANNELS);
  const x = g.input('x', dims);
  g.output(apply(g, g.conv(x, { data, dims: [CHANNELS, CHANNELS, 1, 1] }, { bias: [1, k, 2] })));
  return g.bytes();
}

/** What the analysis says of channel 1 of the output; NaN where it varies. */
async function claimed(bytes: Uint8Array): Promise<number> {
  const facts = await passContext(readModel(bytes)).facts();
  const [output] = facts.graphInfo.graph.outputs;
  const axis = output === undefined ? undefined : facts.positions.axesOf(output)[1];
  return axis === undefined ? Number.NaN : (facts.constant[axis.base + 1] ?? Number.NaN);
}

async function computed(bytes: Uint8Array): Promise<Set<number>> {
  const session = await createSession(bytes, { optimize: false });
  const size = CHANNELS * 4 * 5;
  const [result] = Object.values(await session.run({ x: new ort.Tensor(normals(2, 'x', size), [...STATIC]) }));
  await session.release();
  const inner = (result?.size ?? 0) / CHANNELS;
  return new Set(Array.from(result?.data as Float32Array).slice(inner, 2 * inner));
}

const op =
  (type: string, attributes: Parameters<GraphBuilder['op']>[2] = {}) =>
  (g: GraphBuilder, x: string): string =>
    g.op(type, [x], attributes);
const cast = (g: GraphBuilder, x: string, to: number): string => g.op('Cast', [x], { to });

describe('the scalar is the one of the runtime, to the bit', () => {
  test.each([
    ['Sigmoid', op('Sigmoid')],
    ['Erf', op('Erf')],
    ['Pow', (g: GraphBuilder, x: string) => g.op('Pow', [x, scalar(3)])],
    ['Cast to float16 and back', (g: GraphBuilder, x: string) => cast(g, cast(g, x, FLOAT16), FLOAT)],
    ['ReduceL2 of all places', op('ReduceL2', { axes: [2, 3] })],
    ['Softmax over places', op('Softmax', { axis: 3 })],
  ])('%s', async (_, apply) => {
    const bytes = model(0.7, STATIC, apply);
    expect(await computed(bytes)).toEqual(new Set([await claimed(bytes)]));
  });
});

describe('what jumps wants its operand to the last digit', () => {
  test('a bias is known so', async () => {
    expect(await claimed(model(1.75, STATIC, op('Floor')))).toBe(1);
    expect(await claimed(model(-1.75, STATIC, (g, x) => cast(g, cast(g, x, INT32), FLOAT)))).toBe(-1);
  });

  test('what a function made of it is not', async () => {
    const rounded = (g: GraphBuilder, x: string) => g.op('Exp', [x]);
    expect(await claimed(model(1.75, STATIC, (g, x) => g.op('Floor', [rounded(g, x)])))).toBeNaN();
    expect(await claimed(model(1.75, STATIC, (g, x) => cast(g, cast(g, rounded(g, x), INT32), FLOAT)))).toBeNaN();
    // Between two of them nothing is made of it.
    expect(await claimed(model(1.75, STATIC, (g, x) => g.op('Floor', [g.relu(x)])))).toBe(1);
  });

  test('a mean is not, and zero is', async () => {
    const ofMean = (g: GraphBuilder, x: string) => g.op('Ceil', [g.reduceMean(x, [2, 3])]);
    expect(await claimed(model(1.75, STATIC, ofMean))).toBeNaN();
    expect(await claimed(model(0, STATIC, ofMean))).toBe(0);
  });
});

test('nothing is divided by an integer zero, which the runtime refuses', async () => {
  const seven = { data: Int32Array.of(7), dims: [], dataType: INT32 };
  const quotient = (g: GraphBuilder, x: string) => cast(g, g.op('Div', [seven, cast(g, x, INT32)]), FLOAT);
  expect(await claimed(model(0, STATIC, quotient))).toBeNaN();
  expect(await claimed(model(2, STATIC, quotient))).toBe(3);
});

describe('over an axis of unknown extent', () => {
  const dims = [1, CHANNELS, 'h', 'w'];
  test.each([
    ['ReduceMean', 0.5, 0.5],
    ['ReduceMax', 0.5, 0.5],
    ['ReduceSum', 0, 0],
    ['ReduceSum', 0.5, Number.NaN],
    ['ReduceL2', 0, 0],
    ['ReduceProd', 0, Number.NaN],
    ['ReduceLogSumExp', 0.5, Number.NaN],
  ])('%s of %d', async (type, k, expected) => {
    const reduced = (g: GraphBuilder, x: string) =>
      type === 'ReduceSum' ? g.op(type, [x, int64([2, 3])]) : g.op(type, [x], { axes: [2, 3] });
    expect(await claimed(model(k, dims, reduced))).toEqual(expected);
  });
});

test('computed axes pin everything', async () => {
  const computedAxes = (g: GraphBuilder, x: string) =>
    g.op('ReduceSum', [x, g.op('Gather', [g.op('Shape', [x]), int64([0])])], { keepdims: 1 });
  expect(await claimed(model(0, STATIC, computedAxes))).toBeNaN();
});
