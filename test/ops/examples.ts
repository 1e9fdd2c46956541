/**
 * One graph per operator row: a layer whose channel 1 is the constant `k`, the operator behind it,
 * and its output.
 */
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { ELEMENTWISE } from './examples-elementwise.js';

export const CHANNELS = 4;
export const SIZE = 6;
export const DEAD = 1;

type Apply = (g: GraphBuilder, x: string) => string;

const op =
  (
    opType: string,
    ...others: Parameters<GraphBuilder['op']>[1] extends readonly (infer One)[] ? One[] : never
  ): Apply =>
  (g, x) =>
    g.op(opType, [x, ...others]);

const vector = (name: string) => ({ data: normals(7, name, CHANNELS).map(Math.abs), dims: [CHANNELS] });
const matrix = (name: string, rows: number, columns: number) => ({
  data: normals(7, name, rows * columns),
  dims: [rows, columns],
});
const kernel = (name: string, dims: readonly number[]) => ({
  data: normals(
    7,
    name,
    dims.reduce((a, b) => a * b, 1),
  ),
  dims,
});
const atLeastZero =
  (type: string): Apply =>
  (g, x) =>
    g.op('Cast', [g.op(type, [x, { data: [0], dims: [] }])], { to: 1 });
const flat: Apply = (g, x) => g.reshape(x, [2, CHANNELS * SIZE * SIZE]);

/**
 * By operator; several where the operator has forms that differ. The opset is 17 unless the key
 * says another: `Pad@10`.
 */
export const EXAMPLES: Readonly<Record<string, readonly Apply[]>> = {
  ...ELEMENTWISE,
  // ONNX Runtime infers no shape for them before opset 16: pinned.
  'GreaterOrEqual@12': [atLeastZero('GreaterOrEqual')],
  'LessOrEqual@12': [atLeastZero('LessOrEqual')],
  Identity: [op('Identity')],
  Dropout: [op('Dropout')],
  Conv: [
    (g, x) => g.conv(x, kernel('1x1', [3, CHANNELS, 1, 1]), { bias: [1, 2, 3] }),
    (g, x) => g.conv(x, kernel('3x3', [3, CHANNELS, 3, 3]), { pads: 1 }),
    (g, x) => g.conv(x, kernel('depthwise', [CHANNELS, 1, 3, 3]), { group: CHANNELS }),
    (g, x) => g.conv(x, kernel('grouped', [6, 2, 3, 3]), { group: 2, pads: 1 }),
  ],
  Gemm: [(g, x) => g.gemm(flat(g, x), matrix('gemm', 3, CHANNELS * SIZE * SIZE), { bias: { data: [1, 2, 3] } })],
  MatMul: [
    (g, x) => g.op('MatMul', [g.transpose(x, [0, 2, 3, 1]), matrix('matmul', CHANNELS, 3)]),
    (g, x) => g.op('MatMul', [x, g.op('Neg', [x])]),
    (g, x) => g.op('MatMul', [g.op('Sigmoid', [x]), g.transpose(x, [0, 1, 3, 2])]),
  ],
  Attention: [],
  'Attention@23': [
    (g, x) => g.op('Attention', [g.op('Neg', [x]), g.op('Sigmoid', [x]), x]),
    (g, x) => g.op('Attention', [x, ...g.split(g.op('Neg', [x]), [2, 2])], { is_causal: 1 }),
  ],
  'Attention@24': [(g, x) => g.op('Attention', [x, x, x], { scale: { float: 0.3 } })],
  MaxPool: [(g, x) => g.maxPool(x, [3, 3], { pads: 1, strides: 2 })],
  AveragePool: [
    (g, x) => g.averagePool(x, [3, 3], { pads: 1 }),
    (g, x) => g.averagePool(x, [3, 3], { pads: 1, countIncludePad: true }),
    (g, x) => g.averagePool(x, [4, 4], { strides: 3, ceilMode: true, countIncludePad: true }),
  ],
  GlobalAveragePool: [op('GlobalAveragePool')],
  GlobalMaxPool: [op('GlobalMaxPool')],
  ReduceMean: [(g, x) => g.reduceMean(x, [2, 3]), (g, x) => g.reduceMean(x, [-1, -2], { keepDims: false })],
  'ReduceMean@18': [(g, x) => g.reduceMean(x, [2, 3], { keepDims: false })],
  BatchNormalization: [
    (g, x) =>
      g.batchNorm(x, {
        scale: vector('scale'),
        shift: vector('shift'),
        mean: vector('mean'),
        variance: vector('variance'),
      }),
    (g, x) =>
      g.batchNorm(x, {
        scale: { data: [1, 1, 0, 1] },
        shift: vector('shift'),
        mean: vector('mean'),
        variance: vector('variance'),
      }),
  ],
  Softmax: [(g, x) => g.op('Softmax', [x], { axis: 2 }), (g, x) => g.op('Softmax', [x], { axis: 1 })],
  'Softmax@11': [(g, x) => g.op('Softmax', [x], { axis: 2 })],
  LogSoftmax: [(g, x) => g.op('LogSoftmax', [x], { axis: 3 })],
  Reshape: [flat, (g, x) => g.reshape(x, [0, 2, 2, SIZE * SIZE]), (g, x) => g.reshape(x, [0, CHANNELS, -1])],
  Flatten: [(g, x) => g.flatten(x)],
  Squeeze: [(g, x) => g.squeeze(g.globalAveragePool(x), [2, 3])],
  Unsqueeze: [(g, x) => g.unsqueeze(x, [1])],
  Transpose: [(g, x) => g.transpose(x, [2, 1, 0, 3])],
  Shape: [(g, x) => g.op('Cast', [g.op('Shape', [x])], { to: 1 })],
  Gather: [
    (g, x) => g.op('Gather', [x, int64([2, 0])], { axis: 1 }),
    (g, x) => g.op('Gather', [x, int64([-1])], { axis: 2 }),
  ],
  Slice: [
    (g, x) => g.slice(x, { axes: [1], starts: [1], ends: [3] }),
    (g, x) => g.slice(x, { axes: [2, 3], starts: [0, -5], ends: [Number.POSITIVE_INFINITY, 5], steps: [2, 1] }),
  ],
  Split: [
    (g, x) => g.split(x, [3, 1])[0] ?? '',
    (g, x) => g.concat(g.split(x, [1, 1, 2]).toReversed()),
    (g, x) => g.ops('Split', [x], { axis: -3 }, { outputs: 2 })[0] ?? '',
    (g, x) => g.split(x, [1, 5], 3)[1] ?? '',
  ],
  'Split@7': [
    (g, x) => g.split(x, [2, 2])[0] ?? '',
    (g, x) => g.ops('Split', [x], { axis: 1 }, { outputs: 4 })[1] ?? '',
  ],
  'Split@11': [(g, x) => g.split(x, [1, 3], -3)[1] ?? ''],
  'Split@18': [
    (g, x) => g.ops('Split', [x], { axis: 1, num_outputs: 2 }, { outputs: 2 })[0] ?? '',
    (g, x) => g.concat(g.ops('Split', [g.concat([x, x])], { axis: 1, num_outputs: 3 }, { outputs: 3 }).toReversed()),
    (g, x) => g.split(x, [1, 3])[1] ?? '',
  ],
  'Slice@9': [(g, x) => g.slice(x, { axes: [1, 2], starts: [0, 1], ends: [2, 100] })],
  Pad: [(g, x) => g.pad(x, [0, 2, 0, 0, 0, 1, 0, 0], 0.7), (g, x) => g.pad(x, [0, 1, 1, 0, 0, 0, 0, 1])],
  'Pad@10': [(g, x) => g.pad(x, [0, 1, 0, 0, 0, 2, 0, 0], 0)],
  Concat: [(g, x) => g.concat([x, g.op('Neg', [x])], 1), (g, x) => g.concat([x, x], 2)],
};

/**
 * x [2, C, S, S] -> 1x1 convolution whose filter DEAD is zero with bias k -> the operator ->
 * output.
 */
export function exampleModel(apply: Apply, k: number, opset: number): Uint8Array {
  const g = graphBuilder({ opset });
  const x = g.input('x', [2, CHANNELS, SIZE, SIZE]);
  const weights = normals(3, 'mix', CHANNELS * CHANNELS);
  weights.fill(0, DEAD * CHANNELS, (DEAD + 1) * CHANNELS);
  const bias = normals(3, 'bias', CHANNELS);
  bias[DEAD] = k;
  const mixed = g.conv(x, { data: weights, dims: [CHANNELS, CHANNELS, 1, 1] }, { bias: { data: bias }, name: 'mix' });
  g.output(apply(g, mixed));
  return g.bytes();
}
