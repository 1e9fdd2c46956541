/**
 * What convert-sparse makes of a graph, and what it leaves as it is: pictures before and after.
 * Numbers are in the other files.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { CompileOptions } from '../../src/compile.js';
import { FLOAT, FLOAT16 } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';
import { needsLibrary } from '../support/needs.js';
import { showBoth } from '../support/show-graph.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { compiled, batchNorm, SHAPES, sparseWeights, vector } from './sparse-models.js';

type Build = (g: GraphBuilder, x: string) => string;

function model(build: Build, dims: readonly (number | string)[] = SHAPES.x) {
  const g = graphBuilder({ opset: 17 });
  g.output(build(g, g.input('x', dims)));
  return g.bytes();
}

const conv = (g: GraphBuilder, x: string, { kernel = 3, zeros = 0.8 } = {}) =>
  g.conv(x, sparseWeights([16, 16, kernel, kernel], zeros, `w of ${x}`), { pads: (kernel - 1) / 2 });

async function converted(bytes: Uint8Array, options: CompileOptions = {}): Promise<string> {
  const { output } = await compiled(bytes, options);
  expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
  return await showBoth(bytes, output);
}

describe('makes', needsLibrary, () => {
  test('one operator of a layer with its normalisation, residual sum and activation', async () => {
    const bytes = model((g, x) => g.relu(g.add(batchNorm(g, conv(g, x), 16), x)));
    expect(await converted(bytes)).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      BatchNormalization_output_0 [2,16,12,12] = BatchNormalization(Conv_output_0, BatchNormalization.1 [16], BatchNormalization.2 [16], BatchNormalization.3 [16], BatchNormalization.4 [16])
      Add_output_0 [2,16,12,12] = Add(BatchNormalization_output_0, x)
      Relu_output_0 [2,16,12,12] = Relu(Add_output_0)
      outputs: Relu_output_0
      =>
      inputs: x [2,16,12,12]
      x_inside [2,2848] = prune_compile::Enter(x)
      Relu_output_0 = prune_compile::SparseConv(x_inside, Conv.1_values [450], Conv.1_bits uint8 [288], Conv.1_sparse_bias [16], x) channels=16 pads=1,1,1,1 filters=16 x_layout=internal y_layout=NCHW input_size=12,12 activation=Relu
      outputs: Relu_output_0
    `);
  });

  test('one operator of a matrix product with its bias and activation', async () => {
    const bytes = model(
      (g, x) => g.relu(g.add(g.op('MatMul', [x, sparseWeights([32, 20], 0.8, 'w')]), vector('b', 20))),
      [4, 24, 32],
    );
    expect(await converted(bytes)).toMatchInlineSnapshot(`
      inputs: x [4,24,32]
      MatMul_output_0 [4,24,20] = MatMul(x, MatMul.1 [32,20])
      Add_output_0 [4,24,20] = Add(MatMul_output_0, Add.1 [20])
      Relu_output_0 [4,24,20] = Relu(Add_output_0)
      outputs: Relu_output_0
      =>
      inputs: x [4,24,32]
      Relu_output_0 = prune_compile::SparseMatMul(x, MatMul.1_values [145], MatMul.1_bits uint8 [80], MatMul.1_sparse_bias [20]) in_features=32 out_features=20 transB=0 activation=Relu
      outputs: Relu_output_0
    `);
  });

  test('a run of layers whose data stays in their layout', async () => {
    const bytes = model((g, x) => g.op('Abs', [conv(g, g.relu(conv(g, x)), { kernel: 1 })]));
    expect(await converted(bytes)).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Relu_output_0 [2,16,12,12] = Relu(Conv_output_0)
      Conv_1_output_0 [2,16,12,12] = Conv(Relu_output_0, Conv_1.1 [16,16,1,1])
      Abs_output_0 [2,16,12,12] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse [2,2848] = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=internal input_size=12,12 activation=Relu y_tile_major=1
      Conv_1_sparse = prune_compile::SparseConv(Conv_sparse, Conv_1.1_values [45], Conv_1.1_bits uint8 [32]) channels=16 filters=16 x_layout=internal y_layout=NCHW input_size=12,12 activation=None x_tile_major=1
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('a pool between two layers one of their operators, where that saves moving data', async () => {
    const bytes = model((g, x) => g.op('Abs', [conv(g, g.maxPool(conv(g, x), [2, 2], { strides: [2, 2] }))]));
    expect(await converted(bytes, { sparseTarget: PAYS_FROM_30_PERCENT })).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      MaxPool_output_0 [2,16,6,6] = MaxPool(Conv_output_0) kernel_shape=2,2 strides=2,2
      Conv_1_output_0 [2,16,6,6] = Conv(MaxPool_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,6,6] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse [2,2848] = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=internal input_size=12,12 activation=None
      MaxPool_sparse [2,1312] = prune_compile::MaxPool(Conv_sparse) kernel_shape=2,2 strides=2,2
      Conv_1_sparse = prune_compile::SparseConv(MaxPool_sparse, Conv_1.1_values [429], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=internal y_layout=NCHW input_size=6,6 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('the plain layout again for a dense operator that reads a value between two layers', async () => {
    const bytes = model((g, x) => {
      const y = conv(g, x);
      g.output(g.op('Abs', [y]));
      return conv(g, y);
    });
    expect(await converted(bytes)).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,12,12] = Abs(Conv_output_0)
      Conv_1_output_0 [2,16,12,12] = Conv(Conv_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      outputs: Abs_output_0, Conv_1_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse [2,2848] = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=internal input_size=12,12 activation=None
      Conv_output_0_outside = prune_compile::Leave(Conv_sparse)
      Abs_output_0 = Abs(Conv_output_0_outside)
      Conv_1_output_0 = prune_compile::SparseConv(Conv_sparse, Conv_1.1_values [473], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=internal y_layout=NCHW input_size=12,12 activation=None
      outputs: Abs_output_0, Conv_1_output_0
    `);
  });
});

describe('declines', () => {
  /** The picture, and what is said of the layer. */
  async function declined(bytes: Uint8Array, options: CompileOptions = {}) {
    const { made, output } = await compiled(bytes, options);
    expect(made.report.changed).toBe(false);
    const said = made.report.remarks.filter(({ message }) => !message.startsWith('layers were chosen by'));
    return [await showBoth(bytes, output), ...said.map(({ kind, message }) => `${kind}: ${message}`)].join('\n');
  }

  test('when a layer wins less than moving its data costs', async () => {
    const bytes = model((g, x) => g.op('Abs', [conv(g, x, { kernel: 1, zeros: 0.9 })]));
    expect(await declined(bytes, { sparseTarget: 'avx512' })).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,1,1])
      Abs_output_0 [2,16,12,12] = Abs(Conv_output_0)
      outputs: Abs_output_0
      => unchanged
      missed: kept dense: the change to the layout of sparse operators would take longer than the layer itself
    `);
  });

  test('when a layer has too few zeros', async () => {
    const bytes = model((g, x) => g.op('Abs', [conv(g, x, { zeros: 0.1 })]));
    expect(await declined(bytes, { sparseTarget: 'avx512' })).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,12,12] = Abs(Conv_output_0)
      outputs: Abs_output_0
      => unchanged
      missed: kept dense: sparse operators would pay off here from 46.3 % zeros, and the layer has 10.4 %
    `);
  });

  test('other types than float32', async () => {
    const g = graphBuilder();
    const { data, dims } = sparseWeights([16, 16, 3, 3], 0.8, 'w');
    const half = g.op('Cast', [g.input('x', [1, 16, 12, 12])], { to: FLOAT16 });
    const y = g.conv(half, g.initializer('w', dims, data, FLOAT16), { pads: 1 });
    g.output(g.op('Cast', [y], { to: FLOAT }));
    expect(await declined(g.bytes())).toMatchInlineSnapshot(`
      inputs: x [1,16,12,12]
      Cast_output_0 [1,16,12,12] = Cast(x) to=10
      Conv_output_0 [1,16,12,12] = Conv(Cast_output_0, w float16 [16,16,3,3]) pads=1,1,1,1
      Cast_1_output_0 [1,16,12,12] = Cast(Conv_output_0) to=1
      outputs: Cast_1_output_0
      => unchanged
      missed: kept dense: its weights are not float32
    `);
  });

  test('layers that have no operator', async () => {
    const bytes = model((g, x) => g.op('ConvTranspose', [x, sparseWeights([16, 16, 3, 3], 0.9, 'w')]));
    expect(await declined(bytes)).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      ConvTranspose_output_0 [2,16,14,14] = ConvTranspose(x, ConvTranspose.1 [16,16,3,3])
      outputs: ConvTranspose_output_0
      => unchanged
      missed: kept dense: ConvTranspose has no sparse operator
    `);
  });

  test('padding that depends on a size that is open', async () => {
    const bytes = model(
      (g, x) => g.op('Conv', [x, sparseWeights([16, 16, 3, 3], 0.9, 'w')], { auto_pad: 'SAME_UPPER', strides: [2, 2] }),
      [1, 16, 'h', 12],
    );
    expect(await declined(bytes)).toMatchInlineSnapshot(`
      inputs: x [1,16,h,12]
      Conv_output_0 [1,16,?,6] = Conv(x, Conv.1 [16,16,3,3]) auto_pad=SAME_UPPER strides=2,2
      outputs: Conv_output_0
      => unchanged
      missed: kept dense: its padding depends on the size of the image, which is unknown (auto_pad)
    `);
  });
});

describe('leaves dense between two sparse layers', needsLibrary, () => {
  const between = async (build: Build) =>
    await converted(
      model((g, x) => g.op('Abs', [conv(g, build(g, conv(g, x)))])),
      { sparseTarget: PAYS_FROM_30_PERCENT },
    );

  test('broadcasting', async () => {
    expect(await between((g, y) => g.add(y, g.slice(y, { axes: [2], starts: [0], ends: [1] })))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Slice_output_0 [2,16,1,12] = Slice(Conv_output_0, Slice.1 int64 [1] {0}, Slice.2 int64 [1] {1}, Slice.3 int64 [1] {2})
      Add_output_0 [2,16,12,12] = Add(Conv_output_0, Slice_output_0)
      Conv_1_output_0 [2,16,12,12] = Conv(Add_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,12,12] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Slice_output_0 = Slice(Conv_sparse, Slice.1 int64 [1] {0}, Slice.2 int64 [1] {1}, Slice.3 int64 [1] {2})
      Add_output_0 = Add(Conv_sparse, Slice_output_0)
      Conv_1_sparse = prune_compile::SparseConv(Add_output_0, Conv_1.1_values [463], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('a constant', async () => {
    expect(await between((g, y) => g.mul(y, { data: Float32Array.of(2), dims: [1] }))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Mul_output_0 [2,16,12,12] = Mul(Conv_output_0, Mul.1 [1] {2})
      Conv_1_output_0 [2,16,12,12] = Conv(Mul_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,12,12] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Mul_output_0 = Mul(Conv_sparse, Mul.1 [1] {2})
      Conv_1_sparse = prune_compile::SparseConv(Mul_output_0, Conv_1.1_values [458], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('another axis', async () => {
    expect(await between((g, y) => g.concat([y, y], 2))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Concat_output_0 [2,16,24,12] = Concat(Conv_output_0, Conv_output_0) axis=2
      Conv_1_output_0 [2,16,24,12] = Conv(Concat_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,24,12] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Concat_output_0 = Concat(Conv_sparse, Conv_sparse) axis=2
      Conv_1_sparse = prune_compile::SparseConv(Concat_output_0, Conv_1.1_values [449], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=24,12 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('ceil_mode over padding', async () => {
    expect(await between((g, y) => g.maxPool(y, [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1], ceilMode: true })))
      .toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      MaxPool_output_0 [2,16,?,?] = MaxPool(Conv_output_0) ceil_mode=1 kernel_shape=3,3 pads=1,1,1,1 strides=2,2
      Conv_1_output_0 [2,16,?,?] = Conv(MaxPool_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,?,?] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      MaxPool_output_0 = MaxPool(Conv_sparse) ceil_mode=1 kernel_shape=3,3 pads=1,1,1,1 strides=2,2
      Conv_1_sparse = prune_compile::SparseConv(MaxPool_output_0, Conv_1.1_values [429], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('a mean that counts padding behind the image', async () => {
    expect(
      await between((g, y) => g.averagePool(y, [3, 3], { strides: [2, 2], ceilMode: true, countIncludePad: true })),
    ).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      AveragePool_output_0 [2,16,6,6] = AveragePool(Conv_output_0) ceil_mode=1 count_include_pad=1 kernel_shape=3,3 strides=2,2
      Conv_1_output_0 [2,16,6,6] = Conv(AveragePool_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,6,6] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      AveragePool_output_0 = AveragePool(Conv_sparse) ceil_mode=1 count_include_pad=1 kernel_shape=3,3 strides=2,2
      Conv_1_sparse = prune_compile::SparseConv(AveragePool_output_0, Conv_1.1_values [460], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=6,6 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });

  test('linear interpolation', async () => {
    expect(
      await between((g, y) =>
        g.op('Resize', [y, '', { data: Float32Array.of(1, 1, 2, 2), dims: [4] }], { mode: 'linear' }),
      ),
    ).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Resize_output_0 [2,16,24,24] = Resize(Conv_output_0, -, Resize.2 [4] {1 1 2 2}) mode=linear
      Conv_1_output_0 [2,16,24,24] = Conv(Resize_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1
      Abs_output_0 [2,16,24,24] = Abs(Conv_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Resize_output_0 = Resize(Conv_sparse, -, Resize.2 [4] {1 1 2 2}) mode=linear
      Conv_1_sparse = prune_compile::SparseConv(Resize_output_0, Conv_1.1_values [474], Conv_1.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=24,24 activation=None
      Abs_output_0 = Abs(Conv_1_sparse)
      outputs: Abs_output_0
    `);
  });
});

describe('makes no part of a layer', needsLibrary, () => {
  const scalar = (value: number) => ({ data: Float32Array.of(value), dims: [] });
  const erf = (g: GraphBuilder, y: string) => g.add(g.op('Erf', [g.op('Div', [y, scalar(Math.SQRT2)])]), scalar(1));
  const after = async (build: Build) =>
    await converted(
      model((g, x) => g.op('Abs', [build(g, conv(g, x))])),
      { sparseTarget: PAYS_FROM_30_PERCENT },
    );

  test('a hard sigmoid with another factor', async () => {
    expect(await after((g, y) => g.mul(y, g.op('HardSigmoid', [y], { alpha: 0.2, beta: 0.5 })))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      HardSigmoid_output_0 [2,16,12,12] = HardSigmoid(Conv_output_0) alpha=0.2 beta=0.5
      Mul_output_0 [2,16,12,12] = Mul(Conv_output_0, HardSigmoid_output_0)
      Abs_output_0 [2,16,12,12] = Abs(Mul_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      HardSigmoid_output_0 = HardSigmoid(Conv_sparse) alpha=0.2 beta=0.5
      Mul_output_0 = Mul(Conv_sparse, HardSigmoid_output_0)
      Abs_output_0 = Abs(Mul_output_0)
      outputs: Abs_output_0
    `);
  });

  test('a swish of which a part is read elsewhere', async () => {
    expect(await after((g, y) => g.op('Sum', [g.mul(y, g.op('Sigmoid', [y])), y]))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Sigmoid_output_0 [2,16,12,12] = Sigmoid(Conv_output_0)
      Mul_output_0 [2,16,12,12] = Mul(Conv_output_0, Sigmoid_output_0)
      Sum_output_0 [2,16,12,12] = Sum(Mul_output_0, Conv_output_0)
      Abs_output_0 [2,16,12,12] = Abs(Sum_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Sigmoid_output_0 = Sigmoid(Conv_sparse)
      Mul_output_0 = Mul(Conv_sparse, Sigmoid_output_0)
      Sum_output_0 = Sum(Mul_output_0, Conv_sparse)
      Abs_output_0 = Abs(Sum_output_0)
      outputs: Abs_output_0
    `);
  });

  test('a Gelu with another constant', async () => {
    expect(await after((g, y) => g.mul(g.mul(y, erf(g, y)), scalar(0.4)))).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Conv_output_0 [2,16,12,12] = Conv(x, Conv.1 [16,16,3,3]) pads=1,1,1,1
      Div_output_0 [2,16,12,12] = Div(Conv_output_0, Div.1 [] {1.41})
      Erf_output_0 [2,16,12,12] = Erf(Div_output_0)
      Add_output_0 [2,16,12,12] = Add(Erf_output_0, Add.1 [] {1})
      Mul_output_0 [2,16,12,12] = Mul(Conv_output_0, Add_output_0)
      Mul_1_output_0 [2,16,12,12] = Mul(Mul_output_0, Mul_1.1 [] {0.4})
      Abs_output_0 [2,16,12,12] = Abs(Mul_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [2,16,12,12]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [450], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      Div_output_0 = Div(Conv_sparse, Div.1 [] {1.41})
      Erf_output_0 = Erf(Div_output_0)
      Add_output_0 = Add(Erf_output_0, Add.1 [] {1})
      Mul_output_0 = Mul(Conv_sparse, Add_output_0)
      Mul_1_output_0 = Mul(Mul_output_0, Mul_1.1 [] {0.4})
      Abs_output_0 = Abs(Mul_1_output_0)
      outputs: Abs_output_0
    `);
  });
});
