/**
 * Each pass on its own: a picture of a small graph before and after, that it stays equal, and that
 * a second run changes nothing.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { passes, pipelines } from '../../passes/index.js';
import { BOOL, FLOAT, FLOAT16, INT8 } from '../../src/ir/tensor.js';
import { changed, runPass, unchanged } from './run-pass.js';
import { deadPair } from './dead-pair.js';

describe('fold-constants', () => {
  test('multiplies a mask into its weight, under the name the weight had', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const weight = g.initializer('conv1.weight_orig', [4, 2, 3, 3], normals(1, 'w', 72));
    const mask = g.initializer(
      'conv1.weight_mask',
      [4, 2, 3, 3],
      Float32Array.from({ length: 72 }, (_, at) => at % 2),
    );
    g.output(g.conv(x, g.mul(mask, weight), { kernel: [3, 3] }));
    const { result, again, picture, isEqual } = await runPass('fold-constants', g.bytes());
    expect(result.gains).toBe(true);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Mul_output_0 [4,2,3,3] = Mul(conv1.weight_mask [4,2,3,3], conv1.weight_orig [4,2,3,3])
      Conv_output_0 [1,4,3,3] = Conv(x, Mul_output_0) kernel_shape=3,3
      outputs: Conv_output_0
      =>
      inputs: x [1,2,5,5]
      Mul_output_0 [4,2,3,3] = Mul(conv1.weight_mask [4,2,3,3], conv1.weight_orig [4,2,3,3])
      Conv_output_0 [1,4,3,3] = Conv(x, conv1.weight [4,2,3,3])
      outputs: Conv_output_0
    `);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });

  test('reads values that hold the same from one place', async () => {
    const g = graphBuilder();
    const w = g.initializer('w', [3, 3], normals(1, 'w', 9));
    const hidden = g.op('MatMul', [g.input('x', [2, 3]), g.op('Identity', [w])]);
    g.output(g.op('MatMul', [hidden, g.op('Identity', [w])]));
    expect(await changed('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,3]
      Identity_output_0 [3,3] = Identity(w [3,3])
      MatMul_output_0 [2,3] = MatMul(x, Identity_output_0)
      Identity_1_output_0 [3,3] = Identity(w [3,3])
      MatMul_1_output_0 [2,3] = MatMul(MatMul_output_0, Identity_1_output_0)
      outputs: MatMul_1_output_0
      =>
      inputs: x [2,3]
      Identity_output_0 [3,3] = Identity(w [3,3])
      MatMul_output_0 [2,3] = MatMul(x, w [3,3])
      Identity_1_output_0 [3,3] = Identity(w [3,3])
      MatMul_1_output_0 [2,3] = MatMul(MatMul_output_0, w [3,3])
      outputs: MatMul_1_output_0
    `);
  });

  test('declines when the result is larger than what it is made from: a shape', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const weight = g.op('ConstantOfShape', [int64([4, 2, 5, 5])], {});
    g.output(g.conv(x, weight, { kernel: [5, 5] }));
    expect(await unchanged('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      ConstantOfShape_output_0 [4,2,5,5] = ConstantOfShape(ConstantOfShape.0 int64 [4] {4 2 5 5})
      Conv_output_0 [1,4,1,1] = Conv(x, ConstantOfShape_output_0) kernel_shape=5,5
      outputs: Conv_output_0
      => unchanged
    `);
  });

  test('declines when the result is larger than what it is made from: one row, expanded', async () => {
    const g = graphBuilder();
    const row = g.initializer('row', [1, 12], normals(1, 'row', 12));
    g.output(g.op('MatMul', [g.input('x', [2, 12]), g.op('Expand', [row, int64([12, 12])])]));
    expect(await unchanged('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,12]
      Expand_output_0 [12,12] = Expand(row [1,12], Expand.1 int64 [2] {12 12})
      MatMul_output_0 [2,12] = MatMul(x, Expand_output_0)
      outputs: MatMul_output_0
      => unchanged
    `);
  });

  test('declines when the result is larger than what it is made from: a wider type', async () => {
    const g = graphBuilder();
    const w = g.initializer('w', [12, 12], normals(1, 'w', 144), FLOAT16);
    g.output(g.op('MatMul', [g.input('x', [2, 12]), g.op('Cast', [w], { to: FLOAT })]));
    expect(await unchanged('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,12]
      Cast_output_0 [12,12] = Cast(w float16 [12,12]) to=1
      MatMul_output_0 [2,12] = MatMul(x, Cast_output_0)
      outputs: MatMul_output_0
      => unchanged
    `);
  });

  test('declines when what the result is made from is read elsewhere: a weight and its transpose', async () => {
    const g = graphBuilder();
    const w = g.initializer('w', [12, 12], normals(1, 'w', 144));
    const hidden = g.op('MatMul', [g.input('x', [2, 12]), w]);
    g.output(g.op('MatMul', [hidden, g.transpose(w, [1, 0])]));
    expect(await unchanged('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,12]
      MatMul_output_0 [2,12] = MatMul(x, w [12,12])
      Transpose_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_1_output_0 [2,12] = MatMul(MatMul_output_0, Transpose_output_0)
      outputs: MatMul_1_output_0
      => unchanged
    `);
  });

  test('declines for dequantised weights', async () => {
    const g = graphBuilder();
    const bytes = normals(1, 'w', 144, 40).map(Math.round);
    const w = g.op('DequantizeLinear', [
      g.initializer('w', [12, 12], bytes, INT8),
      { data: [0.02], dims: [] },
      { data: [0], dims: [], dataType: INT8 },
    ]);
    g.output(g.op('MatMul', [g.input('x', [2, 12]), w]));
    expect(await unchanged('fold-constants', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,12]
      DequantizeLinear_output_0 [12,12] = DequantizeLinear(w int8 [12,12], DequantizeLinear.1 [] {0.02}, DequantizeLinear.2 int8 [] {0})
      MatMul_output_0 [2,12] = MatMul(x, DequantizeLinear_output_0)
      outputs: MatMul_output_0
      => unchanged
    `);
  });
});

describe('fold-shapes', () => {
  test('writes down a target of which only the batch is computed', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 4, 2, 2]);
    const batch = g.op('Unsqueeze', [
      g.op('Gather', [g.op('Shape', [x]), { ...int64([0]), dims: [] }], { axis: 0 }),
      int64([0]),
    ]);
    g.output(g.op('Reshape', [x, g.concat([batch, int64([-1])], 0)]));
    expect(await changed('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,4,2,2]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 = Gather(Shape_output_0, Gather.1 int64 [] {0}) axis=0
      Unsqueeze_output_0 [1] = Unsqueeze(Gather_output_0, Unsqueeze.1 int64 [1] {0})
      Concat_output_0 [2] = Concat(Unsqueeze_output_0, Concat.1 int64 [1] {-1}) axis=0
      Reshape_output_0 [?,?] = Reshape(x, Concat_output_0)
      outputs: Reshape_output_0
      =>
      inputs: x [batch,4,2,2]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 = Gather(Shape_output_0, Gather.1 int64 [] {0}) axis=0
      Unsqueeze_output_0 [1] = Unsqueeze(Gather_output_0, Unsqueeze.1 int64 [1] {0})
      Concat_output_0 [2] = Concat(Unsqueeze_output_0, Concat.1 int64 [1] {-1}) axis=0
      Reshape_output_0 [batch,16] = Reshape(x, Concat_output_0_known int64 [2] {0 16})
      outputs: Reshape_output_0
    `);
  });

  test('declines when two extents are computed in different ways', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 4, 'height', 6]);
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    g.output(g.op('Reshape', [x, g.concat([size(2), size(0), int64([24])], 0)]));
    expect(await unchanged('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,4,height,6]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {2}) axis=0
      Shape_1_output_0 [4] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {0}) axis=0
      Concat_output_0 [3] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [1] {24}) axis=0
      Reshape_output_0 [?,?,?] = Reshape(x, Concat_output_0)
      outputs: Reshape_output_0
      => unchanged
    `);
  });
});

describe('remove-dead-nodes', () => {
  const PASS = 'remove-dead-nodes';

  test('drops what nobody reads', async () => {
    const bytes = deadPair([1, 2, 3, 4], {}, (g, hidden) => {
      g.op('Shape', [hidden]);
      g.initializer('unused', [2], [1, 2]);
    });
    expect(await changed(PASS, bytes)).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 2 3 4})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      Shape_output_0 [4] = Shape(Relu_output_0)
      outputs: reader_output_0
      unread: unused [2] {1 2}
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 2 3 4})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
    `);
  });

  test('declines for graph outputs', async () => {
    const g = graphBuilder();
    const y = g.relu(g.input('x', [2, 3]));
    g.output(y);
    g.output(g.initializer('stored', [2], [1, 2]));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,3]
      Relu_output_0 [2,3] = Relu(x)
      outputs: Relu_output_0, stored
      => unchanged
    `);
  });

  test('declines for values that subgraphs read', async () => {
    const g = graphBuilder();
    const y = g.relu(g.input('x', [2, 3]));
    const branch = (opType: string) => {
      const inner = graphBuilder({ name: opType });
      inner.output(inner.op(opType, [y], {}, { outputs: [`${opType}_inner`] }), [2, 3]);
      return { graph: inner.graph() };
    };
    const condition = g.input('condition', [], BOOL);
    g.output(g.op('If', [condition], { then_branch: branch('Abs'), else_branch: branch('Neg') }));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,3], condition
      Relu_output_0 [2,3] = Relu(x)
      If_output_0 [2,3] = If(condition) then_branch=… else_branch=… reads Relu_output_0
      outputs: If_output_0
      => unchanged
    `);
  });

  test('declines for graph inputs that are not initializers', async () => {
    const g = graphBuilder();
    g.input('ignored', [4]);
    g.output(g.relu(g.input('x', [2, 3])));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: ignored [4], x [2,3]
      Relu_output_0 [2,3] = Relu(x)
      outputs: Relu_output_0
      => unchanged
    `);
  });
});

test('presets name passes that exist, and every pass is in one', () => {
  const names = passes.map(({ name }) => name);
  const used = Object.values(pipelines).flat();
  expect(used.filter((name) => !names.includes(name))).toEqual([]);
  expect(names.filter((name) => !used.some((one) => one === name))).toEqual([]);
});
