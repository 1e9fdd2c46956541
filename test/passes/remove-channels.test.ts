/**
 * remove-channels on its own: pictures of a small graph before and after, and of what it leaves as
 * it is.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { changed, runPass } from './run-pass.js';
import { deadPair, weights } from './dead-pair.js';

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

  test('a constant that meets zero padding comes back through a map of the place', async () => {
    expect(await changed('remove-channels', deadPair([1, 0.7, 1, 0.3]))).toMatchInlineSnapshot(`
      inputs: x [1,2,5,5]
      Conv_output_0 [1,4,5,5] = Conv(x, Conv.1 [4,2,1,1] {0.943 1.05 0 0 0.393 -1 0 0}, Conv.2 [4] {1 0.7 1 0.3})
      Relu_output_0 [1,4,5,5] = Relu(Conv_output_0)
      reader_output_0 [1,3,5,5] = Conv(Relu_output_0, reader.1 [3,4,3,3]) pads=1,1,1,1
      outputs: reader_output_0
      =>
      inputs: x [1,2,5,5]
      Conv_output_0 [1,2,5,5] = Conv(x, Conv.1 [2,2,1,1] {0.943 1.05 0.393 -1}, Conv.2 [2] {1 1})
      Relu_output_0 [1,2,5,5] = Relu(Conv_output_0)
      prune_compile/ones_of_Relu_output_0 [1,16,5,5] = Conv(Relu_output_0, Relu_output_0_no_weight [16,2,1,1], Relu_output_0_ones [16])
      prune_compile/taps_of_Relu_output_0 [1,16,5,5] = Conv(prune_compile/ones_of_Relu_output_0, Relu_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      reader_output_0_constants [1,3,5,5] = Conv(prune_compile/taps_of_Relu_output_0, reader_output_0_constants_weight [3,16,1,1])
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
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'note', cause: 'output', channels: 2 }));
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
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'note', cause: 'axis', channels: 2 }));
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
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'note', cause: 'speed', channels: 1 }));
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
