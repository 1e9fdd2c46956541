/**
 * The passes for branches that hold constants, each on its own: pictures of a small graph before
 * and after.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { changed, unchanged } from './run-pass.js';
import { weights } from './dead-pair.js';

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
