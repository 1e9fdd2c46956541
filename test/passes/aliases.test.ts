/**
 * Weights under several names, as exporters write modules that share one: through Identity,
 * Transpose, Cast, or by several readers. What is stored stays stored once where all readers agree,
 * and no file grows by more than the copies of what is cut.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type Input } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { FLOAT, FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { compile, identity, matMul, matrix, store, twoBranches } from './aliased-weights.js';

describe('readers that agree', () => {
  test('through Identity: cut once where it is stored', async () => {
    const { stored, operators, before, after, picture } = await compile(twoBranches(identity));
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Identity');
    expect([before, after]).toEqual([64, 48]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      Identity_2_output_0 [8,3] = Identity(v [8,3])
      Identity_3_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_2_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('directly, and held by Constant nodes', async () => {
    const g = graphBuilder();
    const [w, v] = [g.constant(matrix('w', [5, 8], 'columns')), g.constant(matrix('v', [8, 3]))];
    for (const at of [0, 1])
      g.output(matMul(g, g.relu(matMul(g, g.input(`x${at}`, [2, 5]), at === 0 ? w : identity(g, w))), v));
    const { picture, ...figures } = await compile(g);
    expect(figures).toMatchObject({ stored: ['5x6', '6x3'], before: 64, after: 48 });
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Constant_output_0 [5,8] = Constant() value=[5,8]
      Constant_1_output_0 [8,3] = Constant() value=[8,3]
      MatMul_output_0 [2,8] = MatMul(x0, Constant_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Constant_1_output_0)
      Identity_output_0 [5,8] = Identity(Constant_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Constant_1_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, Constant_output_0_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Constant_1_output_0_2 [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, Constant_output_0_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Constant_1_output_0_2 [6,3])
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('through Cast: cut in the type that it is stored in', async () => {
    const cast = (g: GraphBuilder, w: string) => g.op('Cast', [w], { to: FLOAT });
    const { stored, operators, bytes, before, after, picture } = await compile(
      twoBranches(cast, { dataType: FLOAT16 }),
    );
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators.filter((opType) => opType === 'Cast')).toHaveLength(2);
    expect(
      [...readModel(bytes).graph.initializers()].every(({ initializer }) => initializer.dataType === FLOAT16),
    ).toBe(true);
    expect([before, after]).toEqual([64, 48]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Cast_output_0 [5,8] = Cast(w float16 [5,8]) to=1
      Cast_1_output_0 [8,3] = Cast(v float16 [8,3]) to=1
      Cast_2_output_0 [8,3] = Cast(v float16 [8,3]) to=1
      Cast_3_output_0 [5,8] = Cast(w float16 [5,8]) to=1
      MatMul_output_0 [2,8] = MatMul(x0, Cast_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Cast_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Cast_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Cast_2_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      Cast_output_0 [5,6] = Cast(w float16 [5,6]) to=1
      Cast_1_output_0 [6,3] = Cast(v float16 [6,3]) to=1
      MatMul_output_0 [2,6] = MatMul(x0, Cast_output_0)
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Cast_1_output_0)
      MatMul_2_output_0 [2,6] = MatMul(x1, Cast_output_0)
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Cast_1_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('a tied embedding: Gather reads the table, MatMul its transpose', async () => {
    const g = graphBuilder();
    const table = store(g, 'table', matrix('table', [9, 6], 'columns'));
    const ids = g.input('ids', [2, 4], INT64);
    const embedded = g.op('Gather', [table, ids], { axis: 0 });
    const hidden = g.relu(matMul(g, embedded, store(g, 'p', matrix('p', [6, 5], 'rows'))));
    const back = matMul(g, hidden, store(g, 'q', matrix('q', [5, 6])));
    g.output(matMul(g, back, g.transpose(table, [1, 0])));
    const { stored, operators, before, after, picture } = await compile(g);
    expect(stored).toEqual(['4x5', '5x4', '9x4']);
    expect(operators).toContain('Transpose');
    expect([before, after]).toEqual([114, 76]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: ids [2,4]
      Gather_output_0 [2,4,6] = Gather(table [9,6], ids) axis=0
      MatMul_output_0 [2,4,5] = MatMul(Gather_output_0, p [6,5])
      Relu_output_0 [2,4,5] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,4,6] = MatMul(Relu_output_0, q [5,6])
      Transpose_output_0 [6,9] = Transpose(table [9,6]) perm=1,0
      MatMul_2_output_0 [2,4,9] = MatMul(MatMul_1_output_0, Transpose_output_0)
      outputs: MatMul_2_output_0
      =>
      inputs: ids [2,4]
      Gather_output_0 [2,4,4] = Gather(table [9,4], ids) axis=0
      MatMul_output_0 [2,4,5] = MatMul(Gather_output_0, p [4,5])
      Relu_output_0 [2,4,5] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,4,4] = MatMul(Relu_output_0, q [5,4])
      Transpose_output_0 [4,9] = Transpose(table [9,4]) perm=1,0
      MatMul_2_output_0 [2,4,9] = MatMul(MatMul_1_output_0, Transpose_output_0)
      outputs: MatMul_2_output_0
    `);
  });

  test('a transpose that alone is read becomes what is stored', async () => {
    const turned = (name: string, dims: readonly [number, number], dead?: 'rows') => (g: GraphBuilder) =>
      g.transpose(store(g, name, matrix(name, dims, dead)), [1, 0]);
    const g = graphBuilder();
    const hidden = g.relu(matMul(g, g.input('x', [2, 5]), turned('w', [8, 5], 'rows')(g)));
    g.output(matMul(g, hidden, turned('v', [3, 8])(g)));
    const { stored, operators, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Transpose');
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,5]
      Transpose_output_0 [5,8] = Transpose(w [8,5]) perm=1,0
      MatMul_output_0 [2,8] = MatMul(x, Transpose_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      Transpose_1_output_0 [8,3] = Transpose(v [3,8]) perm=1,0
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Transpose_1_output_0)
      outputs: MatMul_1_output_0
      =>
      inputs: x [2,5]
      MatMul_output_0 [2,6] = MatMul(x, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v_2 [6,3])
      outputs: MatMul_1_output_0
    `);
  });

  test('normalisation parameters through Cast, where maps of constants are scaled by them', async () => {
    const g = graphBuilder();
    const filters = (name: string, dims: readonly [number, number, number], dead: readonly number[]) => ({
      data: normals(3, name, dims[0] * dims[1] * dims[2] ** 2).map((value, at) =>
        dead.includes(Math.floor(at / (dims[1] * dims[2] ** 2))) ? 0 : value,
      ),
      dims: [dims[0], dims[1], dims[2], dims[2]],
    });
    const x = g.input('x', [1, 3, 7, 7]);
    const hidden = g.relu(
      g.conv(x, filters('c', [24, 3, 1], [0, 3, 5]), { bias: { data: uniforms(3, 'b', 24, 0.1, 1) } }),
    );
    const parameter = (name: string, low: number): Input => {
      const data = uniforms(3, name, 10, low, 2).map((value, at) => (at === 2 && name !== 'variance' ? 0 : value));
      const stored = g.initializer(name, [10], data, FLOAT16);
      return g.op('Cast', [stored], { to: FLOAT });
    };
    const [scale, shift, mean, variance] = [
      parameter('scale', 0.5),
      parameter('shift', -1),
      parameter('mean', -1),
      parameter('variance', 0.5),
    ];
    const wide = g.conv(hidden, filters('d', [10, 24, 3], [2]), { pads: 1 });
    const normal = g.relu(g.batchNorm(wide, { scale, shift, mean, variance }));
    g.output(g.conv(normal, filters('e', [4, 10, 1], [])));
    const { stored, picture } = await compile(g);
    expect(stored.filter((dims) => dims === '9')).toHaveLength(4);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,3,7,7]
      Conv_output_0 [1,24,7,7] = Conv(x, Conv.1 [24,3,1,1], Conv.2 [24])
      Relu_output_0 [1,24,7,7] = Relu(Conv_output_0)
      Cast_output_0 [10] = Cast(scale float16 [10]) to=1
      Cast_1_output_0 [10] = Cast(shift float16 [10]) to=1
      Cast_2_output_0 [10] = Cast(mean float16 [10]) to=1
      Cast_3_output_0 [10] = Cast(variance float16 [10]) to=1
      Conv_1_output_0 [1,10,7,7] = Conv(Relu_output_0, Conv_1.1 [10,24,3,3]) pads=1,1,1,1
      BatchNormalization_output_0 [1,10,7,7] = BatchNormalization(Conv_1_output_0, Cast_output_0, Cast_1_output_0, Cast_2_output_0, Cast_3_output_0)
      Relu_1_output_0 [1,10,7,7] = Relu(BatchNormalization_output_0)
      Conv_2_output_0 [1,4,7,7] = Conv(Relu_1_output_0, Conv_2.1 [4,10,1,1])
      outputs: Conv_2_output_0
      =>
      inputs: x [1,3,7,7]
      Conv_output_0 [1,21,7,7] = Conv(x, Conv.1 [21,3,1,1], Conv.2 [21])
      Relu_output_0 [1,21,7,7] = Relu(Conv_output_0)
      Cast_output_0 [9] = Cast(scale float16 [9]) to=1
      Cast_1_output_0 [9] = Cast(shift float16 [9]) to=1
      Cast_2_output_0 [9] = Cast(mean float16 [9]) to=1
      Cast_3_output_0 [9] = Cast(variance float16 [9]) to=1
      prune_compile/ones_of_Relu_output_0 [1,16,7,7] = Conv(Relu_output_0, Relu_output_0_no_weight [16,21,1,1], Relu_output_0_ones [16])
      prune_compile/taps_of_Relu_output_0 [1,16,7,7] = Conv(prune_compile/ones_of_Relu_output_0, Relu_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      Conv_1_output_0_constants [1,9,7,7] = Conv(prune_compile/taps_of_Relu_output_0, Conv_1_output_0_constants_weight [9,16,1,1])
      Conv_1_output_0 [1,9,7,7] = Conv(Relu_output_0, Conv_1.1 [9,21,3,3]) pads=1,1,1,1
      BatchNormalization_output_0_before_Add [1,9,7,7] = BatchNormalization(Conv_1_output_0, Cast_output_0, Cast_1_output_0, Cast_2_output_0, Cast_3_output_0)
      BatchNormalization_output_0 [1,9,7,7] = Add(BatchNormalization_output_0_before_Add, Conv_1_output_0_constants)
      Relu_1_output_0 [1,9,7,7] = Relu(BatchNormalization_output_0)
      Conv_2_output_0 [1,4,7,7] = Conv(Relu_1_output_0, Conv_2.1 [4,9,1,1])
      outputs: Conv_2_output_0
    `);
  });
});
