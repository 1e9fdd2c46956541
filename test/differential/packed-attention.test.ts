/** com.microsoft's Attention: projections, biases and attention in one node. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type Input } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

const [LENGTH, WIDTH, HEADS] = [5, 12, 3];
const MICROSOFT = { domain: 'com.microsoft' };
type Sizes = readonly [number, number, number];

interface Network {
  /** Of queries, keys and values; other than equal ones are written down. */
  readonly sizes?: Sizes;
  /** Columns of the weights without weights and bias; rows of the output projection. */
  readonly dead?: readonly number[];
  readonly deadRows?: readonly number[];
  readonly keepsBias?: boolean;
  readonly attributes?: Record<string, number | { readonly float: number }>;
  readonly others?: readonly Input[];
  readonly outputs?: readonly string[];
}

function network({ sizes = [12, 12, 12], dead = [], deadRows = [], ...options }: Network): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['batch', LENGTH, WIDTH]);
  const width = sizes[0] + sizes[1] + sizes[2];
  const weights = normals(3, 'weights', WIDTH * width, 0.4).map((w, at) => (dead.includes(at % width) ? 0 : w));
  const bias = normals(4, 'bias', width).map((b, at) => (dead.includes(at) && options.keepsBias !== true ? 0 : b));
  const isEqual = sizes.every((size) => size === sizes[0]);
  const y = g.op(
    'Attention',
    [
      x,
      g.initializer('packed.weight', [WIDTH, width], weights),
      g.initializer('packed.bias', [width], bias),
      ...(options.others ?? []),
    ],
    { num_heads: HEADS, ...(!isEqual && { qkv_hidden_sizes: sizes }), ...options.attributes },
    { ...MICROSOFT, ...(options.outputs && { outputs: options.outputs }) },
  );
  for (const output of options.outputs?.slice(1) ?? []) g.output(output);
  const output = normals(5, 'output', sizes[2] * WIDTH).map((w, at) =>
    deadRows.includes(Math.floor(at / WIDTH)) ? 0 : w,
  );
  g.output(g.add(g.op('MatMul', [y, g.initializer('output.weight', [sizes[2], WIDTH], output)]), x));
  return g.bytes();
}

async function outcomeOf(options: Network) {
  const bytes = network(options);
  const compiled = await compileModel(bytes, { align: 1 });
  const output = compiled.encode();
  const { equal } = await verifyModels(bytes, output, { seeds: [1, 2] });
  const { graph } = readModel(output);
  const node = graph.nodes.find(({ domain }) => domain === 'com.microsoft');
  return {
    equal,
    columns: node?.inputs[1]?.initializer?.dims[1],
    heads: node?.int('num_heads', 0),
    sizes: node?.ints('qkv_hidden_sizes'),
    changesAgain: (await compileModel(output, { align: 1 })).report.changed,
  };
}

const left = (heads: number, sizes: Sizes) => ({
  equal: true,
  changesAgain: false,
  heads,
  sizes,
  columns: sizes[0] + sizes[1] + sizes[2],
});
const stays = { equal: true, changesAgain: false, heads: HEADS, columns: 36 };
const scores = (heads: number) => ({
  data: normals(6, 'scores', heads * LENGTH * LENGTH),
  dims: [1, heads, LENGTH, LENGTH],
});

describe('heads and channels go', () => {
  test('heads whose values, or whose outputs, are dead', async () => {
    expect(await outcomeOf({ dead: [28, 29, 30, 31] })).toEqual(left(2, [8, 8, 8]));
    expect(await outcomeOf({ dead: [28, 29, 30, 31], deadRows: [0, 1, 2, 3] })).toEqual(left(1, [4, 4, 4]));
  });

  test('as many channels of every head, with the scale of all of them', async () => {
    for (const attributes of [{}, { scale: { float: 0.3 } }, { scale: { float: 0 }, unidirectional: 1 }])
      expect(await outcomeOf({ dead: [1, 6, 8], attributes })).toEqual(left(3, [9, 9, 12]));
    expect(await outcomeOf({ dead: [24, 30, 35] })).toEqual(left(3, [12, 12, 9]));
  });

  test('values of other sizes', async () => {
    const sizes = [12, 12, 6] as const;
    expect(await outcomeOf({ sizes, dead: [24, 25] })).toEqual(left(2, [8, 8, 4]));
    expect(await outcomeOf({ sizes, deadRows: [1, 2, 5] })).toEqual(left(3, [12, 12, 3]));
  });

  test('with masks of keys and what is added to the scores', async () => {
    const keys = { data: Int32Array.from([1, 1, 1, 0, 0]), dims: [1, LENGTH] };
    for (const others of [[keys], ['', '', scores(1)], ['', '', scores(HEADS)]])
      expect(await outcomeOf({ dead: [28, 29, 30, 31], others })).toEqual(left(2, [8, 8, 8]));
  });
});

describe('nothing goes', () => {
  test('where one head needs the channel, or values are their bias', async () => {
    expect(await outcomeOf({ dead: [1, 6] })).toMatchObject(stays);
    expect(await outcomeOf({ dead: [28, 29, 30, 31], keepsBias: true })).toMatchObject(stays);
    // Queries alone: equal scores still make a mean of the values.
    expect(await outcomeOf({ dead: [0, 1, 2, 3] })).toMatchObject(stays);
  });

  test('where keys and values are kept from call to call', async () => {
    const dead = [28, 29, 30, 31];
    expect(await outcomeOf({ dead, outputs: ['attended', 'present'] })).toMatchObject(stays);
  });
});

describe('what is said of dead channels that stay', () => {
  async function said(options: Network) {
    const { report } = await compileModel(network(options), { align: 1 });
    return report.remarks.filter(({ cause }) => cause !== undefined);
  }
  const dead = [1, 6, 8, 24, 30, 35];

  test('zeros beside a bias: pruning more would not help, and zeros in the bias do', async () => {
    const remarks = await said({ dead, keepsBias: true });
    // Keys go with their queries: 36 - 27 channels.
    expect(remarks).toMatchObject([{ kind: 'missed', cause: 'gate', channels: 6, alone: 9 }]);
    expect(remarks[0]?.coupled).toBeUndefined();
    expect(remarks[0]?.message).toContain('--meaning drop');
    expect(await outcomeOf({ dead })).toEqual(left(3, [9, 9, 9]));
    expect(await said({ dead })).toEqual([]);
  });

  test('zeros of some heads alone: as many of each would go', async () => {
    const [remark, ...others] = await said({ dead: dead.slice(1) });
    expect(others).toEqual([]);
    // Of queries and values two each, and keys that only dead queries read.
    expect(remark).toMatchObject({ kind: 'missed', cause: 'shuffle', channels: 4, coupled: 4 });
    expect(remark?.message).toContain('mask --groups residual');
  });
});

test('it is a layer for inspect and for mask', async () => {
  const bytes = network({ dead: [0, 13, 26], keepsBias: true });
  const { layers, figures } = await inspectModel(bytes);
  const [projection] = layers;
  expect(projection).toMatchObject({ opType: 'com.microsoft::Attention', outputChannels: 36, zeroFilters: 3 });
  expect(projection?.sparsity).toBeCloseTo(3 / 36);
  expect(figures.channels).toBe(36 + WIDTH);
  const { report } = await compileModel(bytes, { align: 1, shapes: { x: [1, LENGTH, WIDTH] } });
  const attention = LENGTH * (WIDTH * 36 + LENGTH * 2 * WIDTH);
  expect(report.before.macs).toBe(attention + LENGTH * WIDTH * WIDTH);
  const masks = await makeMasks(bytes, { ratio: 0.25 });
  expect(masks.report.layers.map(({ mask, masked }) => [mask, masked])).toContainEqual(['packed.weight', 9]);
});
