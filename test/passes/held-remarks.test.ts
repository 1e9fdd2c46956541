/**
 * Dead channels that stay: the cause that is told, and that it holds back alone what is said. Each
 * number is compared with what a second network loses more, in which the cause is not there.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import type { Remark } from '../../passes/pass.js';
import { compileModel } from '../../src/compile.js';
import { explainNode } from '../../src/why.js';
import { weights } from './dead-pair.js';

interface Found {
  readonly removed: number;
  readonly held: readonly Remark[];
}

async function compiled(build: (g: GraphBuilder) => void, align: number | 'auto' = 1): Promise<Found> {
  const g = graphBuilder();
  build(g);
  const { report } = await compileModel(g.bytes(), { align });
  return {
    removed: report.before.channels - report.after.channels,
    held: report.remarks.filter(({ cause }) => cause !== undefined),
  };
}

/** Filters 0, 1 and 2 of 8 are zero; their shifts are not, where `shift` is given. */
function dead(g: GraphBuilder, name: string, { shift = 0, filters = [0, 1, 2] } = {}): string {
  const x = g.input(`${name}_x`, [1, 2, 6, 6]);
  const bias = Array.from({ length: 8 }, (_, index) => (shift === 0 ? 0 : shift + index / 16));
  return g.conv(x, weights(name, [8, 2, 1], { filters }), { name, ...(shift !== 0 && { bias }) });
}

function read(g: GraphBuilder, x: string, channels = 8): void {
  g.output(g.conv(x, weights('last', [3, channels, 1]), { name: 'last' }));
}

const ones8 = () => ({ data: new Float32Array(8).fill(1) });

/** What the first network would lose more without the cause, asked and tried. */
async function compare(
  one: (g: GraphBuilder) => void,
  without: (g: GraphBuilder) => void,
): Promise<{ readonly remark: Remark | undefined; readonly more: number; readonly others: readonly Remark[] }> {
  const [here, there] = [await compiled(one), await compiled(without)];
  const [remark, ...others] = here.held;
  return { remark, others, more: there.removed - here.removed };
}

describe('what an operator alone holds back is what goes without it', () => {
  test('an operator of which nothing is known', async () => {
    const net = (op: string) => (g: GraphBuilder) => read(g, g.op(op, [dead(g, 'first')]));
    const { remark, more } = await compare(net('Trilu'), net('Relu'));
    expect(more).toBe(3);
    expect(remark).toEqual({
      pass: 'remove-channels',
      kind: 'missed',
      cause: 'unknown',
      operator: 'Trilu',
      channels: 3,
      alone: 3,
      layers: [{ node: 'first', channels: 3 }],
      message:
        '3 dead channels of first stay: what Trilu (1 node) does with channels is not known; if it were, all 3 would go',
    });
  });

  test('an unknown operator whose channels something else holds as well', async () => {
    const net = (op: string) => (g: GraphBuilder) =>
      read(g, g.add(g.op(op, [dead(g, 'first')]), dead(g, 'alive', { filters: [] })));
    const { remark, others, more } = await compare(net('Trilu'), net('Relu'));
    expect(more).toBe(0);
    expect(remark).toMatchObject({ kind: 'note', cause: 'alive', operator: 'Add', channels: 3 });
    expect(others).toMatchObject([{ kind: 'note', cause: 'unknown', operator: 'Trilu', channels: 0, alone: 0 }]);
    expect(others[0]?.message).toBe(
      'what Trilu (1 node) does with channels is not known; if it were, no more would go',
    );
  });

  test('an unknown operator before columns of zeros: nothing is dead yet', async () => {
    const net = (op: string) => (g: GraphBuilder) => {
      const x = g.op(op, [dead(g, 'first', { filters: [] })]);
      g.output(g.conv(x, weights('last', [3, 8, 1], { columns: [4, 5] }), { name: 'last' }));
    };
    const { remark, more } = await compare(net('Trilu'), net('Relu'));
    expect(more).toBe(2);
    expect(remark).toMatchObject({ kind: 'missed', cause: 'unknown', channels: 0, alone: 2 });
    expect(remark?.message).toBe('what Trilu (1 node) does with channels is not known; if it were, 2 would go');
  });

  test('a gate that is computed from the input', async () => {
    const gated = (gate: (g: GraphBuilder, x: string) => string) => (g: GraphBuilder) => {
      const x = g.relu(dead(g, 'first', { shift: 1 }));
      // Behind a pool, part-gates cannot take the constants out of the product.
      read(g, g.maxPool(g.mul(x, gate(g, x)), [2, 2]));
    };
    const computed = (g: GraphBuilder, x: string) =>
      g.op('Sigmoid', [g.conv(g.globalAveragePool(x), weights('gate', [8, 8, 1]), { name: 'gate' })]);
    const stored = (g: GraphBuilder) =>
      g.initializer(
        'gate',
        [1, 8, 1, 1],
        Float32Array.from({ length: 8 }, () => 0.5),
      );
    const { remark, more } = await compare(gated(computed), gated(stored));
    expect(more).toBe(3);
    expect(remark).toMatchObject({ kind: 'missed', cause: 'gate', operator: 'Mul', channels: 3 });
    // The gate is a layer as wide, whose channels go too.
    expect(remark?.alone).toBe(6);
    expect(remark?.message).toContain('--meaning drop');
  });

  test('a constant that depends on the place, behind a pool', async () => {
    const net = (pads: number) => (g: GraphBuilder) => {
      const kernel = weights('each', [8, 1, 3]);
      const x = g.conv(dead(g, 'first', { shift: 1 }), kernel, { pads, group: 8, name: 'each' });
      read(g, g.maxPool(x, [2, 2]));
    };
    const { remark, more } = await compare(net(1), net(0));
    expect(more).toBe(6);
    expect(remark).toMatchObject({ kind: 'missed', cause: 'place', operator: 'MaxPool', channels: 6, alone: more });
  });

  test('an operator that jumps, of a constant whose last digit is not sure', async () => {
    const net = (op: string) => (g: GraphBuilder) =>
      read(g, g.op(op, [g.op('Sigmoid', [dead(g, 'first', { shift: 1 })])]));
    const { remark, more } = await compare(net('Floor'), net('Abs'));
    expect(more).toBe(3);
    expect(remark).toMatchObject({ kind: 'missed', cause: 'constant', operator: 'Floor', channels: 3, alone: 3 });
  });

  test('what reads how many channels there are', async () => {
    const net = (isRead: boolean) => (g: GraphBuilder) => {
      const x = g.relu(
        g.conv(g.input('x', ['n', 2, 6, 6]), weights('first', [8, 2, 1], { filters: [0, 1] }), { name: 'first' }),
      );
      if (isRead) g.output(g.op('Shape', [x]), [4], 7);
      read(g, x);
    };
    const { remark, more } = await compare(net(true), net(false));
    expect(more).toBe(2);
    expect(remark).toMatchObject({ kind: 'missed', cause: 'extent', operator: 'Shape', channels: 2, alone: 2 });
  });
});

describe('what would go together with what it is tied to', () => {
  test('a residual stream', async () => {
    const net = (filters: number[]) => (g: GraphBuilder) =>
      read(g, g.relu(g.add(dead(g, 'first'), dead(g, 'second', { filters }), { name: 'sum' })));
    const { remark, more, others } = await compare(net([2, 3]), net([0, 1, 2, 3]));
    expect(remark).toMatchObject({ kind: 'note', cause: 'alive', operator: 'Add', channels: 3, coupled: 3 });
    expect(remark?.alone).toBeUndefined();
    expect(remark?.message).toBe(
      '3 dead channels of 2 layers stay: sum (Add) ties each to a channel that is alive; pruned together, all 3 would go: prune-compile mask --groups residual chooses so',
    );
    expect(others).toEqual([]);
    // Channels 0 and 1 of both layers: two that are dead, and two with them.
    expect(more).toBe(4);
  });

  test('a residual stream behind normalisations and scales: their constants end nothing', async () => {
    const net = (g: GraphBuilder) => {
      const ones = g.initializer('ones', [8, 1, 1], new Float32Array(8).fill(2));
      const parameters = { scale: ones8(), shift: ones8(), mean: ones8(), variance: ones8() };
      const normal = (x: string) => g.mul(g.batchNorm(x, parameters), ones);
      read(g, g.relu(g.add(normal(dead(g, 'first')), normal(dead(g, 'second', { filters: [2, 3] })))));
    };
    const { held } = await compiled(net);
    expect(held).toMatchObject([{ kind: 'note', cause: 'alive', operator: 'Add', channels: 3, coupled: 3 }]);
  });

  test('a residual stream that is an output of the model: pruning together would not help', async () => {
    const { held } = await compiled((g) => g.output(g.add(dead(g, 'first'), dead(g, 'second', { filters: [] }))));
    expect(held).toMatchObject([{ kind: 'note', cause: 'output', channels: 3 }]);
    expect(held[0]?.coupled).toBeUndefined();
    expect(held[0]?.message).toContain('is an output of the model and keeps its shape');
  });

  test('groups of unequal widths', async () => {
    const net = (filters: number[]) => (g: GraphBuilder) => {
      const x = g.relu(dead(g, 'first', { filters: [] }));
      read(g, g.relu(g.conv(x, weights('inner', [8, 4, 1], { filters }), { group: 2, name: 'inner' })));
    };
    const { remark, more } = await compare(net([0, 1, 4]), net([0, 1, 4, 5]));
    expect(remark).toMatchObject({ kind: 'note', cause: 'group', operator: 'Conv', channels: 1, coupled: 1 });
    expect(remark?.message).toBe(
      '1 dead channel of inner stays: inner (Conv): group 1 needs all 3 output channels, and every group has to keep as many; with as many pruned in every group, it would go: prune-compile mask --groups residual chooses so',
    );
    expect(more).toBe(2);
  });

  test('channels that a Reshape puts together', async () => {
    const net = (filters: number[]) => (g: GraphBuilder) => {
      const parts = g.reshape(g.relu(dead(g, 'first', { filters })), [1, 2, 4, 6, 6]);
      read(g, g.op('ReduceSum', [parts, int64([1])], { keepdims: 0 }), 4);
    };
    const { remark, more } = await compare(net([0, 1, 4]), net([0, 1, 4, 5]));
    expect(remark).toMatchObject({ kind: 'missed', cause: 'shuffle', operator: 'Reshape', channels: 1, coupled: 1 });
    expect(more).toBe(2);
  });

  test('channels of different constants that a DepthToSpace puts together: more zeros would not help', async () => {
    const net = (bias: number) => (g: GraphBuilder) => {
      const first = weights('first', [8, 2, 1], { filters: [0, 1, 2, 3] });
      const shift = new Float32Array(8).map((_, index) => bias * (1 + index));
      const x = g.conv(g.input('x', [1, 2, 6, 6]), first, { name: 'first', bias: g.initializer('shift', [8], shift) });
      read(g, g.op('DepthToSpace', [x], { blocksize: 2, mode: 'CRD' }), 2);
    };
    const { remark, more } = await compare(net(0.5), net(0));
    expect(remark).toMatchObject({
      kind: 'missed',
      cause: 'constant',
      operator: 'DepthToSpace',
      channels: 4,
      alone: 4,
    });
    expect(remark?.coupled).toBeUndefined();
    expect(more).toBe(4);
  });
});

describe('what nothing could change', () => {
  test('a result of all channels', async () => {
    const { held } = await compiled((g) => read(g, g.op('LRN', [dead(g, 'first')], { size: 3 }, { name: 'mix' })));
    expect(held).toMatchObject([{ kind: 'note', cause: 'axis', operator: 'LRN', channels: 3 }]);
    expect(held[0]?.message).toBe('3 dead channels of first stay: mix (LRN): its result depends on the whole axis');
  });

  test('a normalisation over the channels: no rule is missing', async () => {
    const { held } = await compiled((g) => {
      const x = g.transpose(dead(g, 'first'), [0, 2, 3, 1]);
      const scale = { data: new Float32Array(8).fill(1) };
      const normal = g.op('LayerNormalization', [x, scale, scale], { axis: -1 }, { name: 'norm' });
      read(g, g.transpose(normal, [0, 3, 1, 2]));
    });
    expect(held).toMatchObject([{ kind: 'note', cause: 'axis', operator: 'LayerNormalization', channels: 3 }]);
    expect(held[0]?.alone).toBeUndefined();
  });

  test('a width that is fast', async () => {
    const { held } = await compiled((g) => read(g, g.relu(dead(g, 'first', { filters: [0] }))), 4);
    expect(held).toMatchObject([{ kind: 'note', cause: 'speed', channels: 1 }]);
  });

  test('the last channel of a layer', async () => {
    const all = [0, 1, 2, 3, 4, 5, 6, 7];
    const net = (g: GraphBuilder) =>
      read(g, g.concat([dead(g, 'first', { filters: all }), dead(g, 'other', { filters: [] })]), 16);
    const { held } = await compiled(net);
    expect(held).toMatchObject([{ kind: 'note', cause: 'lone', channels: 1 }]);
  });

  test('where nothing is dead, an unknown operator is named, and not asked about', async () => {
    const { held } = await compiled((g) => read(g, g.op('Trilu', [dead(g, 'first', { filters: [] })])));
    expect(held).toMatchObject([{ kind: 'note', cause: 'unknown', operator: 'Trilu', channels: 0 }]);
    expect(held[0]?.alone).toBeUndefined();
  });
});

test('why names the same causes', async () => {
  const g = graphBuilder();
  const x = g.relu(dead(g, 'first', { shift: 1 }));
  const gate = g.conv(g.globalAveragePool(x), weights('gate', [8, 8, 1]), { name: 'gate' });
  read(g, g.mul(x, g.op('Sigmoid', [gate]), { name: 'scale' }));
  const { groups } = await explainNode(g.bytes(), 'first');
  expect(groups.find(({ channels }) => channels.includes(0))).toMatchObject({
    state: 'kept',
    cause: 'gate',
    chain: [
      { node: 'first', reason: 'dead here' },
      { op: 'Relu' },
      { node: 'scale', reason: 'it multiplies their constants by what is computed from the input' },
    ],
  });
});
