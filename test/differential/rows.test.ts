/**
 * Every example of an operator that computes elements, or looks along an axis, in a small network:
 *
 *   x -> 1x1 convolution, filters 1 and 3 are zero -> the operator -> 1x1 convolution
 *
 * Compiled with both meanings of a masked filter, it gives the same outputs, and loses the channels
 * that the row lets go.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { inspectGraph } from '../../src/graph-info/inspect-graph.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { CHANNELS, SIZE } from '../ops/examples.js';
import { ELEMENTWISE } from '../ops/examples-elementwise.js';
import { REDUCTIONS } from '../ops/examples-reductions.js';

type Apply = (typeof ELEMENTWISE)[string][number];

const DIMS = [2, CHANNELS, SIZE, SIZE];
const DEAD = [1, 3];
/** Two layers of four channels each, and values of size 10: what their rounding is worth. */
const TOLERANCE = 64 * 2 ** -23;

/** Undefined where no convolution can read what the operator makes. */
async function network(apply: Apply, opset: number, constants: readonly number[]): Promise<Uint8Array | undefined> {
  const { graph, shapes } = await inspectGraph(readModel(start(apply, opset, constants).builder.bytes()));
  const dims = shapes.of(graph.outputs[0]);
  const axis = dims?.length === 4 ? dims.indexOf(CHANNELS) : -1;
  if (axis !== 1 && axis !== 3) return undefined;
  const { builder, result } = start(apply, opset, constants, false);
  const read = axis === 1 ? result : builder.transpose(result, [0, 3, 1, 2]);
  builder.output(builder.conv(read, { data: normals(5, 'head', 3 * CHANNELS), dims: [3, CHANNELS, 1, 1] }));
  return builder.bytes();
}

function start(apply: Apply, opset: number, constants: readonly number[], isOutput = true) {
  const builder = graphBuilder({ opset });
  const data = normals(3, 'mix', CHANNELS * CHANNELS);
  const bias = normals(3, 'bias', CHANNELS);
  for (const [at, filter] of DEAD.entries()) {
    data.fill(0, filter * CHANNELS, (filter + 1) * CHANNELS);
    bias[filter] = constants[at] ?? 0;
  }
  const weights = { data, dims: [CHANNELS, CHANNELS, 1, 1] };
  const result = apply(builder, builder.conv(builder.input('x', DIMS), weights, { bias: { data: bias } }));
  if (isOutput) builder.output(result);
  return { builder, result };
}

async function run(bytes: Uint8Array): Promise<Float32Array> {
  const session = await createSession(bytes, { optimize: false });
  const [result] = Object.values(
    await session.run({ x: new ort.Tensor(normals(9, 'x', 2 * CHANNELS * SIZE * SIZE), DIMS) }),
  );
  await session.release();
  return result?.data as Float32Array;
}

/** How many filters of the first convolution went; undefined where the example does not fit. */
async function removed(apply: Apply, opset: number, constants: readonly number[]): Promise<number | undefined> {
  const bytes = await network(apply, opset, constants);
  if (bytes === undefined) return undefined;
  const compiled = await compileModel(bytes, { align: 1 });
  const [before, after] = [await run(bytes), await run(compiled.encode())];
  const scale = before.filter(Number.isFinite).reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  for (const [at, value] of before.entries())
    if (!Object.is(value, after[at]))
      expect(Math.abs(value - (after[at] ?? Number.NaN))).toBeLessThanOrEqual(TOLERANCE * scale);
  return CHANNELS - (compiled.report.layers[0]?.keptOutputChannels ?? 0);
}

/** Both constants, and none: a dropped filter holds 0. */
const MEANINGS = [
  [0.7, -1.3],
  [0, 0],
] as const;

/**
 * Of the two dead filters both go, with both pairs of constants; here others, by operator and number
 * of the example.
 */
const EXPECTED: ReadonlyMap<string, readonly [number, number]> = new Map([
  // A factor of zero makes a third channel zero.
  ['Mul 0', [3, 3]],
  ['Mul 1', [3, 3]],
  // A negative number has no root.
  ['Pow 1', [1, 2]],
  // The product in front is not known to the last digit, and the operator decides by that.
  ['Mod 1', [0, 2]],
  ['BitwiseNot 0', [0, 2]],
  ['BitShift 0', [0, 2]],
  ['BitShift 1', [0, 2]],
  ['BitwiseAnd 0', [0, 2]],
  ['BitwiseOr 0', [0, 2]],
  ['BitwiseXor 0', [0, 2]],
  // Sums up to a place of anything but zeros vary along the axis; of channels they are mixed.
  ['CumSum 0', [0, 2]],
  ['CumSum 1', [0, 2]],
  ['CumSum 2', [0, 0]],
  // Along the channels; before opset 13 along all axes behind the first as well.
  ['Softmax 1', [0, 0]],
  ['Softmax@7 2', [0, 0]],
  ['Softmax@11 2', [0, 0]],
  // One of equal numbers is 1: the channel is no constant.
  ['Hardmax 0', [0, 0]],
  ['Hardmax 1', [0, 0]],
  ['LpNormalization 1', [0, 0]],
  ['LRN 0', [0, 0]],
  // By a deviation that is zero.
  ['MeanVarianceNormalization 0', [0, 0]],
  // Zeros of padding are part of some windows.
  ['LpPool 1', [0, 2]],
  // Indices count through all channels.
  ['MaxPool@9 1', [0, 0]],
]);

const cases = Object.entries({ ...ELEMENTWISE, ...REDUCTIONS }).flatMap(([key, examples]) => {
  const [op = '', opset = ''] = key.split('@');
  return examples.map((apply, index) => ({
    name: `${key} ${index}`,
    expected: EXPECTED.get(`${key} ${index}`) ?? EXPECTED.get(`${op} ${index}`) ?? [DEAD.length, DEAD.length],
    opset: Number(opset),
    apply,
  }));
});

describe('networks through one operator', () => {
  test.each(cases)('$name', async ({ opset, apply, expected }) => {
    const counts: (number | undefined)[] = [];
    for (const constants of MEANINGS) counts.push(await removed(apply, opset, constants));
    expect(counts).toEqual(counts.map((count, at) => (count === undefined ? undefined : expected[at])));
  });
});
