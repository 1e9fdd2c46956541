/** Each pass on its own: a picture of a small graph before and after, that it stays equal, and that a second run changes nothing. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/graph-builder.js';
import { normals } from '../../fixtures/random.js';
import { passes, pipelines } from '../../passes/index.js';
import { BOOL, FLOAT, FLOAT16, INT8 } from '../../src/ir/tensor.js';
import type { ContextOptions } from '../../src/pipeline.js';
import { runPass } from './run-pass.js';

/** [rows, columns, k, k] of normal numbers, with whole filters and input columns zeroed. */
function weights(
  name: string,
  [rows, columns, k]: readonly [number, number, number],
  zero: { filters?: readonly number[]; columns?: readonly number[] } = {},
) {
  const data = normals(5, name, rows * columns * k * k);
  const size = k * k;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (zero.filters?.includes(row) === true || zero.columns?.includes(column) === true)
        data.fill(0, (row * columns + column) * size, (row * columns + column + 1) * size);
    }
  }
  return { data, dims: [rows, columns, k, k] };
}

interface Pair {
  /** Filters without weights. */
  dead?: readonly number[];
  /** Of the reader. */
  pads?: number;
}

/** x [1, 2, 5, 5] -> 4 filters of which 1 and 3 are zero with the bias given -> Relu -> 3x3 with padding -> y. */
function deadPair(
  bias: readonly number[],
  { dead = [1, 3], pads = 1 }: Pair = {},
  build?: (g: GraphBuilder, hidden: string) => void,
): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 2, 5, 5]);
  const hidden = g.relu(g.conv(x, weights('w1', [4, 2, 1], { filters: dead }), { bias }));
  g.output(g.conv(hidden, weights('w2', [3, 4, 3]), { pads, name: 'reader' }));
  build?.(g, hidden);
  return g.bytes();
}

/** What a pass makes of a graph: the picture, after the checks that every change must pass. */
async function changed(name: string, bytes: Uint8Array, options?: ContextOptions): Promise<string> {
  const { result, again, picture, isEqual } = await runPass(name, bytes, options);
  expect([result.changed, isEqual, again.changed]).toEqual([true, true, false]);
  return picture;
}

/** The picture of a graph that the pass leaves as it is. */
async function unchanged(name: string, bytes: Uint8Array, options?: ContextOptions): Promise<string> {
  const { result, picture } = await runPass(name, bytes, options);
  expect(result.changed).toBe(false);
  return picture;
}

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
      Reshape_output_0 [batch,16] = Reshape(x, Reshape_output_0_target int64 [2] {0 16})
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

describe('remove-channels', () => {
  test('a dead filter of value 0 goes with its column', async () => {
    const { picture, isEqual, again, result } = await runPass('remove-channels', deadPair([1, 0, 1, -2]));
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0 1 -2})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,2,5,5] = Conv(x, Conv.1 [2,2,1,1] {0.943 1.05 0.393 -1}, Conv.2 [2] {1 1})
      Relu_output_0 [1,2,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,2,3,3]) pads=1,1,1,1
      outputs: reader_output_0
    `);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'applied', channels: 2 }));
  });

  test('a constant is added to the bias of a reader without padding', async () => {
    expect(await changed('remove-channels', deadPair([1, 0.7, 1, 0.3], { pads: 0 }))).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0.7 1 0.3})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,3,3] = Conv(Relu_output_0, reader.1 [3,4,3,3])
      outputs: reader_output_0
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,2,5,5] = Conv(x, Conv.1 [2,2,1,1] {0.943 1.05 0.393 -1}, Conv.2 [2] {1 1})
      Relu_output_0 [1,2,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,3,3] = Conv(Relu_output_0, reader.1 [3,2,3,3], reader_bias [3] {-0.559 -3.76 1.66})
      outputs: reader_output_0
    `);
  });

  test('a constant that meets zero padding comes back through a convolution of ones', async () => {
    expect(await changed('remove-channels', deadPair([1, 0.7, 1, 0.3]))).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0.7 1 0.3})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
      =>
      inputs: x [1,2,5,5]
      prune_compile/flat [50] = Reshape(x, prune_compile/-1 int64 [1] {-1})
      prune_compile/element [1] = Gather(prune_compile/flat, prune_compile/0 int64 [1] {0}) axis=0
      prune_compile/never [1] = Greater(prune_compile/element, prune_compile/element)
      prune_compile/always [1] = Not(prune_compile/never)
      prune_compile/one_1 [1] = Cast(prune_compile/always) to=1
      prune_compile/ones_1_1x1x5x5 [1,1,5,5] = Expand(prune_compile/one_1, prune_compile/1x1x5x5 int64 [4] {1 1 5 5})
      Conv_output_0 [1,2,5,5] = Conv(x, Conv.1 [2,2,1,1] {0.943 1.05 0.393 -1}, Conv.2 [2] {1 1})
      Relu_output_0 [1,2,5,5] = Relu(Conv_output_0)
      reader_output_0_constants [1,3,5,5] = Conv(prune_compile/ones_1_1x1x5x5, reader_output_0_constants_weight [3,1,3,3]) pads=1,1,1,1
      reader_output_0_before_Add [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,2,3,3]) pads=1,1,1,1
      reader_output_0 [1,3,5,5] = Add(reader_output_0_before_Add, reader_output_0_constants)
      outputs: reader_output_0
    `);
  });

  test('a constant channel that stays anyway carries the others', async () => {
    const { picture, isEqual } = await runPass('remove-channels', deadPair([1, 0.7, 1, 0.3]), { align: 3 });
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0.7 1 0.3})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,3,5,5] = Conv(x, Conv.1 [3,2,1,1] {0.943 1.05 0 0 0.393 -1}, Conv.2 [3] {1 0.7 1})
      Relu_output_0 [1,3,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,3,3,3]) pads=1,1,1,1
      outputs: reader_output_0
    `);
    expect(isEqual).toBe(true);
  });

  test('a product of one row without a batch axis is a layer as any other', async () => {
    const g = graphBuilder();
    const first = normals(5, 'first', 6 * 4).map((value, at) => (at % 4 === 1 || at % 4 === 3 ? 0 : value));
    const sums = g.add(g.op('MatMul', [g.input('x', [6]), { data: first, dims: [6, 4] }]), { data: [1, 0.7, 1, -2] });
    g.output(g.op('MatMul', [g.relu(sums), { data: normals(5, 'second', 4 * 3), dims: [4, 3] }]));
    // Channel 1 holds 0.7: its row of the second weights comes back as an offset.
    expect(await changed('remove-channels', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [6]
      MatMul_output_0 [4] = MatMul(x, MatMul.1 [6,4])
      Add_output_0 [4] = Add(MatMul_output_0, Add.1 [4] {1 0.7 1 -2})
      Relu_output_0 [4] = Relu(Add_output_0)
      MatMul_1_output_0 [3] = MatMul(Relu_output_0, MatMul_1.1 [4,3])
      outputs: MatMul_1_output_0
      =>
      inputs: x [6]
      MatMul_output_0 [2] = MatMul(x, MatMul.1 [6,2])
      Add_output_0 [2] = Add(MatMul_output_0, Add.1 [2] {1 1})
      Relu_output_0 [2] = Relu(Add_output_0)
      MatMul_1_output_0_before_Add [3] = MatMul(Relu_output_0, MatMul_1.1 [2,3] {-0.761 0.924 -1.73 1.51 0.0581 0.492})
      MatMul_1_output_0 [3] = Add(MatMul_1_output_0_before_Add, MatMul_1_output_0_offset [3] {-0.737 -0.545 -0.0479})
      outputs: MatMul_1_output_0
    `);
  });

  test('constants that only a constant output reads are kept in its bias', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const hidden = g.conv(x, weights('a', [4, 2, 1], { filters: [0, 1] }), { bias: [1, 2, 0.3, 0.4] });
    const readers = { data: [0.7, 0.9, 0, 0, 0, 0, 1, 2, 0, 0, 0.5, 2], dims: [3, 4, 1, 1] };
    g.output(g.conv(hidden, readers));
    const { isEqual, picture } = await runPass('remove-channels', g.bytes());
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,4,4]
      Conv_output_0 [1,4,4,4] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 -0.23 -0.474 0.514 0.0328}, Conv.2 [4] {1 2 0.3 0.4})
      Conv_1_output_0 [1,3,4,4] = Conv(Conv_output_0, Conv_1.1 [3,4,1,1])
      outputs: Conv_1_output_0
      =>
      inputs: x [1,2,4,4]
      Conv_output_0 [1,2,4,4] = Conv(x, Conv.1 [2,2,1,1] {-0.23 -0.474 0.514 0.0328}, Conv.2 [2] {0.3 0.4})
      Conv_1_output_0 [1,3,4,4] = Conv(Conv_output_0, Conv_1.1 [3,2,1,1] {0 0 1 2 0.5 2}, Conv_1_bias [3] {2.5 0 0})
      outputs: Conv_1_output_0
    `);
    expect(isEqual).toBe(true);
  });

  test('a shared weight is cut for each reader on its own', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const shared = g.initializer('shared', [4, 2, 1, 1], weights('s', [4, 2, 1], { filters: [2] }).data);
    const one = g.conv(g.conv(x, shared), weights('r1', [3, 4, 1]));
    g.output(one);
    g.output(g.conv(x, shared));
    const { picture, isEqual } = await runPass('remove-channels', g.bytes());
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, shared [4,2,1,1] {-1.76 0.00366 -0.833 -0.263 0 0 1.83 0.00215})
      Conv_1_output_0 [1,3,5,5] = Conv(Conv_output_0, Conv_1.1 [3,4,1,1])
      Conv_2_output_0 [1,4,5,5] = Conv(x, shared [4,2,1,1] {-1.76 0.00366 -0.833 -0.263 0 0 1.83 0.00215})
      outputs: Conv_1_output_0, Conv_2_output_0
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,3,5,5] = Conv(x, shared_2 [3,2,1,1] {-1.76 0.00366 -0.833 -0.263 1.83 0.00215})
      Conv_1_output_0 [1,3,5,5] = Conv(Conv_output_0, Conv_1.1 [3,3,1,1])
      Conv_2_output_0 [1,4,5,5] = Conv(x, shared [4,2,1,1] {-1.76 0.00366 -0.833 -0.263 0 0 1.83 0.00215})
      outputs: Conv_1_output_0, Conv_2_output_0
    `);
    expect(isEqual).toBe(true);
  });

  test('declines when something needs the channel: an output of the model', async () => {
    const { result, picture } = await runPass(
      'remove-channels',
      deadPair([1, 0, 1, 0], {}, (g, hidden) => g.output(hidden)),
    );
    expect(result.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'missed', channels: 2 }));
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0 1 0})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0, Relu_output_0
      => unchanged
    `);
  });

  test('declines when something pins the channel: an operator that mixes channels', async () => {
    const bytes = deadPair([1, 0, 1, 0], {}, (g, hidden) => g.output(g.op('LRN', [hidden], { size: 3 })));
    const { result, picture } = await runPass('remove-channels', bytes);
    expect(result.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'missed', channels: 2 }));
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0 1 0})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      LRN_output_0 [1,4,5,5] = LRN(Relu_output_0) size=3
      outputs: reader_output_0, LRN_output_0
      => unchanged
    `);
  });

  test('declines when the width would make the layer slower: 3 of 4 channels', async () => {
    const { result, picture } = await runPass('remove-channels', deadPair([1, 0, 1, 1], { dead: [1] }), {
      align: 'auto',
    });
    expect(result.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'missed', channels: 1 }));
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0.757 -0.582}, Conv.2 [4] {1 0 1 1})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
      => unchanged
    `);
  });
});

describe('remove-constant-branches', () => {
  interface Block {
    dims?: readonly (number | string)[];
    /** Filters of the branch that have no weights. */
    dead?: readonly number[];
    /** Whether the branch reads the model's input, not the stem. */
    isBeside?: boolean;
    /** Filters of the stem that have no weights. */
    deadStem?: readonly number[];
  }

  const block = (
    bias: readonly number[],
    { dims = [1, 4, 6, 6], dead = [0, 1, 2, 3], isBeside = false, deadStem = [] }: Block = {},
  ): Uint8Array => {
    const g = graphBuilder();
    const x = g.input('x', dims);
    const stem = g.conv(x, weights('stem', [4, 4, 3], { filters: deadStem }), { pads: 1, bias: [1, 2, 3, 4] });
    const branch = g.conv(g.relu(isBeside ? x : stem), weights('branch', [4, 4, 1], { filters: dead }), { bias });
    g.output(g.relu(g.add(stem, branch)));
    return g.bytes();
  };
  const PASS = 'remove-constant-branches';

  test('a branch of zeros goes with the Add', async () => {
    expect(await changed(PASS, block([0, 0, 0, 0]))).toMatchInlineSnapshot(`
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0 0 0 0})
      Add_output_0 [1,4,6,6] = Add(Conv_output_0, Conv_1_output_0)
      Relu_1_output_0 [1,4,6,6] = Relu(Add_output_0)
      outputs: Relu_1_output_0
      =>
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0 0 0 0})
      Relu_1_output_0 [1,4,6,6] = Relu(Conv_output_0)
      outputs: Relu_1_output_0
    `);
  });

  test('other constants are added per channel, at symbolic sizes too', async () => {
    expect(await changed(PASS, block([0.1, 0, -2, 3], { dims: [1, 4, 'h', 'w'] }))).toMatchInlineSnapshot(`
      inputs: x [1,4,h,w]
      Conv_output_0 [1,4,?,?] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,?,?] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,?,?] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0.1 0 -2 3})
      Add_output_0 [1,4,?,?] = Add(Conv_output_0, Conv_1_output_0)
      Relu_1_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_1_output_0
      =>
      inputs: x [1,4,h,w]
      Conv_output_0 [1,4,?,?] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,?,?] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,?,?] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0.1 0 -2 3})
      Add_output_0 [1,4,?,?] = Add(Conv_output_0, Add_output_0_constants [4,1,1] {0.1 0 -2 3})
      Relu_1_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_1_output_0
    `);
  });

  test('other constants go into the bias of what makes the other operand, where only the Add reads that', async () => {
    expect(await changed(PASS, block([0.1, 0, -2, 3], { isBeside: true }))).toMatchInlineSnapshot(`
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(x)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0.1 0 -2 3})
      Add_output_0 [1,4,6,6] = Add(Conv_output_0, Conv_1_output_0)
      Relu_1_output_0 [1,4,6,6] = Relu(Add_output_0)
      outputs: Relu_1_output_0
      =>
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2_2 [4] {1.1 2 1 7}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(x)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0.1 0 -2 3})
      Relu_1_output_0 [1,4,6,6] = Relu(Conv_output_0)
      outputs: Relu_1_output_0
      unread: Conv.2 [4] {1 2 3 4}
    `);
  });

  test('declines when a channel of the branch varies', async () => {
    expect(await unchanged(PASS, block([0, 0, 0, 0], { dead: [0, 1, 2] }))).toMatchInlineSnapshot(`
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {0 0 0 0})
      Add_output_0 [1,4,6,6] = Add(Conv_output_0, Conv_1_output_0)
      Relu_1_output_0 [1,4,6,6] = Relu(Add_output_0)
      outputs: Relu_1_output_0
      => unchanged
    `);
  });

  test('declines when the other operand has not the full shape of the sum', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 4, 1, 1]);
    const dead = weights('dead', [4, 4, 1], { filters: [0, 1, 2, 3] });
    g.output(g.op('Abs', [g.add(g.relu(x), g.conv(g.input('z', [1, 4, 6, 6]), dead, { bias: [1, 2, 3, 4] }))]));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [1,4,1,1], z [1,4,6,6]
      Relu_output_0 [1,4,1,1] = Relu(x)
      Conv_output_0 [1,4,6,6] = Conv(z, Conv.1 [4,4,1,1], Conv.2 [4] {1 2 3 4})
      Add_output_0 [1,4,6,6] = Add(Relu_output_0, Conv_output_0)
      Abs_output_0 [1,4,6,6] = Abs(Add_output_0)
      outputs: Abs_output_0
      => unchanged
    `);
  });

  test('declines when the sum is all constant', async () => {
    expect(await unchanged(PASS, block([1, 2, 3, 4], { deadStem: [0, 1, 2, 3] }))).toMatchInlineSnapshot(`
      inputs: x [1,4,6,6]
      Conv_output_0 [1,4,6,6] = Conv(x, Conv.1 [4,4,3,3], Conv.2 [4] {1 2 3 4}) pads=1,1,1,1
      Relu_output_0 [1,4,6,6] = Relu(Conv_output_0)
      Conv_1_output_0 [1,4,6,6] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {1 2 3 4})
      Add_output_0 [1,4,6,6] = Add(Conv_output_0, Conv_1_output_0)
      Relu_1_output_0 [1,4,6,6] = Relu(Add_output_0)
      outputs: Relu_1_output_0
      => unchanged
    `);
  });
});

describe('replace-constant-inputs', () => {
  interface Read {
    dims?: readonly (number | string)[];
    dead?: readonly number[];
    pads?: number;
    bias?: readonly number[];
  }

  /** x -> `dead` filters without weights -> map, beside a layer that reads x itself. */
  const constantRead = ({ dims = ['batch', 2, 5, 5], dead = [0, 1, 2, 3], pads = 1, bias = [1, 2, 0, -1] }: Read) => {
    const g = graphBuilder();
    const x = g.input('x', dims);
    const hidden = g.conv(x, weights('dead', [4, 2, 1], { filters: dead }), { bias });
    const map = g.conv(hidden, weights('map', [3, 4, 3]), { pads });
    g.output(g.add(map, g.conv(x, weights('live', [3, 2, pads === 0 ? 3 : 1]))));
    return g.bytes();
  };
  const PASS = 'replace-constant-inputs';

  test('a convolution that reads only constants reads ones', async () => {
    expect(await changed(PASS, constantRead({}))).toMatchInlineSnapshot(`
      inputs: x [batch,2,5,5]
      Conv_output_0 [batch,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 0 0}, Conv.2 [4] {1 2 0 -1})
      Conv_1_output_0 [batch,3,5,5] = Conv(Conv_output_0, Conv_1.1 [3,4,3,3]) pads=1,1,1,1
      Conv_2_output_0 [batch,3,5,5] = Conv(x, Conv_2.1 [3,2,1,1] {0.42 0.666 0.762 1.7 -0.0108 -1.91})
      Add_output_0 [batch,3,5,5] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
      =>
      inputs: x [batch,2,5,5]
      prune_compile/shape_of_x [4] = Shape(x)
      prune_compile/batch_of_x [1] = Gather(prune_compile/shape_of_x, prune_compile/0 int64 [1] {0}) axis=0
      prune_compile/always [1] = Equal(prune_compile/batch_of_x, prune_compile/batch_of_x)
      prune_compile/one_1 [1] = Cast(prune_compile/always) to=1
      prune_compile/shape_5x5 [4] = Concat(prune_compile/batch_of_x, prune_compile/1x5x5 int64 [3] {1 5 5}) axis=0
      prune_compile/ones_1_batchx1x5x5 [batch,1,5,5] = Expand(prune_compile/one_1, prune_compile/shape_5x5)
      Conv_output_0 [batch,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 0 0}, Conv.2 [4] {1 2 0 -1})
      Conv_1_output_0 [batch,3,5,5] = Conv(prune_compile/ones_1_batchx1x5x5, Conv_1.1_2 [3,1,3,3]) pads=1,1,1,1
      Conv_2_output_0 [batch,3,5,5] = Conv(x, Conv_2.1 [3,2,1,1] {0.42 0.666 0.762 1.7 -0.0108 -1.91})
      Add_output_0 [batch,3,5,5] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
      unread: Conv_1.1 [3,4,3,3]
    `);
  });

  test('declines when the size is symbolic', async () => {
    expect(await unchanged(PASS, constantRead({ dims: [1, 2, 'h', 'w'] }))).toMatchInlineSnapshot(`
      inputs: x [1,2,h,w]
      Conv_output_0 [1,4,?,?] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 0 0}, Conv.2 [4] {1 2 0 -1})
      Conv_1_output_0 [1,3,?,?] = Conv(Conv_output_0, Conv_1.1 [3,4,3,3]) pads=1,1,1,1
      Conv_2_output_0 [1,3,?,?] = Conv(x, Conv_2.1 [3,2,1,1] {0.42 0.666 0.762 1.7 -0.0108 -1.91})
      Add_output_0 [1,3,?,?] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
      => unchanged
    `);
  });

  test('declines when a channel varies', async () => {
    expect(await unchanged(PASS, constantRead({ dead: [0, 1, 2] }))).toMatchInlineSnapshot(`
      inputs: x [batch,2,5,5]
      Conv_output_0 [batch,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 -0.074 0.382}, Conv.2 [4] {1 2 0 -1})
      Conv_1_output_0 [batch,3,5,5] = Conv(Conv_output_0, Conv_1.1 [3,4,3,3]) pads=1,1,1,1
      Conv_2_output_0 [batch,3,5,5] = Conv(x, Conv_2.1 [3,2,1,1] {0.42 0.666 0.762 1.7 -0.0108 -1.91})
      Add_output_0 [batch,3,5,5] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
      => unchanged
    `);
  });

  test('declines without padding: each output is one constant, which other passes use', async () => {
    expect(await unchanged(PASS, constantRead({ pads: 0 }))).toMatchInlineSnapshot(`
      inputs: x [batch,2,5,5]
      Conv_output_0 [batch,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 0 0}, Conv.2 [4] {1 2 0 -1})
      Conv_1_output_0 [batch,3,3,3] = Conv(Conv_output_0, Conv_1.1 [3,4,3,3])
      Conv_2_output_0 [batch,3,3,3] = Conv(x, Conv_2.1 [3,2,3,3])
      Add_output_0 [batch,3,3,3] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
      => unchanged
    `);
  });

  test('declines when all constants are 0: so are the outputs, and other passes take the branch away', async () => {
    expect(await unchanged(PASS, constantRead({ bias: [0, 0, 0, 0] }))).toMatchInlineSnapshot(`
      inputs: x [batch,2,5,5]
      Conv_output_0 [batch,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0 0 0 0 0 0 0 0}, Conv.2 [4] {0 0 0 0})
      Conv_1_output_0 [batch,3,5,5] = Conv(Conv_output_0, Conv_1.1 [3,4,3,3]) pads=1,1,1,1
      Conv_2_output_0 [batch,3,5,5] = Conv(x, Conv_2.1 [3,2,1,1] {0.42 0.666 0.762 1.7 -0.0108 -1.91})
      Add_output_0 [batch,3,5,5] = Add(Conv_1_output_0, Conv_2_output_0)
      outputs: Add_output_0
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
