/**
 * One graph per operator row: a layer whose channel 1 is the constant `k`, the operator behind it,
 * and its output.
 */
import { float, graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { ELEMENTWISE } from './examples-elementwise.js';
import { PRODUCTS } from './examples-products.js';
import { QUANTISED } from './examples-quantised.js';
import { RECURRENT } from './examples-recurrent.js';
import { REDUCTIONS } from './examples-reductions.js';

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
const fusedConv = (g: GraphBuilder, inputs: Parameters<GraphBuilder['op']>[1], attributes: object) =>
  g.op('FusedConv', inputs, { ...attributes }, { domain: 'com.microsoft' });

const kernel = (name: string, dims: readonly number[]) => ({
  data: normals(
    7,
    name,
    dims.reduce((a, b) => a * b, 1),
  ),
  dims,
});
/** [channels, everything else] */
const rows: Apply = (g, x) => g.reshape(g.transpose(x, [1, 0, 2, 3]), [CHANNELS, -1]);
const atLeastZero =
  (type: string): Apply =>
  (g, x) =>
    g.op('Cast', [g.op(type, [x, { data: [0], dims: [] }])], { to: 1 });
/** With the mask as an output that nobody reads. */
const namesMask: Apply = (g, x) => g.ops('Dropout', [x], {}, { outputs: 2 })[0] ?? '';
const inTraining =
  (mode: boolean): Apply =>
  (g, x) =>
    g.op('Dropout', [x, { data: [0.5], dims: [] }, { data: [mode], dims: [] }]);
/** [batch, length, channels] */
const sequence: Apply = (g, x) => g.transpose(g.reshape(x, [2, CHANNELS, SIZE * SIZE]), [0, 2, 1]);
const flat: Apply = (g, x) => g.reshape(x, [2, CHANNELS * SIZE * SIZE]);

const ASYMMETRIC = { mode: 'nearest', nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' };
/** As exporters write it: batch and channels of the value itself, then the places. */
const ownSizes = (g: GraphBuilder, x: string, places: readonly number[]) =>
  g.concat([g.slice(g.op('Shape', [x]), { axes: [0], starts: [0], ends: [2] }), int64(places)], 0);

/**
 * By operator; several where the operator has forms that differ. The opset is 17 unless the key
 * says another: `Pad@10`.
 */
export const EXAMPLES: Readonly<Record<string, readonly Apply[]>> = {
  ...ELEMENTWISE,
  ...RECURRENT,
  // ONNX Runtime infers no shape for them before opset 16: pinned.
  'GreaterOrEqual@12': [atLeastZero('GreaterOrEqual')],
  'LessOrEqual@12': [atLeastZero('LessOrEqual')],
  Identity: [op('Identity')],
  Dropout: [op('Dropout'), namesMask, inTraining(false)],
  ...Object.fromEntries([7, 10, 12, 13, 22].map((opset) => [`Dropout@${opset}`, [op('Dropout'), namesMask]])),
  Conv: [
    (g, x) => g.conv(x, kernel('1x1', [3, CHANNELS, 1, 1]), { bias: [1, 2, 3] }),
    (g, x) => g.conv(x, kernel('3x3', [3, CHANNELS, 3, 3]), { pads: 1 }),
    (g, x) => g.conv(x, kernel('depthwise', [CHANNELS, 1, 3, 3]), { group: CHANNELS }),
    (g, x) => g.conv(x, kernel('grouped', [6, 2, 3, 3]), { group: 2, pads: 1 }),
  ],
  FusedConv: [
    (g, x) => fusedConv(g, [x, kernel('1x1', [3, CHANNELS, 1, 1]), { data: [1, -2, 3] }], { activation: 'Relu' }),
    (g, x) => fusedConv(g, [x, kernel('3x3', [3, CHANNELS, 3, 3])], { activation: 'Tanh', pads: [1, 1, 1, 1] }),
    (g, x) => fusedConv(g, [x, kernel('grouped', [6, 2, 3, 3])], { activation: 'Sigmoid', group: 2 }),
    (g, x) =>
      fusedConv(g, [x, kernel('1x1', [3, CHANNELS, 1, 1])], {
        activation: 'Clip',
        activation_params: { floats: [0, 1] },
      }),
    (g, x) =>
      fusedConv(g, [x, kernel('square', [CHANNELS, CHANNELS, 1, 1]), { data: [1, 2, 3, 4] }, x], {
        activation: 'Relu',
      }),
  ],
  Gemm: [
    (g, x) => g.gemm(flat(g, x), matrix('gemm', 3, CHANNELS * SIZE * SIZE), { bias: { data: [1, 2, 3] } }),
    (g, x) => g.op('Gemm', [rows(g, x), matrix('gemm', CHANNELS, 3)], { transA: 1, alpha: 0.5 }),
    (g, x) => g.op('Gemm', [rows(g, x), matrix('gemm', 3, CHANNELS)], { transA: 1, transB: 1 }),
    (g, x) => g.op('Gemm', [matrix('gemm', 3, CHANNELS), rows(g, x), { data: [1, 2, 3], dims: [3, 1] }], { beta: 2 }),
  ],
  ...Object.fromEntries(
    [7, 9, 11, 13].map((opset) => [
      `Gemm@${opset}`,
      [
        (g: GraphBuilder, x: string) =>
          g.op('Gemm', [rows(g, x), matrix('gemm', CHANNELS, 3), { data: [1, 2, 3] }], { transA: 1, beta: 2 }),
      ],
    ]),
  ),
  ...PRODUCTS,
  ...QUANTISED,
  MatMul: [
    ...(PRODUCTS['MatMul'] ?? []),
    (g, x) => g.op('MatMul', [x, g.op('Neg', [x])]),
    (g, x) => g.op('MatMul', [g.op('Sigmoid', [x]), g.transpose(x, [0, 1, 3, 2])]),
  ],
  Attention: [
    (g, x) =>
      g.op(
        'Attention',
        [sequence(g, x), matrix('packed', CHANNELS, 12), { data: normals(7, 'packed bias', 12) }],
        { num_heads: 2 },
        { domain: 'com.microsoft' },
      ),
  ],
  'Attention@23': [
    (g, x) => g.op('Attention', [g.op('Neg', [x]), g.op('Sigmoid', [x]), x]),
    (g, x) => g.op('Attention', [x, ...g.split(g.op('Neg', [x]), [2, 2])], { is_causal: 1 }),
    (g, x) => {
      const y = sequence(g, x);
      return g.op('Attention', [y, g.op('Neg', [y]), y], { q_num_heads: 4, kv_num_heads: 4 });
    },
  ],
  'Attention@24': [
    (g, x) => g.op('Attention', [x, x, x], { scale: { float: 0.3 } }),
    (g, x) => {
      const y = sequence(g, x);
      return g.op('Attention', [y, g.op('Neg', [y]), y], { q_num_heads: 2, kv_num_heads: 2 });
    },
  ],
  MultiHeadAttention: [
    (g, x) => {
      const y = sequence(g, x);
      return g.op('MultiHeadAttention', [y, g.op('Neg', [y]), y], { num_heads: 2 }, { domain: 'com.microsoft' });
    },
  ],
  AveragePool: [
    (g, x) => g.averagePool(x, [3, 3], { pads: 1 }),
    (g, x) => g.averagePool(x, [3, 3], { pads: 1, countIncludePad: true }),
    (g, x) => g.averagePool(x, [4, 4], { strides: 3, ceilMode: true, countIncludePad: true }),
  ],
  GlobalAveragePool: [op('GlobalAveragePool')],
  GlobalMaxPool: [op('GlobalMaxPool')],
  ...REDUCTIONS,
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
  Reshape: [flat, (g, x) => g.reshape(x, [0, 2, 2, SIZE * SIZE]), (g, x) => g.reshape(x, [0, CHANNELS, -1])],
  Flatten: [(g, x) => g.flatten(x)],
  Squeeze: [(g, x) => g.squeeze(g.globalAveragePool(x), [2, 3])],
  Unsqueeze: [(g, x) => g.unsqueeze(x, [1])],
  Transpose: [(g, x) => g.transpose(x, [2, 1, 0, 3])],
  Shape: [(g, x) => g.op('Cast', [g.op('Shape', [x])], { to: 1 })],
  Gather: [
    (g, x) => g.op('Gather', [x, int64([2, 0])], { axis: 1 }),
    (g, x) => g.op('Gather', [x, int64([-1])], { axis: 2 }),
    (g, x) => g.op('Gather', [x, int64([3, -3, 1, 0, 0])], { axis: 1 }),
    (g, x) => g.op('Gather', [x, { ...int64([1]), dims: [] }], { axis: 1 }),
    (g, x) => g.op('Gather', [x, { ...int64([1, 3]), dims: [1, 2] }], { axis: 1 }),
  ],
  'Gather@7': [(g, x) => g.op('Gather', [x, int64([3, 1, 1])], { axis: 1 })],
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
  Resize: [
    (g, x) => g.op('Resize', [x, '', { data: [1, 1, 2, 1.5] }], { mode: 'nearest' }),
    (g, x) => g.op('Resize', [x, '', { data: [1, 1, 1.7, 0.6] }], { mode: 'cubic', exclude_outside: 1 }),
    (g, x) => g.op('Resize', [x, '', '', int64([2, CHANNELS, 9, 4])], { mode: 'linear' }),
    (g, x) => g.op('Resize', [x, '', '', ownSizes(g, x, [9, 4])], { mode: 'linear' }),
    (g, x) => g.op('Resize', [x, '', { data: [1, 2, 1, 1] }], { mode: 'nearest' }),
    (g, x) =>
      g.op('Resize', [x, { data: [0, 0, 0, 0.2, 1, 1, 1.5, 0.7] }, { data: [1, 1, 1.5, 1] }], {
        mode: 'linear',
        coordinate_transformation_mode: 'tf_crop_and_resize',
        extrapolation_value: 0.7,
      }),
  ],
  'Resize@10': [
    (g, x) => g.op('Resize', [x, { data: [1, 1, 2, 3] }], { mode: 'nearest' }),
    (g, x) => g.op('Resize', [x, { data: [1, 1, 0.5, 1.5] }], { mode: 'linear' }),
  ],
  'Resize@11': [
    (g, x) => g.op('Resize', [x, { data: [] }, { data: [1, 1, 2, 2] }], ASYMMETRIC),
    (g, x) => g.op('Resize', [x, { data: [] }, { data: [] }, int64([2, CHANNELS, 3, 9])], ASYMMETRIC),
  ],
  'Resize@13': [
    (g, x) => g.op('Resize', [x, '', { data: [1, 1, 2, 2] }], { mode: 'cubic', cubic_coeff_a: float(-0.5) }),
  ],
  'Resize@18': [
    (g, x) => g.op('Resize', [x, '', { data: [1.5, 2] }], { mode: 'linear', axes: [3, 2], antialias: 1 }),
    (g, x) => g.op('Resize', [x, '', '', int64([3, 3])], { mode: 'cubic', axes: [-1, 2], antialias: 1 }),
    (g, x) => g.op('Resize', [x, '', '', int64([9, 4])], { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' }),
  ],
  'Resize@19': [
    (g, x) =>
      g.op('Resize', [x, '', '', int64([2, CHANNELS, 9, 4])], {
        mode: 'linear',
        coordinate_transformation_mode: 'half_pixel_symmetric',
      }),
  ],
  Upsample: [],
  'Upsample@7': [(g, x) => g.op('Upsample', [x], { mode: 'nearest', scales: { floats: [1, 1, 2, 2] } })],
  'Upsample@9': [
    (g, x) => g.op('Upsample', [x, { data: [1, 1, 2, 1] }], { mode: 'nearest' }),
    (g, x) => g.op('Upsample', [x, { data: [1, 1, 2, 3] }], { mode: 'linear' }),
  ],
  ConvTranspose: [
    (g, x) => g.op('ConvTranspose', [x, kernel('up', [CHANNELS, 3, 2, 2]), { data: [1, 2, 3] }], { strides: [2, 2] }),
    (g, x) => g.op('ConvTranspose', [x, kernel('1x1', [CHANNELS, 3, 1, 1])]),
    (g, x) =>
      g.op('ConvTranspose', [x, kernel('3x3', [CHANNELS, 2, 3, 3])], {
        strides: [2, 1],
        pads: [1, 0, 0, 1],
        output_padding: [1, 0],
      }),
    (g, x) =>
      g.op('ConvTranspose', [x, kernel('same', [CHANNELS, 2, 3, 3])], { auto_pad: 'SAME_UPPER', strides: [2, 2] }),
    (g, x) =>
      g.op('ConvTranspose', [x, kernel('shaped', [CHANNELS, 2, 3, 3])], { output_shape: [12, 13], strides: [2, 2] }),
    (g, x) =>
      g.op('ConvTranspose', [x, kernel('depthwise', [CHANNELS, 1, 2, 2])], { group: CHANNELS, strides: [2, 2] }),
    (g, x) => g.op('ConvTranspose', [x, kernel('grouped', [CHANNELS, 3, 3, 3])], { group: 2, dilations: [2, 1] }),
  ],
  'ConvTranspose@7': [(g, x) => g.op('ConvTranspose', [x, kernel('up', [CHANNELS, 3, 2, 2])], { strides: [2, 2] })],
  'ConvTranspose@22': [(g, x) => g.op('ConvTranspose', [x, kernel('up', [CHANNELS, 3, 2, 2])], { strides: [2, 2] })],
  InstanceNormalization: [(g, x) => g.op('InstanceNormalization', [x, vector('scale'), vector('bias')])],
  'InstanceNormalization@7': [
    (g, x) => g.op('InstanceNormalization', [x, { data: [1, 0, 0, 2] }, vector('bias')], { epsilon: float(0.5) }),
  ],
  'InstanceNormalization@22': [(g, x) => g.op('InstanceNormalization', [x, vector('scale'), vector('bias')])],
  DepthToSpace: [
    (g, x) => g.op('DepthToSpace', [x], { blocksize: 2 }),
    (g, x) => g.op('DepthToSpace', [g.concat([x, x])], { blocksize: 2, mode: 'CRD' }),
    (g, x) => g.op('DepthToSpace', [g.concat([x, x])], { blocksize: 2, mode: 'DCR' }),
    (g, x) =>
      g.op('DepthToSpace', [g.op('Gather', [x, int64([0, 1, 1, 1, 1, 2, 3, 2])], { axis: 1 })], {
        blocksize: 2,
        mode: 'CRD',
      }),
  ],
  'DepthToSpace@7': [(g, x) => g.op('DepthToSpace', [g.concat([x, x])], { blocksize: 2 })],
  'DepthToSpace@11': [(g, x) => g.op('DepthToSpace', [x], { blocksize: 2, mode: 'CRD' })],
  SpaceToDepth: [
    (g, x) => g.op('SpaceToDepth', [x], { blocksize: 2 }),
    (g, x) => g.op('SpaceToDepth', [x], { blocksize: 3 }),
  ],
  'SpaceToDepth@7': [(g, x) => g.op('SpaceToDepth', [x], { blocksize: 2 })],
  Expand: [
    (g, x) => g.op('Expand', [g.unsqueeze(x, [1]), int64([3, CHANNELS, 1, SIZE])]),
    (g, x) => g.op('Expand', [g.globalAveragePool(x), int64([2, CHANNELS, 3, 1])]),
    (g, x) => g.op('Expand', [x, int64([1, 1])]),
  ],
  'Expand@8': [(g, x) => g.op('Expand', [x, int64([2, 1, 1, 1, 1])])],
  Tile: [(g, x) => g.op('Tile', [x, int64([1, 2, 1, 3])]), (g, x) => g.op('Tile', [x, int64([2, 1, 2, 1])])],
  'Tile@7': [(g, x) => g.op('Tile', [x, int64([1, 3, 1, 1])])],
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
