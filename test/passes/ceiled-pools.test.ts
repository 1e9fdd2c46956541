/**
 * Pools with ceil_mode whose windows are smaller than their stride: ONNX Runtime's shape inference
 * counts a last window that begins behind the image, its kernels do not. What follows must not rely
 * on the inferred extent.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { compiled, sparseWeights, vector } from './sparse-models.js';
import { showBoth } from '../support/show-graph.js';
import { needsLibrary } from '../support/needs.js';

const WINDOWS = [
  [[1, 1], 2],
  [[2, 2], 3],
  [
    [2, 1],
    [2, 3],
  ],
] as const;
const FOLLOWING = [{ auto_pad: 'SAME_UPPER' }, { pads: [1, 1, 1, 1] }] as const;
const cases = ['MaxPool', 'AveragePool'].flatMap((opType) =>
  ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].flatMap((auto) =>
    WINDOWS.map(([kernel, stride]) => [opType, auto, kernel, [stride].flat().concat(stride)] as const),
  ),
);
/**
 * SAME_* with a pixel left over: ONNX Runtime's plain kernels refuse it ("padding values must be
 * non-negative").
 */
const isRefused = (extent: number, [, auto, kernel, strides]: (typeof cases)[number]) =>
  auto.startsWith('SAME') &&
  kernel.some((taps, axis) => (Math.ceil(extent / (strides[axis] ?? 1)) - 1) * (strides[axis] ?? 1) + taps < extent);
const extentsOf = (window: (typeof cases)[number]) => [19, 20, 21].filter((extent) => !isRefused(extent, window));

type Weights = ReturnType<typeof sparseWeights>;

/** x -> Conv -> Relu -> the pool -> Conv with stride 2, on a square. */
function pooled(
  extent: number,
  weights: Weights,
  [opType, auto, kernel, strides]: (typeof cases)[number],
  following: (typeof FOLLOWING)[number],
): Uint8Array {
  const g = graphBuilder();
  const y = g.relu(
    g.op('Conv', [g.input('x', [1, 16, extent, extent]), weights, vector('bias', 16)], { pads: [1, 1, 1, 1] }),
  );
  const z = g.op(opType, [y], { kernel_shape: kernel, strides: strides.slice(0, 2), ceil_mode: 1, auto_pad: auto });
  g.output(g.op('Conv', [z, sparseWeights([16, 16, 3, 3], 0.8)], { ...following, strides: [2, 2] }));
  return g.bytes();
}

describe('pools with gaps between their windows, rounded up', () => {
  test.each(cases)('%s, auto_pad %s, %j, strides %j: sparse', needsLibrary, async (...window) => {
    for (const extent of extentsOf(window)) {
      for (const following of FOLLOWING) {
        const bytes = pooled(extent, sparseWeights([16, 16, 3, 3], 0.8), window, following);
        for (const options of [{}, { sparseTarget: PAYS_FROM_30_PERCENT }]) {
          const { output } = await compiled(bytes, options);
          expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
        }
      }
    }
  });

  test.each(cases)('%s, auto_pad %s, %j, strides %j: dead filters', async (...window) => {
    for (const extent of extentsOf(window)) {
      for (const following of FOLLOWING) {
        const weights = sparseWeights([16, 16, 3, 3], 0);
        weights.data.fill(0, 0, 4 * 16 * 9);
        const bytes = pooled(extent, weights, window, following);
        const made = await compileModel(bytes, { align: 1 });
        expect([made.report.before.channels, made.report.after.channels]).toEqual([32, 28]);
        expect(await verifyModels(bytes, made.encode())).toMatchObject({ equal: true });
      }
    }
  });

  const picture = async (following: (typeof FOLLOWING)[number], options: CompileOptions) => {
    const weights = sparseWeights([16, 16, 3, 3], 0.8, 'w');
    weights.data.fill(0, 0, 4 * 16 * 9);
    const bytes = pooled(20, weights, ['MaxPool', 'VALID', [1, 1], [2, 2]], following);
    const output = (await compileModel(bytes, options)).encode();
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
    return await showBoth(bytes, output);
  };

  test('the pool and what follows it stay dense: how large the image is there is not known', needsLibrary, async () => {
    expect(await picture({ auto_pad: 'SAME_UPPER' }, { sparse: true, sparseTarget: PAYS_FROM_30_PERCENT }))
      .toMatchInlineSnapshot(`
      inputs: x [1,16,20,20]
      Conv_output_0 [1,16,20,20] = Conv(x, Conv.1 [16,16,3,3], Conv.2 [16]) pads=1,1,1,1
      Relu_output_0 [1,16,20,20] = Relu(Conv_output_0)
      MaxPool_output_0 [1,16,?,?] = MaxPool(Relu_output_0) kernel_shape=1,1 strides=2,2 ceil_mode=1 auto_pad=VALID
      Conv_1_output_0 [1,16,?,?] = Conv(MaxPool_output_0, Conv_1.1 [16,16,3,3]) auto_pad=SAME_UPPER strides=2,2
      outputs: Conv_1_output_0
      =>
      inputs: x [1,16,20,20]
      Conv_sparse = prune_compile::SparseConv(x, Conv.1_values [344], Conv.1_bits uint8 [288], Conv.1_sparse_bias [16]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=20,20 activation=Relu
      MaxPool_output_0 = MaxPool(Conv_sparse) kernel_shape=1,1 strides=2,2 ceil_mode=1 auto_pad=VALID
      Conv_1_output_0 = Conv(MaxPool_output_0, Conv_1.1 [16,16,3,3]) auto_pad=SAME_UPPER strides=2,2
      outputs: Conv_1_output_0
    `);
  });

  test('dead filters go through the pool', async () => {
    expect(await picture({ pads: [1, 1, 1, 1] }, { align: 1 })).toMatchInlineSnapshot(`
      inputs: x [1,16,20,20]
      Conv_output_0 [1,16,20,20] = Conv(x, Conv.1 [16,16,3,3], Conv.2 [16]) pads=1,1,1,1
      Relu_output_0 [1,16,20,20] = Relu(Conv_output_0)
      MaxPool_output_0 [1,16,?,?] = MaxPool(Relu_output_0) kernel_shape=1,1 strides=2,2 ceil_mode=1 auto_pad=VALID
      Conv_1_output_0 [1,16,?,?] = Conv(MaxPool_output_0, Conv_1.1 [16,16,3,3]) pads=1,1,1,1 strides=2,2
      outputs: Conv_1_output_0
      =>
      inputs: x [1,16,20,20]
      Conv_output_0 [1,12,20,20] = Conv(x, Conv.1 [12,16,3,3], Conv.2 [12]) pads=1,1,1,1
      Relu_output_0 [1,12,20,20] = Relu(Conv_output_0)
      MaxPool_output_0 [1,12,?,?] = MaxPool(Relu_output_0) kernel_shape=1,1 strides=2,2 ceil_mode=1 auto_pad=VALID
      prune_compile/ones_of_MaxPool_output_0 [1,16,?,?] = Conv(MaxPool_output_0, MaxPool_output_0_no_weight [16,12,1,1], MaxPool_output_0_ones [16])
      prune_compile/taps_of_MaxPool_output_0 [1,16,?,?] = Conv(prune_compile/ones_of_MaxPool_output_0, MaxPool_output_0_taps [16,1,3,3]) strides=2,2 pads=1,1,1,1 group=16
      Conv_1_output_0_constants [1,16,?,?] = Conv(prune_compile/taps_of_MaxPool_output_0, Conv_1_output_0_constants_weight [16,16,1,1])
      Conv_1_output_0_before_Add [1,16,?,?] = Conv(MaxPool_output_0, Conv_1.1 [16,12,3,3]) pads=1,1,1,1 strides=2,2
      Conv_1_output_0 [1,16,?,?] = Add(Conv_1_output_0_before_Add, Conv_1_output_0_constants)
      outputs: Conv_1_output_0
    `);
  });
});
