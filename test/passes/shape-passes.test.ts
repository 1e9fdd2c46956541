/** fold-shapes and keep-batch-apart: pictures of small graphs, before and after. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';
import { changed, unchanged } from './run-pass.js';

describe('fold-shapes, integers', () => {
  test('writes down ends of a Slice that are computed from a static extent', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 6, 'height', 2]);
    const half = g.op('Div', [g.op('Gather', [g.op('Shape', [x]), int64([1])], { axis: 0 }), int64([2])]);
    g.output(g.op('Slice', [x, int64([0]), half, int64([1])]));
    expect(await changed('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,6,height,2]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {1}) axis=0
      Div_output_0 [1] = Div(Gather_output_0, Div.1 int64 [1] {2})
      Slice_output_0 [?,?,?,?] = Slice(x, Slice.1 int64 [1] {0}, Div_output_0, Slice.3 int64 [1] {1})
      outputs: Slice_output_0
      =>
      inputs: x [batch,6,height,2]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {1}) axis=0
      Div_output_0 [1] = Div(Gather_output_0, Div.1 int64 [1] {2})
      Slice_output_0 [batch,3,height,2] = Slice(x, Slice.1 int64 [1] {0}, Div_output_0_known int64 [1] {3}, Slice.3 int64 [1] {1})
      outputs: Slice_output_0
    `);
  });

  test('copies two symbols, also where a 0 did not copy', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 'length', 6]);
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    g.output(g.op('Reshape', [x, g.concat([size(0), size(1), int64([-1, 3])], 0)], { allowzero: 1 }));
    expect(await changed('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,length,6]
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0 [4] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [2] {-1 3}) axis=0
      Reshape_output_0 [?,?,?,?] = Reshape(x, Concat_output_0) allowzero=1
      outputs: Reshape_output_0
      =>
      inputs: x [batch,length,6]
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0 [4] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [2] {-1 3}) axis=0
      Reshape_output_0 [batch,length,2,3] = Reshape(x, Concat_output_0_known int64 [4] {0 0 2 3})
      outputs: Reshape_output_0
    `);
  });

  test('leaves the last extent open where two others are computed in different ways', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 'length', 6]);
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    const flat = g.reshape(x, [-1, 6]);
    g.output(g.op('Reshape', [g.relu(flat), g.concat([size(0), size(1), int64([6])], 0)]));
    expect(await changed('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,length,6]
      Reshape_output_0 [?,6] = Reshape(x, Reshape.1 int64 [2] {-1 6})
      Relu_output_0 [?,6] = Relu(Reshape_output_0)
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0 [3] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [1] {6}) axis=0
      Reshape_1_output_0 [?,?,?] = Reshape(Relu_output_0, Concat_output_0)
      outputs: Reshape_1_output_0
      =>
      inputs: x [batch,length,6]
      Reshape_output_0 [?,6] = Reshape(x, Reshape.1 int64 [2] {-1 6})
      Relu_output_0 [?,6] = Relu(Reshape_output_0)
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0 [3] = Concat(Gather_output_0, Gather_1_output_0, Concat_output_0_rest int64 [1] {-1}) axis=0
      Reshape_1_output_0 [?,?,?] = Reshape(Relu_output_0, Concat_output_0)
      outputs: Reshape_1_output_0
      unread: Concat.2 int64 [1] {6}
    `);
  });

  test('of a target that takes channels apart at an open size the channels follow from the rest', async () => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', ['batch', 12, 'height', 'width']));
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    const target = g.concat([size(0), int64([3, 2, 2]), size(2), size(3)], 0);
    g.output(g.op('Reshape', [x, target]));
    const picture = await changed('fold-shapes', g.bytes());
    expect(picture).toContain('Gather_output_0, Concat_output_0_rest int64 [3] {-1 2 2}, Gather_1_output_0');
  });

  test('of a target that several Reshapes read', async () => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', ['batch', 12, 'height', 'width']));
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    const target = g.concat([size(0), int64([3, 2, 2]), size(2), size(3)], 0);
    g.output(g.add(g.op('Reshape', [x, target]), g.op('Reshape', [g.op('Abs', [x]), target])));
    expect(await changed('fold-shapes', g.bytes())).toContain('Concat_output_0_rest int64 [3] {-1 2 2}');
  });

  test('gives Reshapes a target of their own where others read it too', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 'length', 6]);
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    const target = g.concat([size(0), size(1), int64([6])], 0);
    const flat = g.reshape(x, [-1, 6]);
    for (const value of [g.relu(flat), g.op('Neg', [flat])]) g.output(g.op('Reshape', [value, target]));
    g.output(g.op('Expand', [{ data: [1] }, target]));
    expect(await changed('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,length,6]
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0 [3] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [1] {6}) axis=0
      Reshape_output_0 [?,6] = Reshape(x, Reshape.1 int64 [2] {-1 6})
      Relu_output_0 [?,6] = Relu(Reshape_output_0)
      Neg_output_0 [?,6] = Neg(Reshape_output_0)
      Reshape_1_output_0 [?,?,?] = Reshape(Relu_output_0, Concat_output_0)
      Reshape_2_output_0 [?,?,?] = Reshape(Neg_output_0, Concat_output_0)
      Expand_output_0 [?,?,?] = Expand(Expand.0 [1] {1}, Concat_output_0)
      outputs: Reshape_1_output_0, Reshape_2_output_0, Expand_output_0
      =>
      inputs: x [batch,length,6]
      Shape_output_0 [3] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {0}) axis=0
      Shape_1_output_0 [3] = Shape(x)
      Gather_1_output_0 [1] = Gather(Shape_1_output_0, Gather_1.1 int64 [1] {1}) axis=0
      Concat_output_0_open [3] = Concat(Gather_output_0, Gather_1_output_0, Concat_output_0_rest int64 [1] {-1}) axis=0
      Concat_output_0 [3] = Concat(Gather_output_0, Gather_1_output_0, Concat.2 int64 [1] {6}) axis=0
      Reshape_output_0 [?,6] = Reshape(x, Reshape.1 int64 [2] {-1 6})
      Relu_output_0 [?,6] = Relu(Reshape_output_0)
      Neg_output_0 [?,6] = Neg(Reshape_output_0)
      Reshape_1_output_0 [?,?,?] = Reshape(Relu_output_0, Concat_output_0_open)
      Reshape_2_output_0 [?,?,?] = Reshape(Neg_output_0, Concat_output_0_open)
      Expand_output_0 [?,?,?] = Expand(Expand.0 [1] {1}, Concat_output_0)
      outputs: Reshape_1_output_0, Reshape_2_output_0, Expand_output_0
    `);
  });

  test('declines for an end that depends on the input, and for a scale in floating point', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 6, 'height', 2]);
    const height = g.op('Gather', [g.op('Shape', [x]), int64([2])], { axis: 0 });
    const half = g.op('Slice', [x, int64([0]), g.op('Div', [height, int64([2])]), int64([2])]);
    g.output(g.op('Div', [half, g.op('Cast', [height], { to: FLOAT })]));
    expect(await unchanged('fold-shapes', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,6,height,2]
      Shape_output_0 [4] = Shape(x)
      Gather_output_0 [1] = Gather(Shape_output_0, Gather.1 int64 [1] {2}) axis=0
      Div_output_0 [1] = Div(Gather_output_0, Div.1 int64 [1] {2})
      Slice_output_0 [?,?,?,?] = Slice(x, Slice.1 int64 [1] {0}, Div_output_0, Slice.3 int64 [1] {2})
      Cast_output_0 [1] = Cast(Gather_output_0) to=1
      Div_1_output_0 [?,?,?,?] = Div(Slice_output_0, Cast_output_0)
      outputs: Div_1_output_0
      => unchanged
    `);
  });
});

describe('keep-batch-apart', () => {
  const PASS = 'keep-batch-apart';

  test('a merge that only the transpose needs goes', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 3, 5, 4]);
    const turned = g.transpose(g.reshape(x, [-1, 5, 4]), [0, 2, 1]);
    g.output(g.relu(g.reshape(turned, [-1, 3, 4, 5])));
    expect(await changed(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,3,5,4]
      Reshape_output_0 [?,5,4] = Reshape(x, Reshape.1 int64 [3] {-1 5 4})
      Transpose_output_0 [?,4,5] = Transpose(Reshape_output_0) perm=0,2,1
      Reshape_1_output_0 [?,3,4,5] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {-1 3 4 5})
      Relu_output_0 [?,3,4,5] = Relu(Reshape_1_output_0)
      outputs: Relu_output_0
      =>
      inputs: x [batch,3,5,4]
      Reshape_output_0 [?,5,4] = Reshape(x, Reshape.1 int64 [3] {-1 5 4})
      Transpose_output_0 [batch,3,4,5] = Transpose(x) perm=0,1,3,2
      Reshape_1_output_0 [?,3,4,5] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {-1 3 4 5})
      Relu_output_0 [batch,3,4,5] = Relu(Transpose_output_0)
      outputs: Relu_output_0
    `);
  });

  test('a merge that takes heads apart goes on doing so', async () => {
    const g = graphBuilder();
    const x = g.input('x', [5, 'batch', 12]);
    const turned = g.transpose(g.reshape(x, [5, -1, 4]), [1, 0, 2]);
    g.output(g.relu(g.reshape(turned, [-1, 3, 5, 4])));
    expect(await changed(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [5,batch,12]
      Reshape_output_0 [5,?,4] = Reshape(x, Reshape.1 int64 [3] {5 -1 4})
      Transpose_output_0 [?,5,4] = Transpose(Reshape_output_0) perm=1,0,2
      Reshape_1_output_0 [?,3,5,4] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {-1 3 5 4})
      Relu_output_0 [?,3,5,4] = Relu(Reshape_1_output_0)
      outputs: Relu_output_0
      =>
      inputs: x [5,batch,12]
      Reshape_output_0 [5,batch,3,4] = Reshape(x, Reshape_output_0_target int64 [4] {5 0 3 4})
      Transpose_output_0 [batch,3,5,4] = Transpose(Reshape_output_0) perm=1,2,0,3
      Reshape_1_output_0 [?,3,5,4] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {-1 3 5 4})
      Relu_output_0 [batch,3,5,4] = Relu(Transpose_output_0)
      outputs: Relu_output_0
      unread: Reshape.1 int64 [3] {5 -1 4}
    `);
  });

  test('declines where others read what lies between, or where the last Reshape merges', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 3, 5, 4]);
    const turned = g.transpose(g.reshape(x, [-1, 5, 4]), [0, 2, 1]);
    g.output(g.relu(g.reshape(turned, [-1, 3, 4, 5])));
    g.output(g.relu(turned));
    g.output(g.relu(g.reshape(g.transpose(g.reshape(x, [-1, 5, 2, 2]), [0, 2, 1, 3]), [-1, 10, 2])));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [batch,3,5,4]
      Reshape_output_0 [?,5,4] = Reshape(x, Reshape.1 int64 [3] {-1 5 4})
      Transpose_output_0 [?,4,5] = Transpose(Reshape_output_0) perm=0,2,1
      Reshape_1_output_0 [?,3,4,5] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {-1 3 4 5})
      Relu_output_0 [?,3,4,5] = Relu(Reshape_1_output_0)
      Relu_1_output_0 [?,4,5] = Relu(Transpose_output_0)
      Reshape_2_output_0 [?,5,2,2] = Reshape(x, Reshape_2.1 int64 [4] {-1 5 2 2})
      Transpose_1_output_0 [?,2,5,2] = Transpose(Reshape_2_output_0) perm=0,2,1,3
      Reshape_3_output_0 [?,10,2] = Reshape(Transpose_1_output_0, Reshape_3.1 int64 [3] {-1 10 2})
      Relu_2_output_0 [?,10,2] = Relu(Reshape_3_output_0)
      outputs: Relu_output_0, Relu_1_output_0, Relu_2_output_0
      => unchanged
    `);
  });

  test('declines where static axes are taken apart, which need no help', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 15, 4]);
    g.output(g.relu(g.reshape(g.transpose(g.reshape(x, [2, 15, 4]), [0, 2, 1]), [2, 4, 3, 5])));
    expect(await unchanged(PASS, g.bytes())).toMatchInlineSnapshot(`
      inputs: x [2,15,4]
      Reshape_output_0 [2,15,4] = Reshape(x, Reshape.1 int64 [3] {2 15 4})
      Transpose_output_0 [2,4,15] = Transpose(Reshape_output_0) perm=0,2,1
      Reshape_1_output_0 [2,4,3,5] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {2 4 3 5})
      Relu_output_0 [2,4,3,5] = Relu(Reshape_1_output_0)
      outputs: Relu_output_0
      => unchanged
    `);
  });
});

/**
 * Found by random graphs: once the target is written down, ONNX Runtime knows the rank of what is
 * resized, and inferred no sizes from indices that a caller may feed.
 */
test('a computed target in front of a Resize whose sizes are sliced at indices that could be fed', async () => {
  const g = graphBuilder({ opset: 17, initializersAsInputs: true });
  const x = g.input('x', ['n', 2, 5, 6]);
  const at = (from: string, start: number, end: number) =>
    g.op('Slice', [from, ...[start, end, 0].map((value) => int64([value]))]);
  const shape = (of: string) => g.op('Shape', [of]);
  const target = g.op('Concat', [at(shape(x), 0, 1), int64([2]), at(shape(x), 2, 3), at(shape(x), 3, 4)], { axis: 0 });
  const turned = g.op('Reshape', [g.op('Flatten', [x]), target]);
  const sizes = g.op('Concat', [at(shape(turned), 0, 2), int64([4, 3])], { axis: 0 });
  const resized = g.op('Resize', [turned, '', '', sizes], { mode: 'nearest' });
  const weights = { data: Float32Array.of(0, 0, 1, 2, 3, 4), dims: [3, 2, 1, 1] };
  g.output(
    g.op('Abs', [
      g.conv(g.op('Relu', [g.conv(resized, weights)]), { data: new Float32Array(6).fill(1), dims: [2, 3, 1, 1] }),
    ]),
  );
  const made = await compileModel(g.bytes());
  expect(made.report.after.channels).toBe(made.report.before.channels - 1);
  expect(await verifyModels(g.bytes(), made.encode())).toMatchObject({ equal: true });
});

/**
 * Found by random graphs: the last states of an LSTM are [directions, batch, hidden], and their
 * hidden units were taken for the batch of what it computes at every step, [steps, directions,
 * batch, hidden].
 */
test('a target that is computed from what an LSTM computes, whose batch has no name', async () => {
  const g = graphBuilder({ opset: 17 });
  const hidden = 3;
  const floats = (dims: readonly number[], zeros = 0) => {
    const size = dims.reduce((total, extent) => total * extent, 1);
    return { data: Float32Array.from({ length: size }, (_, at) => (at < zeros ? 0 : (at % 5) / 5 - 0.3)), dims };
  };
  const tiled = g.op('Tile', [g.input('x', ['n', 1, 5, 4]), int64([1, 2, 1, 1])]);
  const steps = g.op('Transpose', [g.reshape(tiled, [0, 2, -1])], { perm: [2, 0, 1] });
  const [y = ''] = g.ops(
    'LSTM',
    [steps, floats([1, 4 * hidden, 2]), floats([1, 4 * hidden, hidden])],
    { hidden_size: hidden },
    { outputs: 2 },
  );
  const size = (axis: number) => g.op('Slice', [g.op('Shape', [y]), int64([axis]), int64([axis + 1]), int64([0])]);
  const image = g.op('Reshape', [
    g.op('Transpose', [y], { perm: [2, 3, 1, 0] }),
    g.concat([size(2), int64([hidden]), int64([5, 4])], 0),
  ]);
  g.output(g.conv(g.op('Relu', [g.conv(image, floats([4, hidden, 1, 1], hidden))]), floats([2, 4, 1, 1])));
  const made = await compileModel(g.bytes(), { align: 1 });
  expect(made.report.after.channels).toBe(made.report.before.channels - 1);
  expect(await verifyModels(g.bytes(), made.encode())).toMatchObject({ equal: true });
});
