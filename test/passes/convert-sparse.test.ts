/**
 * Sparse operators against the dense layers that they replace. Skipped with a message where the
 * native library is not built.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import type { CostTable } from '../../src/cost/sparse-cost.js';
import { TABLES } from '../../src/cost/sparse-tables.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { compiled, batchNorm, SHAPES, sparseWeights, vector } from './sparse-models.js';
import { showBoth } from '../support/show-graph.js';
import { needsLibrary } from '../support/needs.js';

describe('networks', needsLibrary, () => {
  /**
   * Two residual blocks of convolutions with normalisations, the second with a stride. Almost
   * everything is fused and stays in the blocked layout.
   */
  function residual(dims: readonly (number | string)[], zeros: number): Uint8Array {
    const g = graphBuilder();
    const x = g.input('x', dims);
    const conv = (data: string, out: number, input: number, kernel: number, stride = 1) =>
      batchNorm(
        g,
        g.conv(data, sparseWeights([out, input, kernel, kernel], zeros), { pads: (kernel - 1) / 2, strides: stride }),
        out,
      );
    const first = g.relu(g.add(conv(g.relu(conv(x, 16, 16, 3)), 16, 16, 3), x));
    const inner = conv(g.relu(conv(first, 32, 16, 3, 2)), 32, 32, 3);
    const second = g.relu(g.add(inner, conv(first, 32, 16, 1, 2)));
    g.output(g.gemm(g.flatten(g.globalAveragePool(second)), { data: normals(11, 'fc', 320), dims: [10, 32] }));
    return g.bytes();
  }

  test.each([
    ['static sizes', [2, 16, 12, 12]],
    ['a symbolic batch', ['n', 16, 12, 12]],
    ['symbolic sizes', ['n', 16, 'h', 'w']],
  ])('residual blocks, %s', async (_, dims) => {
    const bytes = residual(dims, 0.8);
    const { made, output, natives } = await compiled(bytes, { shapes: SHAPES });
    expect(natives.filter((name) => name === 'SparseConv')).toHaveLength(5);
    expect(natives.filter((name) => name === 'Leave')).toHaveLength(0);
    expect(readModel(output).graph.nodes.map(({ opType }) => opType)).not.toContain('BatchNormalization');
    expect(made.report.after.parameters).toBeLessThan(made.report.before.parameters * 0.35);
    expect(await verifyModels(bytes, output, { shapes: SHAPES })).toMatchObject({ equal: true });
  });

  test('a blocked value is converted for its dense readers', async () => {
    const g = graphBuilder();
    const x = g.input('x', SHAPES.x);
    const y = g.relu(g.conv(x, sparseWeights([16, 16, 1, 1], 0.8)));
    const other = g.op('Sigmoid', [g.slice(y, { axes: [2], starts: [0], ends: [4] })]);
    g.output(g.conv(y, sparseWeights([8, 16, 3, 3], 0.8), { pads: 1 }));
    const joined = g.conv(y, sparseWeights([8, 16, 3, 3], 0.8), { pads: 1 });
    g.output(g.op('Tanh', [joined]));
    g.output(other);
    const { output, natives } = await compiled(g.bytes());
    expect(natives).toContain('Leave');
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  });

  test.each(['Relu', 'LeakyRelu', 'Sigmoid', 'Tanh'])('%s after a layer is fused into it', async (opType) => {
    const g = graphBuilder();
    const x = g.input('x', SHAPES.x);
    const y = g.op(opType, [g.conv(x, sparseWeights([16, 16, 3, 3], 0.7), { pads: 1, bias: vector('b', 16) })]);
    g.output(g.op('Abs', [y]));
    const { output } = await compiled(g.bytes());
    expect(readModel(output).graph.nodes.map((node) => node.opType)).toEqual(['SparseConv', 'Abs']);
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  });

  test.each([6, 11])('Clip of opset %i', async (opset) => {
    const g = graphBuilder({ opset: Math.max(opset, 9) });
    const x = g.input('x', SHAPES.x);
    g.output(g.op('Abs', [g.clip(g.conv(x, sparseWeights([16, 16, 1, 1], 0.7)), -0.2, 0.3)]));
    const { output, natives } = await compiled(g.bytes());
    expect(natives).toEqual(['SparseConv']);
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  });

  test('matrix products, with transposed weights or not, and the bias in an Add', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 24, 32]);
    const hidden = g.relu(g.add(vector('b1', 64), g.op('MatMul', [x, sparseWeights([32, 64], 0.8)])));
    const flat = g.reshape(hidden, [-1, 64]);
    g.output(g.op('Abs', [g.gemm(flat, sparseWeights([16, 64], 0.8), { bias: vector('b2', 16) })]));
    const { output, natives } = await compiled(g.bytes(), { shapes: { x: [2, 24, 32] } });
    expect(natives).toEqual(['SparseMatMul', 'SparseMatMul']);
    expect(await verifyModels(g.bytes(), output, { shapes: { x: [2, 24, 32] } })).toMatchObject({ equal: true });
  });

  test('strides, dilations and uneven pads', async () => {
    for (const [strides, dilations, pads] of [
      [
        [2, 1],
        [1, 1],
        [1, 0, 2, 1],
      ],
      [
        [1, 1],
        [2, 3],
        [2, 3, 2, 3],
      ],
      [
        [3, 2],
        [1, 2],
        [0, 0, 0, 0],
      ],
    ] as const) {
      const g = graphBuilder();
      const x = g.input('x', SHAPES.x);
      const y = g.conv(x, sparseWeights([16, 16, 3, 3], 0.9), { strides, dilations, pads });
      g.output(g.op('Abs', [g.conv(g.relu(y), sparseWeights([8, 16, 1, 1], 0.9))]));
      const { output, natives } = await compiled(g.bytes());
      expect(natives.filter((name) => name === 'SparseConv')).toHaveLength(2);
      expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
    }
  });

  test('a normalisation whose product with the weights overflows is not fused', async () => {
    const g = graphBuilder();
    const huge = sparseWeights([16, 16, 3, 3], 0.8, 'huge');
    const scale = { data: new Float32Array(16).fill(1e25), dims: [16] };
    const x = g.mul(g.input('x', SHAPES.x), { data: [1e-30] });
    const y = g.conv(x, { ...huge, data: huge.data.map((value) => value * 1e18) }, { pads: 1 });
    const [shift, mean, variance] = [
      vector('s', 16),
      { data: new Float32Array(16) },
      { data: new Float32Array(16).fill(1) },
    ];
    g.output(g.relu(g.batchNorm(y, { scale, shift, mean, variance })));
    const { output, natives } = await compiled(g.bytes());
    expect(natives).toContain('SparseConv');
    expect(readModel(output).graph.nodes.map(({ opType }) => opType)).toContain('BatchNormalization');
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
    expect(await showBoth(g.bytes(), output)).toMatchInlineSnapshot(`
      inputs: x [2,16,12,12]
      Mul_output_0 [2,16,12,12] = Mul(x, Mul.1 [1] {1e-30})
      Conv_output_0 [2,16,12,12] = Conv(Mul_output_0, Conv.1 [16,16,3,3]) pads=1,1,1,1
      BatchNormalization_output_0 [2,16,12,12] = BatchNormalization(Conv_output_0, BatchNormalization.1 [16], BatchNormalization.2 [16], BatchNormalization.3 [16], BatchNormalization.4 [16])
      Relu_output_0 [2,16,12,12] = Relu(BatchNormalization_output_0)
      outputs: Relu_output_0
      =>
      inputs: x [2,16,12,12]
      Mul_output_0 = Mul(x, Mul.1 [1] {1e-30})
      Conv_sparse = prune_compile::SparseConv(Mul_output_0, Conv.1_values [438], Conv.1_bits uint8 [288]) channels=16 pads=1,1,1,1 filters=16 x_layout=NCHW y_layout=NCHW input_size=12,12 activation=None
      BatchNormalization_output_0 = BatchNormalization(Conv_sparse, BatchNormalization.1 [16], BatchNormalization.2 [16], BatchNormalization.3 [16], BatchNormalization.4 [16])
      Relu_output_0 = Relu(BatchNormalization_output_0)
      outputs: Relu_output_0
    `);
  });

  test('a layer without any weight left, and filters without', async () => {
    const g = graphBuilder();
    const x = g.input('x', SHAPES.x);
    const none = { data: new Float32Array(16 * 16), dims: [16, 16, 1, 1] };
    g.output(g.op('Abs', [g.conv(x, none, { bias: vector('b', 16) })]));
    const { output } = await compiled(g.bytes());
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  });
});

describe('declines', () => {
  const one = (build: (g: GraphBuilder, x: string) => string, dims: readonly number[] = SHAPES.x) => {
    const g = graphBuilder();
    g.output(g.op('Abs', [build(g, g.input('x', dims))]));
    return g.bytes();
  };

  test.each([
    ['depthwise without zeros', one((g, x) => g.conv(x, sparseWeights([16, 1, 3, 3], 0), { group: 16 }))],
    ['few pixels', one((g, x) => g.conv(x, sparseWeights([16, 16, 1, 1], 0.9)), [2, 16, 2, 2])],
    ['one row', one((g, x) => g.gemm(x, sparseWeights([16, 32], 0.9)), [1, 32])],
    ['no zeros', one((g, x) => g.conv(x, sparseWeights([16, 16, 3, 3], 0), { pads: 1 }))],
  ])('%s', async (_, bytes) => {
    const { made, natives, output } = await compiled(bytes);
    expect(natives).toEqual([]);
    expect(made.report.changed).toBe(false);
    expect(Buffer.compare(Buffer.from(output), Buffer.from(bytes))).toBe(0);
  });

  test.each([
    [
      'few zeros',
      one((g, x) => g.conv(x, sparseWeights([16, 16, 3, 3], 0.1), { pads: 1 })),
      /sparse operators would pay off here from \d+\.\d % zeros, and the layer has (8|9|10|11)\.\d %$/,
    ],
    [
      'a layer that takes less than its moves',
      one((g, x) => g.conv(x, sparseWeights([16, 16, 1, 1], 0.9))),
      /the change to the layout of sparse operators would take longer than the layer itself$/,
    ],
    [
      'one row',
      one((g, x) => g.gemm(x, sparseWeights([16, 32], 0.9)), [1, 32]),
      /so few rows or pixels, sparse weights are not faster/,
    ],
  ])('%s, and says why, and by which table', async (_, bytes, why) => {
    const { made, natives } = await compiled(bytes, { sparseTarget: 'avx512' });
    expect(natives).toEqual([]);
    expect(made.report.options).toMatchObject({ sparse: true, sparseTarget: 'avx512' });
    expect(made.report.remarks.map(({ message }) => message)).toEqual([
      'layers were chosen by the cost table "avx512" (docs/sparse.md)',
      expect.stringMatching(why),
    ]);
  });
});

describe('what cannot be sparse says why', () => {
  const weights = (extent = 3) => sparseWeights([16, 16, extent, extent], 0.9);
  test.each<[string, (g: GraphBuilder, x: string) => string, RegExp, (number | string)[]?]>([
    ['transposed', (g, x) => g.op('ConvTranspose', [x, weights()]), /ConvTranspose has no sparse operator$/],
    [
      'auto_pad with strides, at a size that is open',
      (g, x) => g.op('Conv', [x, weights()], { auto_pad: 'SAME_UPPER', strides: [2, 2] }),
      /its padding depends on the size of the image, which is unknown \(auto_pad\)$/,
    ],
    [
      'auto_pad that cuts off more than a pixel',
      (g, x) => g.op('Conv', [x, weights(1)], { auto_pad: 'SAME_LOWER', strides: [4, 4] }),
      /no sparse operator has this padding$/,
      [1, 16, 12, 12],
    ],
  ])('%s', async (_, add, why, dims = [1, 16, 'h', 12]) => {
    const g = graphBuilder();
    g.output(add(g, g.input('x', dims)));
    const { made } = await compiled(g.bytes());
    expect(made.report.remarks.map(({ message }) => message)).toContainEqual(expect.stringMatching(why));
  });
});

describe('what pays', () => {
  /** Two 3x3 convolutions of so many zeros, 64 channels of 28 x 28. */
  function twoLayers(first: number, second: number, dims: readonly (number | string)[] = [1, 64, 28, 28]): Uint8Array {
    const g = graphBuilder();
    const a = g.relu(g.conv(g.input('x', dims), sparseWeights([64, 64, 3, 3], first), { pads: 1 }));
    g.output(g.op('Abs', [g.conv(a, sparseWeights([64, 64, 3, 3], second), { pads: 1 })]));
    return g.bytes();
  }

  /** 1000 MACs per microsecond, ten times as fast from 50 % zeros. */
  const kind = { denseMacsPerSecond: 1e9, speedups: [[0.5, 10]] } as const;
  const table = (secondsPerMovedElement: number): CostTable => ({
    name: 'made up',
    secondsPerMovedElement,
    layers: { conv1x1: kind, conv: kind, matmul: kind },
  });

  test('nothing: the model is untouched, byte for byte', async () => {
    const never = { denseMacsPerSecond: 1e9, speedups: [[0, 0.5]] } as const;
    const bytes = twoLayers(0.9, 0.95);
    const { made, natives, output } = await compiled(bytes, {
      sparseTarget: { ...table(0), layers: { conv1x1: never, conv: never, matmul: never } },
    });
    expect([natives, made.report.changed]).toEqual([[], false]);
    expect(Buffer.compare(Buffer.from(output), Buffer.from(bytes))).toBe(0);
    expect(made.report.remarks[1]?.message).toBe(
      'kept dense: sparse operators would have to be 1.1x as fast to pay off here, which they are at no fraction of zeros',
    );
  });

  test('a chain of layers, a part of it, nothing: by the cost of moves', async () => {
    // A layer takes 28.9 ms and wins 24.6; a value has 50,176 elements. One layer alone needs two
    // moves, and so do both together.
    const bytes = twoLayers(0.6, 0.7);
    const operators = async (seconds: number, model = bytes) =>
      (await compiled(model, { sparseTarget: table(seconds / 50_176) })).natives.filter(
        (name) => name === 'SparseConv',
      );
    expect(await operators(20e-3)).toHaveLength(2);
    expect(await operators(26e-3)).toHaveLength(0);
    // The second has fewer zeros than the table begins with, and no part in anything.
    expect(await operators(11e-3, twoLayers(0.6, 0.3))).toHaveLength(1);
    expect(await operators(13e-3, twoLayers(0.6, 0.3))).toHaveLength(0);
  });

  test('sizes that are left open count as --shape says', async () => {
    const bytes = twoLayers(0.6, 0.7, ['n', 64, 'h', 'w']);
    const at = async (size: number) =>
      (await compiled(bytes, { sparseTarget: table(20e-3 / 50_176), shapes: { x: [1, 64, size, size] } })).made.report;
    expect((await at(28)).changed).toBe(true);
    // Moves and products shrink alike, but for the border: a layer is still worth its moves.
    expect((await at(4)).changed).toBe(true);
    expect((await compiled(bytes, { sparseTarget: table(1) })).made.report.changed).toBe(false);
  });

  test('the remark names the share from which on the layer would pay, and there it does', async () => {
    const { avx512 } = TABLES;
    const target = { ...avx512, secondsPerMovedElement: 4e-10 };
    const model = (zeros: number) => twoLayers(zeros, 0);
    const told = (await compiled(model(0.05), { sparseTarget: target })).made.report.remarks;
    const [, share = ''] = /pay off here from ([\d.]+) % zeros/.exec(told.at(-1)?.message ?? '') ?? [];
    const from = Number(share) / 100;
    expect(from).toBeGreaterThan(0.2);
    expect((await compiled(model(from - 0.04), { sparseTarget: target })).made.report.changed).toBe(false);
    expect((await compiled(model(from + 0.04), { sparseTarget: target })).made.report.changed).toBe(true);
  });
});

test('a model with sparse operators is not compiled again', needsLibrary, async () => {
  const g = graphBuilder();
  g.output(g.op('Abs', [g.conv(g.input('x', SHAPES.x), sparseWeights([16, 16, 1, 1], 0.8))]));
  const { output } = await compiled(g.bytes());
  await expect(compileModel(output)).rejects.toMatchObject({ code: 'E-MODEL-SPARSE' });
});

describe('options that do not fit', () => {
  const bytes = () => {
    const g = graphBuilder();
    g.output(g.op('Abs', [g.conv(g.input('x', SHAPES.x), sparseWeights([16, 16, 3, 3], 0.9), { pads: 1 })]));
    return g.bytes();
  };

  test.each<[string, CompileOptions, RegExp]>([
    ['another processor', { target: 'cuda' }, /--target cuda/],
    ['the pass by its name', { passes: ['convert-sparse'] }, /cannot be used with --passes/],
  ])('%s', async (_, options, what) => {
    await expect(compileModel(bytes(), { sparse: true, ...options })).rejects.toMatchObject({
      code: 'E-USAGE',
      what: expect.stringMatching(what),
    });
  });

  test('--skip leaves it out', async () => {
    expect((await compiled(bytes(), { skip: ['convert-sparse'] })).natives).toEqual([]);
  });

  test('nothing for training', async () => {
    const { made } = await compiled(bytes());
    expect(() => made.stateDict()).toThrow('cannot be combined with --sparse');
  });
});

describe('biases that are not one value per filter', needsLibrary, () => {
  const ROWS = 20;
  /** The bias of a Gemm, or an Add after a MatMul, in a network that is sparse otherwise. */
  function biased(opType: 'Gemm' | 'MatMul', dims: readonly number[], filters = 12): Uint8Array {
    const g = graphBuilder();
    const x = g.input('x', [ROWS, 16]);
    const weights = sparseWeights([16, filters], 0.8);
    const size = dims.reduce((total, extent) => total * extent, 1);
    const bias = { data: normals(11, `bias${dims.join('x')}`, size, 1), dims };
    const y = opType === 'Gemm' ? g.op('Gemm', [x, weights, bias]) : g.add(g.op('MatMul', [x, weights]), bias);
    g.output(g.op('Abs', [y]));
    return g.bytes();
  }

  test.each<['Gemm' | 'MatMul', readonly number[], number?]>([
    ['Gemm', [12]],
    ['Gemm', [1, 12]],
    ['Gemm', []],
    ['Gemm', [1]],
    ['Gemm', [1, 1]],
    ['Gemm', [ROWS, 1]],
    ['Gemm', [ROWS, 12]],
    // As many rows as filters: only the axes tell them apart.
    ['Gemm', [ROWS, 1], ROWS],
    ['MatMul', [12]],
    ['MatMul', [1, 1, 12]],
    ['MatMul', [ROWS, 1], ROWS],
  ])('%s %j', async (opType, dims, filters) => {
    const bytes = biased(opType, dims, filters);
    const { output } = await compiled(bytes);
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
  });
});

test('pools of images of any size are equal where these are smaller than the window', needsLibrary, async () => {
  for (const [kernel, ceil] of [
    [2, 0],
    [3, 0],
    [3, 1],
  ] as const) {
    const g = graphBuilder();
    const x = g.input('x', ['n', 16, 'h', 'w']);
    const conv = (data: string) => g.conv(data, sparseWeights([16, 16, 3, 3], 0.8), { pads: 1 });
    const options = { kernel_shape: [kernel, kernel], strides: [2, 2], ceil_mode: ceil };
    g.output(g.op('Abs', [conv(g.op('MaxPool', [g.relu(conv(x))], options))]));
    const { output } = await compiled(g.bytes());
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  }
});
