/**
 * What remove-channels takes out of grouped convolutions: the same number from every group that
 * stays, and whole groups.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { CostModel } from '../../src/cost/width-cost.js';
import { readModel } from '../../src/onnx/read.js';
import { changed, type Ran, runPass } from './run-pass.js';
import { weights } from './dead-pair.js';

/** A grouped convolution between two others: 1x1 to `inputs`, grouped to `outputs`, 1x1 to 2. */
interface Layers {
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Zero filters of the first and of the grouped convolution, and their biases. */
  readonly deadInputs?: readonly number[];
  readonly deadOutputs?: readonly number[];
  readonly inputBias?: readonly number[];
  readonly outputBias?: readonly number[];
  /** Padding of the grouped convolution, whose kernel is 3x3 then, and 1x1 otherwise. */
  readonly pads?: number;
}

function grouped(
  { groups, inputs, outputs, deadInputs, deadOutputs, inputBias, outputBias, pads = 0 }: Layers,
  build?: (g: GraphBuilder, hidden: string) => void,
): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 2, 4, 4]);
  const first = weights('w1', [inputs, 2, 1], { filters: deadInputs ?? [] });
  const wide = g.relu(g.conv(x, first, { name: 'first', ...(inputBias && { bias: inputBias }) }));
  const kernel = weights('w2', [outputs, inputs / groups, pads === 0 ? 1 : 3], { filters: deadOutputs ?? [] });
  const options = { group: groups, pads, name: 'grouped', ...(outputBias && { bias: outputBias }) };
  const hidden = g.relu(g.conv(wide, kernel, options));
  g.output(g.conv(hidden, weights('w3', [2, outputs, 1]), { name: 'last' }));
  build?.(g, hidden);
  return g.bytes();
}

/** Groups and extents of the weights of a convolution. */
function shapeOf(bytes: Uint8Array, name: string): number[] {
  const node = readModel(bytes).graph.findNode(name);
  return [node?.int('group', 1) ?? 0, ...(node?.inputs[1]?.initializer?.dims ?? [])];
}

function expectExact({ isEqual, again, result }: Ran): void {
  expect([result.changed, isEqual, again.changed]).toEqual([true, true, false]);
}

/** What the last round says of dead channels that stay. */
function held({ result, again }: Ran): string[] {
  const { remarks } = result.changed ? again : result;
  return remarks.filter(({ cause }) => cause !== undefined).map(({ message }) => message);
}

describe('equal numbers from every group', () => {
  test('other inputs and other outputs of each group go', async () => {
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 3], deadOutputs: [1, 2] };
    expect(await changed('remove-channels', grouped(layers))).toMatchInlineSnapshot(`
      inputs: x [1,2,4,4]
      first_output_0 [1,4,4,4] = Conv(x, first.1 [4,2,1,1] {0 0 -0.0857 0.151 0.393 -1 0 0})
      Relu_output_0 [1,4,4,4] = Relu(first_output_0)
      grouped_output_0 [1,4,4,4] = Conv(Relu_output_0, grouped.1 [4,2,1,1] {-0.319 0.174 0 0 0 0 -0.729 -0.716}) group=2
      Relu_1_output_0 [1,4,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,4,1,1] {1.33 0.385 -0.595 1.72 -0.611 0.423 0.301 0.518})
      outputs: last_output_0
      =>
      inputs: x [1,2,4,4]
      first_output_0 [1,2,4,4] = Conv(x, first.1 [2,2,1,1] {-0.0857 0.151 0.393 -1})
      Relu_output_0 [1,2,4,4] = Relu(first_output_0)
      grouped_output_0 [1,2,4,4] = Conv(Relu_output_0, grouped.1 [2,1,1,1] {0.174 -0.729}) group=2
      Relu_1_output_0 [1,2,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,2,1,1] {1.33 1.72 -0.611 0.518})
      outputs: last_output_0
    `);
  });

  test('what one group has more stays, with the reason', async () => {
    const ran = await runPass(
      'remove-channels',
      grouped({ groups: 2, inputs: 8, outputs: 6, deadInputs: [0, 1, 2, 7], deadOutputs: [0, 1, 5] }),
    );
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([2, 4, 3, 1, 1]);
    expect(held(ran)).toEqual([
      '3 dead channels of 2 layers stay: the groups of grouped (Conv) keep equal widths, and fuller groups need more; with as many pruned in every group, all 3 would go: prune-compile mask --groups residual chooses so',
    ]);
  });

  test('a group that is alive keeps all the others', async () => {
    const ran = await runPass('remove-channels', grouped({ groups: 3, inputs: 6, outputs: 6, deadOutputs: [0, 2] }));
    expect(ran.result.changed).toBe(false);
    expect(held(ran)).toEqual([
      '2 dead channels of grouped stay: grouped (Conv): group 2 needs all 2 output channels, and every group has to keep as many; with as many pruned in every group, all 2 would go: prune-compile mask --groups residual chooses so',
    ]);
  });

  test('several outputs of one input each', async () => {
    const ran = await runPass('remove-channels', grouped({ groups: 3, inputs: 3, outputs: 9, deadOutputs: [0, 4, 8] }));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([3, 6, 1, 1, 1]);
  });

  test('one output of several inputs each', async () => {
    const ran = await runPass('remove-channels', grouped({ groups: 3, inputs: 9, outputs: 3, deadInputs: [0, 4, 8] }));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([3, 3, 2, 1, 1]);
  });

  test('every group that stays keeps one input, though all are dead', async () => {
    const outputBias = [1, 1, 1, 1];
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 1, 2, 3], outputBias, pads: 1 };
    // Behind a pool nothing is known of what depends on the place: the outputs stay.
    const pooled = (g: GraphBuilder, hidden: string) => g.output(g.op('MaxPool', [hidden], { kernel_shape: [2, 2] }));
    const ran = await runPass('remove-channels', grouped({ ...layers, inputBias: [1, 1, 1, 1] }, pooled));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([2, 4, 1, 3, 3]);
    expect(held(ran).join()).toContain(
      '2 dead channels of first stay: grouped (Conv): a group that stays keeps at least one input channel',
    );
  });
});

describe('whole groups', () => {
  test('a group goes whose outputs depend on the place alone', async () => {
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 1], inputBias: [1, 2, 0, 0], pads: 1 };
    const ran = await runPass('remove-channels', grouped(layers));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([1, 2, 2, 3, 3]);
    expect(shapeOf(ran.bytes, 'last_constants')).toEqual([1, 2, 16, 1, 1]);
    // The layer itself gives nothing back: what read the constants is gone.
    expect(ran.picture).not.toContain('grouped_output_0_constants');
  });

  test('a group whose inputs and outputs are dead goes', async () => {
    const layers = { groups: 3, inputs: 6, outputs: 9, deadInputs: [2, 3], deadOutputs: [3, 4, 5] };
    expect(await changed('remove-channels', grouped(layers))).toMatchInlineSnapshot(`
      inputs: x [1,2,4,4]
      first_output_0 [1,6,4,4] = Conv(x, first.1 [6,2,1,1])
      Relu_output_0 [1,6,4,4] = Relu(first_output_0)
      grouped_output_0 [1,9,4,4] = Conv(Relu_output_0, grouped.1 [9,2,1,1]) group=3
      Relu_1_output_0 [1,9,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,9,1,1])
      outputs: last_output_0
      =>
      inputs: x [1,2,4,4]
      first_output_0 [1,4,4,4] = Conv(x, first.1 [4,2,1,1] {0.943 1.05 -0.0857 0.151 -0.0979 0.197 0.459 -1.05})
      Relu_output_0 [1,4,4,4] = Relu(first_output_0)
      grouped_output_0 [1,6,4,4] = Conv(Relu_output_0, grouped.1 [6,2,1,1]) group=2
      Relu_1_output_0 [1,6,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,6,1,1])
      outputs: last_output_0
    `);
  });

  test('and equal numbers of the others', async () => {
    const layers = { groups: 3, inputs: 6, outputs: 9, deadInputs: [1, 2, 3, 5], deadOutputs: [0, 3, 4, 5, 7] };
    const ran = await runPass('remove-channels', grouped(layers));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([2, 4, 1, 1, 1]);
    expect(held(ran)).toEqual([]);
  });

  test('a group of which one input is read elsewhere stays with one of each', async () => {
    const layers = { groups: 3, inputs: 6, outputs: 6, deadOutputs: [0, 1, 2, 4] };
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const wide = g.relu(g.conv(x, weights('w1', [layers.inputs, 2, 1]), { name: 'first' }));
    const kernel = weights('w2', [layers.outputs, 2, 1], { filters: layers.deadOutputs });
    const hidden = g.conv(wide, kernel, { group: layers.groups, name: 'grouped' });
    g.output(g.conv(g.relu(hidden), weights('w3', [2, layers.outputs, 1])));
    g.output(g.conv(wide, weights('w4', [2, layers.inputs, 1], { columns: [1, 2, 3, 4, 5] })));
    const ran = await runPass('remove-channels', g.bytes());
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([3, 3, 2, 1, 1]);
  });
});

describe('constants that groups read', () => {
  test('without padding they are added to the bias, each to the outputs of its group', async () => {
    const inputBias = [0.5, 1, 1, 2];
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 3], inputBias };
    expect(await changed('remove-channels', grouped(layers))).toMatchInlineSnapshot(`
      inputs: x [1,2,4,4]
      first_output_0 [1,4,4,4] = Conv(x, first.1 [4,2,1,1] {0 0 -0.0857 0.151 0.393 -1 0 0}, first.2 [4] {0.5 1 1 2})
      Relu_output_0 [1,4,4,4] = Relu(first_output_0)
      grouped_output_0 [1,4,4,4] = Conv(Relu_output_0, grouped.1 [4,2,1,1] {-0.319 0.174 -1.91 -1.96 0.289 1.51 -0.729 -0.716}) group=2
      Relu_1_output_0 [1,4,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,4,1,1] {1.33 0.385 -0.595 1.72 -0.611 0.423 0.301 0.518})
      outputs: last_output_0
      =>
      inputs: x [1,2,4,4]
      first_output_0 [1,2,4,4] = Conv(x, first.1 [2,2,1,1] {-0.0857 0.151 0.393 -1}, first.2 [2] {1 1})
      Relu_output_0 [1,2,4,4] = Relu(first_output_0)
      grouped_output_0 [1,4,4,4] = Conv(Relu_output_0, grouped.1 [4,1,1,1] {0.174 -1.96 0.289 -0.729}, grouped_bias [4] {-0.16 -0.955 3.02 -1.43}) group=2
      Relu_1_output_0 [1,4,4,4] = Relu(grouped_output_0)
      last_output_0 [1,2,4,4] = Conv(Relu_1_output_0, last.1 [2,4,1,1] {1.33 0.385 -0.595 1.72 -0.611 0.423 0.301 0.518})
      outputs: last_output_0
    `);
  });

  test('with padding a map of the place restores them', async () => {
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 3], inputBias: [0.5, 1, 1, 2], pads: 1 };
    const ran = await runPass('remove-channels', grouped(layers));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([2, 4, 1, 3, 3]);
    expect(shapeOf(ran.bytes, 'grouped_constants')).toEqual([1, 4, 16, 1, 1]);
  });

  test('where fillers stay, one of each group carries them', async () => {
    const inputBias = [0.5, 1, 0.25, 1, 1, 1, 0.75, 0.5];
    const deadInputs = [0, 2, 6, 7];
    const layers = { groups: 2, inputs: 8, outputs: 4, deadInputs, inputBias, pads: 1 };
    const ran = await runPass('remove-channels', grouped(layers), { align: 3 });
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([2, 4, 3, 3, 3]);
    expect(ran.picture).not.toContain('constants');
    expect(ran.result.remarks).toContainEqual(
      expect.objectContaining({ node: 'grouped', message: expect.stringContaining('kept constant channel') }),
    );
  });

  test('a grouped convolution that reads nothing but constants reads ones, in one group', async () => {
    const layers = { groups: 2, inputs: 4, outputs: 4, deadInputs: [0, 1, 2, 3], inputBias: [1, 2, 3, 4], pads: 1 };
    const ran = await runPass('replace-constant-inputs', grouped(layers));
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'grouped')).toEqual([1, 4, 1, 3, 3]);
  });
});

describe('coupled layers', () => {
  test('channels of two grouped layers are balanced in both', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const wide = g.relu(g.conv(x, weights('w1', [8, 2, 1])));
    // Two groups of four here, four groups of two there.
    const dead = { filters: [0, 2, 4, 5, 6] };
    const middle = g.relu(g.conv(wide, weights('w2', [8, 4, 1], dead), { group: 2, name: 'two' }));
    const deep = g.relu(g.conv(middle, weights('w3', [8, 2, 1]), { group: 4, name: 'four' }));
    g.output(g.conv(deep, weights('w4', [2, 8, 1])));
    const ran = await runPass('remove-channels', g.bytes());
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'two')).toEqual([2, 4, 4, 1, 1]);
    expect(shapeOf(ran.bytes, 'four')).toEqual([4, 8, 1, 1, 1]);
  });

  test('a sum of what two grouped layers make', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 4, 4, 4]);
    const one = g.conv(x, weights('w1', [8, 2, 1], { filters: [0, 1, 5] }), { group: 2, name: 'two' });
    const other = g.conv(x, weights('w2', [8, 1, 1], { filters: [0, 1, 3, 5, 6] }), { group: 4, name: 'four' });
    g.output(g.conv(g.relu(g.add(one, other)), weights('w3', [2, 8, 1])));
    const ran = await runPass('remove-channels', g.bytes());
    // Dead in both are 0, 1 and 5: the second group of `four` has none.
    expect(ran.result.changed).toBe(false);
    expect(held(ran).join()).toContain(
      '6 dead channels of 2 layers stay: the groups of Conv (2 nodes) keep equal widths',
    );
  });

  test('equal numbers from every group where whole groups of one layer unbalance another', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    // The first group of `four` could go, which would leave `two` with unequal halves.
    const wide = g.relu(g.conv(x, weights('w1', [8, 2, 1], { filters: [0, 1, 3, 5, 7] }), { name: 'first' }));
    const deep = g.conv(wide, weights('w2', [8, 2, 1], { filters: [0, 1] }), { group: 4, name: 'four' });
    const other = g.conv(wide, weights('w3', [8, 4, 1]), { group: 2, name: 'two' });
    g.output(g.conv(g.relu(deep), weights('w4', [2, 8, 1])));
    g.output(g.conv(g.relu(other), weights('w5', [2, 8, 1])));
    const ran = await runPass('remove-channels', g.bytes());
    expectExact(ran);
    expect(shapeOf(ran.bytes, 'first')).toEqual([1, 4, 2, 1, 1]);
    expect(shapeOf(ran.bytes, 'four')).toEqual([4, 8, 1, 1, 1]);
    expect(shapeOf(ran.bytes, 'two')).toEqual([2, 8, 2, 1, 1]);
  });

  test('a channel shuffle between two grouped layers', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const wide = g.relu(g.conv(x, weights('w1', [8, 2, 1])));
    const made = g.relu(
      g.conv(wide, weights('w2', [8, 4, 1], { filters: [0, 4, 3, 7, 1] }), { group: 2, name: 'before' }),
    );
    const rows = g.transpose(g.reshape(made, [1, 2, 4, 4, 4]), [0, 2, 1, 3, 4]);
    const shuffled = g.reshape(rows, [1, 8, 4, 4]);
    g.output(
      g.conv(
        g.relu(g.conv(shuffled, weights('w3', [8, 4, 1]), { group: 2, name: 'behind' })),
        weights('w4', [2, 8, 1]),
      ),
    );
    const ran = await runPass('remove-channels', g.bytes());
    expectExact(ran);
    // Channels 0 and 4, and 3 and 7, come to lie beside each other in different groups.
    expect(shapeOf(ran.bytes, 'before')).toEqual([2, 4, 4, 1, 1]);
    expect(shapeOf(ran.bytes, 'behind')).toEqual([2, 8, 2, 1, 1]);
  });
});

test('widths for speed grow by one channel of each group', async () => {
  const layers = { groups: 2, inputs: 8, outputs: 4, deadInputs: [0, 2, 6, 7] };
  const narrow = await runPass('remove-channels', grouped({ ...layers, deadInputs: [0, 6] }), { align: 4 });
  expect(narrow.result.changed).toBe(false);
  const wide = await runPass('remove-channels', grouped(layers), { align: 4 });
  expectExact(wide);
  expect(shapeOf(wide.bytes, 'grouped')).toEqual([2, 4, 2, 1, 1]);
});

test.each([
  ['an aligned width is near', { live: 10, groups: 2, widest: 20 }, 12],
  ['one far away costs more', { live: 15, groups: 3, widest: 27 }, 15],
  ['one far away costs less than an odd one', { live: 87, groups: 3, widest: 96 }, 96],
  ['there is none', { live: 6, groups: 3, widest: 9 }, 6],
  ['groups of 8 would leave the fast kernels', { live: 12, groups: 2, widest: 16 }, 16],
  ['groups of 8 are halved, which pays for that', { live: 8, groups: 2, widest: 16 }, 8],
  ['groups of 32 go down to 16', { live: 24, groups: 2, widest: 64 }, 32],
])('the width of a grouped layer where %s', (_, { live, groups, widest }, width) => {
  expect(new CostModel('cpu', 'auto').groupedWidth(live, groups, widest)).toBe(width);
  expect(new CostModel('cpu', 1).groupedWidth(live, groups, widest)).toBe(live);
});

test('a weight that two grouped layers read is cut for each', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 4, 4, 4]);
  const { data, dims } = weights('w', [4, 2, 1]);
  const shared = g.initializer('shared', dims, data);
  for (const [at, dead] of [
    [0, 3],
    [1, 2],
  ].entries()) {
    const wide = g.relu(g.conv(x, weights(`a${at}`, [4, 4, 1], { filters: dead })));
    const hidden = g.relu(g.conv(wide, shared, { group: 2, name: `grouped${at}` }));
    g.output(g.conv(hidden, weights(`b${at}`, [2, 4, 1])));
  }
  const ran = await runPass('remove-channels', g.bytes());
  expectExact(ran);
  for (const name of ['grouped0', 'grouped1']) expect(shapeOf(ran.bytes, name)).toEqual([2, 4, 1, 1, 1]);
});
