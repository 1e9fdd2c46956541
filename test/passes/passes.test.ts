/** Each pass on its own: what it makes of a small graph, that it stays equal, and that a second run changes nothing. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { passes, pipelines } from '../../passes/index.js';
import { runPass } from './support.js';

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

/** x [1, 2, 5, 5] -> 4 filters of which 1 and 3 are zero with the bias given -> Relu -> 3x3 with padding -> y. */
function deadPair(bias: readonly number[], build?: (g: GraphBuilder, hidden: string) => void): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 2, 5, 5]);
  const hidden = g.relu(g.conv(x, weights('w1', [4, 2, 1], { filters: [1, 3] }), { bias }));
  g.output(g.conv(hidden, weights('w2', [3, 4, 3]), { pads: 1, name: 'reader' }));
  build?.(g, hidden);
  return g.bytes();
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
    const { result, again, lines, isEqual } = await runPass('fold-constants', g.bytes());
    expect(result.gains).toBe(true);
    expect(lines.at(-1)).toContain('Conv(x, conv1.weight[4,2,3,3])');
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });

  test('leaves alone what would only grow', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const weight = g.op('ConstantOfShape', [int64([4, 2, 5, 5])], {});
    g.output(g.conv(x, weight, { kernel: [5, 5] }));
    expect((await runPass('fold-constants', g.bytes())).result.changed).toBe(false);
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
    const { lines, isEqual, again } = await runPass('fold-shapes', g.bytes());
    expect(lines.at(-1)).toMatch(/= Reshape\(x, \S+\[2\]\)$/);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });

  test('declines when two extents are computed in different ways', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 4, 'height', 6]);
    const size = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
    g.output(g.op('Reshape', [x, g.concat([size(2), size(0), int64([24])], 0)]));
    expect((await runPass('fold-shapes', g.bytes())).result.changed).toBe(false);
  });
});

describe('remove-channels', () => {
  test('a dead filter of value 0 goes with its column', async () => {
    const { lines, isEqual, again, result } = await runPass('remove-channels', deadPair([1, 0, 1, -2]));
    expect(lines.filter((line) => line.includes('Conv('))).toHaveLength(2);
    expect(lines[0]).toContain('[2,2,1,1]');
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'applied', channels: 2 }));
  });

  test('a constant that meets zero padding comes back through a convolution of ones', async () => {
    const { lines, isEqual, again } = await runPass('remove-channels', deadPair([1, 0.7, 1, 0.3]));
    expect(lines.filter((line) => line.includes('Conv('))).toHaveLength(3);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });

  test('a constant channel that stays anyway carries the others', async () => {
    const { lines, isEqual } = await runPass('remove-channels', deadPair([1, 0.7, 1, 0.3]), 3);
    expect(lines.filter((line) => line.includes('Conv('))).toHaveLength(2);
    expect(lines[0]).toContain('[3,2,1,1]');
    expect(isEqual).toBe(true);
  });

  test('a product of one row without a batch axis is a layer as any other', async () => {
    const g = graphBuilder();
    const first = normals(5, 'first', 6 * 4).map((value, at) => (at % 4 === 1 || at % 4 === 3 ? 0 : value));
    const sums = g.add(g.op('MatMul', [g.input('x', [6]), { data: first, dims: [6, 4] }]), { data: [1, 0.7, 1, -2] });
    g.output(g.op('MatMul', [g.relu(sums), { data: normals(5, 'second', 4 * 3), dims: [4, 3] }]));
    const { lines, isEqual, again } = await runPass('remove-channels', g.bytes());
    expect(lines[0]).toContain('[6,2]');
    // Channel 1 holds 0.7: its row of the second weights comes back as an offset.
    expect(lines.at(-1)).toMatch(/= Add\(.*_offset\[3\]\)$/);
    expect([isEqual, again.changed]).toEqual([true, false]);
  });

  test('constants that only a constant output reads are kept in its bias', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 4, 4]);
    const hidden = g.conv(x, weights('a', [4, 2, 1], { filters: [0, 1] }), { bias: [1, 2, 0.3, 0.4] });
    const readers = { data: [0.7, 0.9, 0, 0, 0, 0, 1, 2, 0, 0, 0.5, 2], dims: [3, 4, 1, 1] };
    g.output(g.conv(hidden, readers));
    const { isEqual, lines } = await runPass('remove-channels', g.bytes());
    expect(lines[0]).toContain('[2,2,1,1]');
    expect(isEqual).toBe(true);
  });

  test('what a graph output shows stays', async () => {
    const { result } = await runPass(
      'remove-channels',
      deadPair([1, 0, 1, 0], (g, hidden) => g.output(hidden)),
    );
    expect(result.changed).toBe(false);
    expect(result.remarks).toContainEqual(expect.objectContaining({ kind: 'missed', channels: 2 }));
  });

  test('a shared weight is cut for each reader on its own', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 5, 5]);
    const shared = g.initializer('shared', [4, 2, 1, 1], weights('s', [4, 2, 1], { filters: [2] }).data);
    const one = g.conv(g.conv(x, shared), weights('r1', [3, 4, 1]));
    g.output(one);
    g.output(g.conv(x, shared));
    const { lines, isEqual } = await runPass('remove-channels', g.bytes());
    expect(lines.filter((line) => line.includes('[3,2,1,1]'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('shared[4,2,1,1]'))).toHaveLength(1);
    expect(isEqual).toBe(true);
  });
});

describe('remove-constant-branches', () => {
  const block = (bias: readonly number[], dims: readonly (number | string)[] = [1, 4, 6, 6]): Uint8Array => {
    const g = graphBuilder();
    const x = g.input('x', dims);
    const stem = g.conv(x, weights('stem', [4, 4, 3]), { pads: 1, bias: [1, 2, 3, 4] });
    const branch = g.conv(g.relu(stem), weights('branch', [4, 4, 1], { filters: [0, 1, 2, 3] }), { bias });
    g.output(g.relu(g.add(stem, branch)));
    return g.bytes();
  };

  test('a branch of zeros goes with the Add', async () => {
    const { lines, isEqual, again } = await runPass('remove-constant-branches', block([0, 0, 0, 0]));
    expect(lines.some((line) => line.includes('Add('))).toBe(false);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });

  test('other constants are added per channel, at symbolic sizes too', async () => {
    const { lines, isEqual, again } = await runPass(
      'remove-constant-branches',
      block([0.1, 0, -2, 3], [1, 4, 'h', 'w']),
    );
    expect(lines.find((line) => line.includes('Add('))).toMatch(/\[4,1,1\]/);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });
});

describe('replace-constant-inputs', () => {
  test('a convolution that reads only constants reads ones', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['batch', 2, 5, 5]);
    const dead = g.conv(x, weights('dead', [4, 2, 1], { filters: [0, 1, 2, 3] }), { bias: [1, 2, 0, -1] });
    const map = g.conv(dead, weights('map', [3, 4, 3]), { pads: 1 });
    g.output(g.add(map, g.conv(x, weights('live', [3, 2, 1]))));
    const { lines, isEqual, again } = await runPass('replace-constant-inputs', g.bytes());
    expect(lines.some((line) => line.includes('[3,1,3,3]'))).toBe(true);
    expect(isEqual).toBe(true);
    expect(again.changed).toBe(false);
  });
});

describe('remove-dead-nodes', () => {
  test('drops what nobody reads', async () => {
    const bytes = deadPair([1, 2, 3, 4], (g, hidden) => g.op('Shape', [hidden]));
    const { lines, again } = await runPass('remove-dead-nodes', bytes);
    expect(lines.some((line) => line.includes('Shape'))).toBe(false);
    expect(again.changed).toBe(false);
  });
});

test('presets name passes that exist, and every pass is in one', () => {
  const names = passes.map(({ name }) => name);
  const used = Object.values(pipelines).flat();
  expect(used.filter((name) => !names.includes(name))).toEqual([]);
  expect(names.filter((name) => !used.some((one) => one === name))).toEqual([]);
});
