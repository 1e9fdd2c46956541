/**
 * Weights under several names whose readers do not agree, or that somebody else sees; and what is
 * folded.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { FLOAT, FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { compile, identity, matMul, matrix, store, twoBranches } from './aliased-weights.js';

describe('readers that do not agree', () => {
  test('each set that agrees has one copy of what it keeps', async () => {
    // The last branch needs all channels: they are an output.
    const g = graphBuilder();
    const [w, v] = [store(g, 'w', matrix('w', [5, 8], 'columns')), store(g, 'v', matrix('v', [8, 3]))];
    for (const at of [0, 1])
      g.output(matMul(g, g.relu(matMul(g, g.input(`x${at}`, [2, 5]), identity(g, w))), identity(g, v)));
    g.output(matMul(g, g.input('z', [2, 5]), identity(g, w)));
    const { stored, before, after, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
    expect([before, after]).toEqual([64, 88]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5], z [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      Identity_2_output_0 [5,8] = Identity(w [5,8])
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_2_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      Identity_3_output_0 [8,3] = Identity(v [8,3])
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_3_output_0)
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      MatMul_4_output_0 [2,8] = MatMul(z, Identity_4_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0, MatMul_4_output_0
      =>
      inputs: x0 [2,5], x1 [2,5], z [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      MatMul_4_output_0 [2,8] = MatMul(z, w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, MatMul_4_output_0
    `);
  });

  test('nothing is copied that nothing is cut from', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    const u = store(g, 'u', matrix('u', [12, 12]));
    let x = g.input('x', [2, 12]);
    for (let at = 0; at < 4; at++) x = g.relu(matMul(g, x, at === 0 ? w : identity(g, w)));
    x = matMul(g, g.op('MatMul', [x, g.transpose(u, [1, 0])]), u);
    const dead = matMul(g, x, store(g, 'a', matrix('a', [12, 6], 'columns')));
    g.output(matMul(g, g.relu(dead), store(g, 'b', matrix('b', [6, 3]))));
    const { stored, bytes, picture } = await compile(g);
    expect(stored).toEqual(['12x12', '12x12', '12x4', '4x3']);
    expect(bytes.length).toBeLessThan(g.bytes().length);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,12]
      MatMul_output_0 [2,12] = MatMul(x, w [12,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      Identity_output_0 [12,12] = Identity(w [12,12])
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, Identity_output_0)
      Relu_1_output_0 [2,12] = Relu(MatMul_1_output_0)
      Identity_1_output_0 [12,12] = Identity(w [12,12])
      MatMul_2_output_0 [2,12] = MatMul(Relu_1_output_0, Identity_1_output_0)
      Relu_2_output_0 [2,12] = Relu(MatMul_2_output_0)
      Identity_2_output_0 [12,12] = Identity(w [12,12])
      MatMul_3_output_0 [2,12] = MatMul(Relu_2_output_0, Identity_2_output_0)
      Relu_3_output_0 [2,12] = Relu(MatMul_3_output_0)
      Transpose_output_0 [12,12] = Transpose(u [12,12]) perm=1,0
      MatMul_4_output_0 [2,12] = MatMul(Relu_3_output_0, Transpose_output_0)
      MatMul_5_output_0 [2,12] = MatMul(MatMul_4_output_0, u [12,12])
      MatMul_6_output_0 [2,6] = MatMul(MatMul_5_output_0, a [12,6])
      Relu_4_output_0 [2,6] = Relu(MatMul_6_output_0)
      MatMul_7_output_0 [2,3] = MatMul(Relu_4_output_0, b [6,3])
      outputs: MatMul_7_output_0
      =>
      inputs: x [2,12]
      MatMul_output_0 [2,12] = MatMul(x, w [12,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w [12,12])
      Relu_1_output_0 [2,12] = Relu(MatMul_1_output_0)
      MatMul_2_output_0 [2,12] = MatMul(Relu_1_output_0, w [12,12])
      Relu_2_output_0 [2,12] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,12] = MatMul(Relu_2_output_0, w [12,12])
      Relu_3_output_0 [2,12] = Relu(MatMul_3_output_0)
      Transpose_output_0 [12,12] = Transpose(u [12,12]) perm=1,0
      MatMul_4_output_0 [2,12] = MatMul(Relu_3_output_0, Transpose_output_0)
      MatMul_5_output_0 [2,12] = MatMul(MatMul_4_output_0, u [12,12])
      MatMul_6_output_0 [2,4] = MatMul(MatMul_5_output_0, a [12,4])
      Relu_4_output_0 [2,4] = Relu(MatMul_6_output_0)
      MatMul_7_output_0 [2,3] = MatMul(Relu_4_output_0, b [4,3])
      outputs: MatMul_7_output_0
    `);
  });
});

describe('aliases that somebody else sees', () => {
  test('as an output of the model: it stays whole, and its readers share a copy', async () => {
    const g = twoBranches(identity);
    g.output(g.op('Identity', ['w']), [5, 8]);
    const { stored, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
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
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, Identity_4_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, Identity_4_output_0
    `);
  });

  test('in a subgraph', async () => {
    const g = twoBranches(identity);
    const branch = (name: string) => {
      const inner = graphBuilder();
      inner.output(inner.op('Identity', ['w'], {}, { outputs: [name] }), [5, 8]);
      return { graph: inner.graph() };
    };
    const condition = g.op('Cast', [g.op('ReduceMax', ['x0'], { keepdims: 0 })], { to: 9 });
    g.output(g.op('If', [condition], { then_branch: branch('then'), else_branch: branch('else') }));
    const { stored, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
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
      ReduceMax_output_0 = ReduceMax(x0) keepdims=0
      Cast_output_0 = Cast(ReduceMax_output_0) to=9
      If_output_0 [5,8] = If(Cast_output_0) then_branch=… else_branch=… reads w
      outputs: MatMul_1_output_0, MatMul_3_output_0, If_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      ReduceMax_output_0 = ReduceMax(x0) keepdims=0
      Cast_output_0 = Cast(ReduceMax_output_0) to=9
      If_output_0 [5,8] = If(Cast_output_0) then_branch=… else_branch=… reads w
      outputs: MatMul_1_output_0, MatMul_3_output_0, If_output_0
    `);
  });
});

describe('folding', () => {
  test('of a mask: a weight that is read elsewhere without it is not stored twice', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    const mask = { data: Float32Array.from({ length: 12 }, (_, at) => (at % 3 === 0 ? 0 : 1)), dims: [1, 12] };
    const hidden = g.relu(matMul(g, g.input('x', [2, 12]), g.mul(w, mask)));
    g.output(matMul(g, hidden, w));
    const { stored, operators, before, after, picture } = await compile(g);
    expect(stored).toEqual(['12x12', '1x12']);
    expect(operators.filter((opType) => opType === 'Gather')).toHaveLength(2);
    expect([before, after]).toEqual([144, 144]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,12]
      Mul_output_0 [12,12] = Mul(w [12,12], Mul.1 [1,12])
      MatMul_output_0 [2,12] = MatMul(x, Mul_output_0)
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w [12,12])
      outputs: MatMul_1_output_0
      =>
      inputs: x [2,12]
      Mul_output_0 [12,12] = Mul(w [12,12], Mul.1 [1,12])
      Mul_output_0_kept [12,8] = Gather(Mul_output_0, Mul_output_0_kept_indices int64 [8] {1 2 4 5 7 8 10 11}) axis=1
      MatMul_output_0 [2,8] = MatMul(x, Mul_output_0_kept)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      w_kept [8,12] = Gather(w [12,12], w_kept_indices int64 [8] {1 2 4 5 7 8 10 11}) axis=0
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w_kept)
      outputs: MatMul_1_output_0
    `);
  });

  test('to a wider type would grow the file', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]), FLOAT16);
    const dead = matMul(g, g.input('x', [2, 5]), store(g, 'a', matrix('a', [5, 12], 'columns')));
    g.output(
      matMul(g, matMul(g, g.relu(dead), store(g, 'b', matrix('b', [12, 12]))), g.op('Cast', [w], { to: FLOAT })),
    );
    const { bytes, operators, picture } = await compile(g);
    expect(operators).toContain('Cast');
    expect(bytes.length).toBeLessThan(g.bytes().length);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,5]
      MatMul_output_0 [2,12] = MatMul(x, a [5,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, b [12,12])
      Cast_output_0 [12,12] = Cast(w float16 [12,12]) to=1
      MatMul_2_output_0 [2,12] = MatMul(MatMul_1_output_0, Cast_output_0)
      outputs: MatMul_2_output_0
      =>
      inputs: x [2,5]
      MatMul_output_0 [2,10] = MatMul(x, a [5,10])
      Relu_output_0 [2,10] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, b [10,12])
      Cast_output_0 [12,12] = Cast(w float16 [12,12]) to=1
      MatMul_2_output_0 [2,12] = MatMul(MatMul_1_output_0, Cast_output_0)
      outputs: MatMul_2_output_0
    `);
  });

  test('nodes that compute the same are one', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    let x = g.op('Gather', [w, g.input('ids', [3], INT64)], { axis: 0 });
    for (let at = 0; at < 3; at++) x = matMul(g, x, g.transpose(w, [1, 0]));
    const dead = matMul(g, x, store(g, 'a', matrix('a', [12, 6], 'columns')));
    g.output(matMul(g, g.relu(dead), store(g, 'b', matrix('b', [6, 3]))));
    const { operators, before, picture } = await compile(g);
    expect(operators.filter((opType) => opType === 'Transpose')).toHaveLength(1);
    expect(before).toBe(144 + 72 + 18);
    expect(picture).toMatchInlineSnapshot(`
      inputs: ids [3]
      Gather_output_0 [3,12] = Gather(w [12,12], ids) axis=0
      Transpose_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_output_0 [3,12] = MatMul(Gather_output_0, Transpose_output_0)
      Transpose_1_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_1_output_0 [3,12] = MatMul(MatMul_output_0, Transpose_1_output_0)
      Transpose_2_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_2_output_0 [3,12] = MatMul(MatMul_1_output_0, Transpose_2_output_0)
      MatMul_3_output_0 [3,6] = MatMul(MatMul_2_output_0, a [12,6])
      Relu_output_0 [3,6] = Relu(MatMul_3_output_0)
      MatMul_4_output_0 [3,3] = MatMul(Relu_output_0, b [6,3])
      outputs: MatMul_4_output_0
      =>
      inputs: ids [3]
      Gather_output_0 [3,12] = Gather(w [12,12], ids) axis=0
      Transpose_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_output_0 [3,12] = MatMul(Gather_output_0, Transpose_output_0)
      MatMul_1_output_0 [3,12] = MatMul(MatMul_output_0, Transpose_output_0)
      MatMul_2_output_0 [3,12] = MatMul(MatMul_1_output_0, Transpose_output_0)
      MatMul_3_output_0 [3,4] = MatMul(MatMul_2_output_0, a [12,4])
      Relu_output_0 [3,4] = Relu(MatMul_3_output_0)
      MatMul_4_output_0 [3,3] = MatMul(Relu_output_0, b [4,3])
      outputs: MatMul_4_output_0
    `);
  });

  test('a shape that is read of a weight holds no old weight in the file', async () => {
    const g = graphBuilder({ opset: 18 });
    const filters = normals(3, 'f', 80 * 4).map((value, at) => (at % 4 === 1 ? 0 : value));
    const w = g.initializer('w', [80, 4, 1, 1], filters);
    const first = normals(3, 'e', 12).map((value, at) => (Math.floor(at / 3) === 1 ? 0 : value));
    const hidden = g.relu(g.conv(g.input('x', [1, 3, 4, 4]), { data: first, dims: [4, 3, 1, 1] }));
    const extent = g.op('Shape', [w], { start: 0, end: 1 });
    const bias = g.op('Expand', [{ data: [0.5], dims: [1] }, extent]);
    g.output(g.op('Conv', [hidden, w, bias], { kernel_shape: [1, 1] }));
    const { bytes, before, picture } = await compile(g);
    expect(bytes.length).toBeLessThan(g.bytes().length);
    // 320 and 12 weights, and the number that the bias is made of.
    expect(before).toBe(333);
    const masked = (await makeMasks(g.bytes(), { granularity: 'unstructured' })).encode('onnx');
    expect([...readModel(masked).graph.initializers()]).toHaveLength(3);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,3,4,4]
      Conv_output_0 [1,4,4,4] = Conv(x, Conv.1 [4,3,1,1])
      Relu_output_0 [1,4,4,4] = Relu(Conv_output_0)
      Shape_output_0 [1] = Shape(w [80,4,1,1]) start=0 end=1
      Expand_output_0 [80] = Expand(Expand.0 [1] {0.5}, Shape_output_0)
      Conv_1_output_0 [1,80,4,4] = Conv(Relu_output_0, w [80,4,1,1], Expand_output_0)
      outputs: Conv_1_output_0
      =>
      inputs: x [1,3,4,4]
      Conv_output_0 [1,3,4,4] = Conv(x, Conv.1 [3,3,1,1])
      Relu_output_0 [1,3,4,4] = Relu(Conv_output_0)
      Expand_output_0 [80] = Expand(Expand.0 [1] {0.5}, Shape_output_0_folded int64 [1] {80})
      Conv_1_output_0 [1,80,4,4] = Conv(Relu_output_0, w [80,3,1,1], Expand_output_0)
      outputs: Conv_1_output_0
    `);
  });
});
