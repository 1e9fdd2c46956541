/** Attention whose heads are numbers in attributes: [batch, length, heads * channels]. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type Input, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { readModel } from '../../src/onnx/read.js';
import { passContext } from '../../src/pipeline.js';
import { compileAttention } from './attention-network.js';

const [LENGTH, WIDTH, CHANNELS, VALUES] = [5, 12, 4, 3];

interface Network {
  readonly operator: 'Attention' | 'MultiHeadAttention';
  readonly opset?: number;
  readonly heads: number;
  readonly count: number;
  /** Columns without weights and without bias; of the output projection, rows. */
  readonly dead?: Partial<Record<'query' | 'key' | 'value' | 'output', readonly number[]>>;
  readonly attributes?: Record<string, number | { readonly float: number }>;
  /** Whether the biases of the projections are in the node. */
  readonly hasBias?: boolean;
  /** What is dead in that bias, where it is something else. */
  readonly deadBias?: readonly number[];
  readonly others?: () => readonly Input[];
  readonly outputs?: readonly string[];
}

function network({ operator, opset = 23, heads, count, dead = {}, ...options }: Network): Uint8Array {
  const g = graphBuilder({ opset });
  const x = g.input('x', [2, LENGTH, WIDTH]);
  const widths = { query: heads * CHANNELS, key: count * CHANNELS, value: count * VALUES };
  const biases: number[] = [];
  const projected = (['query', 'key', 'value'] as const).map((name) => {
    const width = widths[name];
    const isDead = (column: number) => dead[name]?.includes(column) === true;
    const weight = normals(3, name, WIDTH * width, 0.4).map((value, at) => (isDead(at % width) ? 0 : value));
    const bias = [...normals(4, name, width)].map((value, at) => (isDead(at) ? 0 : value));
    const sum = g.op('MatMul', [x, g.initializer(name, [WIDTH, width], weight)]);
    biases.push(...bias);
    return options.hasBias === true ? sum : g.add(sum, { data: bias });
  });
  const inputs: Input[] = [...projected];
  if (options.hasBias === true)
    inputs.push({
      data:
        options.deadBias === undefined ? biases : biases.map((b, at) => (options.deadBias?.includes(at) ? 0 : b || 1)),
    });
  const numbers = operator === 'Attention' ? { q_num_heads: heads, kv_num_heads: count } : { num_heads: heads };
  const domain = operator === 'Attention' ? {} : { domain: 'com.microsoft' };
  const attended = g.op(
    operator,
    [...inputs, ...(options.others?.() ?? [])],
    { ...numbers, ...options.attributes },
    { ...domain, ...(options.outputs && { outputs: options.outputs }) },
  );
  for (const output of options.outputs?.slice(1) ?? []) g.output(output);
  const rows = heads * VALUES;
  const output = normals(5, 'output', rows * WIDTH).map((value, at) =>
    dead.output?.includes(Math.floor(at / WIDTH)) === true ? 0 : value,
  );
  g.output(g.add(g.op('MatMul', [attended, g.initializer('output', [rows, WIDTH], output)]), x));
  return g.bytes();
}

const outcomeOf = async (options: Network) => {
  const { equal, changesAgain, widths, rows } = await compileAttention(network(options));
  return { equal, changesAgain, widths, rows };
};
const of = (widths: readonly number[], rows: number) => ({ equal: true, changesAgain: false, widths, rows });
/** Of value and output. */
const head = (at: number) => [0, 1, 2].map((channel) => at * VALUES + channel);

describe.each([
  { operator: 'Attention', opset: 23 },
  { operator: 'Attention', opset: 24 },
  { operator: 'MultiHeadAttention', opset: 17 },
] as const)('$operator, opset $opset', (form) => {
  const three = { ...form, heads: 3, count: 3 };

  test('as many channels of every head go, wherever they are', async () => {
    const values = await outcomeOf({ ...three, dead: { value: [0, 4, 5, 8] } });
    expect(values).toEqual(of([12, 12, 6], 6));
    const outputs = await outcomeOf({ ...three, dead: { output: [1, 3, 4, 8] } });
    expect(outputs).toEqual(of([12, 12, 6], 6));
    const queries = await outcomeOf({ ...three, dead: { query: [0, 1, 5, 6, 11] } });
    expect(queries).toEqual(of([9, 9, 9], 9));
    const both = await outcomeOf({ ...three, dead: { query: [0, 9], key: [7, 2] } });
    expect(both).toEqual(of([9, 9, 9], 9));
  });

  test('channels stay where a head has none that is dead', async () => {
    expect(await outcomeOf({ ...three, dead: { value: [0, 1, 3] } })).toMatchObject(of([12, 12, 9], 9));
    expect(await outcomeOf({ ...three, dead: { query: [0, 9], key: [1] } })).toMatchObject(of([12, 12, 9], 9));
  });

  test('first heads go, then channels of those that stay; a scale stays what it is', async () => {
    for (const attributes of [{}, { scale: { float: 0.3 } }]) {
      const dead = { query: [0, 1, 8], value: head(1), output: [2, 7] };
      expect(await outcomeOf({ ...three, dead, attributes })).toEqual(of([6, 6, 4], 4));
    }
  });

  test('what is added to the scores of each head goes with the heads', async () => {
    const scores = (...dims: readonly number[]) => ({
      data: normals(
        6,
        'scores',
        dims.reduce((total, extent) => total * extent, 1),
      ),
      dims,
    });
    const empty = form.operator === 'Attention' ? [] : ['', ''];
    for (const dims of [
      [2, 3, LENGTH, LENGTH],
      [1, 3, LENGTH, LENGTH],
      [1, 1, LENGTH, LENGTH],
    ]) {
      const others = () => [...empty, scores(...dims)];
      expect(await outcomeOf({ ...three, dead: { value: head(0) }, others })).toEqual(of([8, 8, 6], 6));
    }
  });
});

describe('Attention', () => {
  const four = { operator: 'Attention', heads: 4, count: 2 } as const;

  test('heads of queries go with the head of keys and values that serves them', async () => {
    expect(await outcomeOf({ ...four, dead: { value: head(1) } })).toEqual(of([8, 4, 3], 6));
    expect(await outcomeOf({ ...four, dead: { output: [...head(0), ...head(1)] } })).toEqual(of([8, 4, 3], 6));
    expect(await outcomeOf({ ...four, dead: { output: [...head(1), ...head(2)] } })).toEqual(of([16, 8, 6], 12));
  });

  test('channels of heads that are served alike go together', async () => {
    expect(await outcomeOf({ ...four, dead: { query: [0, 5, 8, 12] } })).toEqual(of([16, 8, 6], 12));
    expect(await outcomeOf({ ...four, dead: { query: [1, 5, 8, 12] } })).toEqual(of([12, 6, 6], 12));
    expect(await outcomeOf({ ...four, dead: { key: [2, 5] } })).toEqual(of([12, 6, 6], 12));
    expect(await outcomeOf({ ...four, dead: { output: [1, 4, 6, 9] } })).toEqual(of([16, 8, 4], 8));
  });

  test('a mask for each head of three axes goes with the heads', async () => {
    const others = () => [{ data: normals(6, 'mask', 4 * LENGTH * LENGTH), dims: [4, LENGTH, LENGTH] }];
    expect(await outcomeOf({ ...four, dead: { value: head(1) }, others })).toEqual(of([8, 4, 3], 6));
  });
});

describe('MultiHeadAttention', () => {
  const three = { operator: 'MultiHeadAttention', opset: 17, heads: 3, count: 3, hasBias: true } as const;

  test('its own bias goes with what it is added to', async () => {
    expect(await outcomeOf({ ...three, dead: { value: head(0), output: head(2) } })).toEqual(of([4, 4, 3], 3));
    expect(await outcomeOf({ ...three, dead: { query: [0, 6, 11], value: [2, 3, 8] } })).toEqual(of([9, 9, 6], 6));
  });

  test('values and queries stay that are their bias', async () => {
    const options = { ...three, deadBias: [] };
    expect(await outcomeOf({ ...options, dead: { value: head(0) } })).toEqual(of([12, 12, 9], 9));
    expect(await outcomeOf({ ...options, dead: { query: [0, 6, 11] } })).toEqual(of([12, 12, 9], 9));
  });

  test('keys may be masked', async () => {
    const keys = { data: Int32Array.from([1, 1, 1, 1, 0, 1, 1, 1, 0, 0]), dims: [2, LENGTH] };
    const options = { ...three, others: () => [keys], attributes: { unidirectional: 1 } };
    expect(await outcomeOf({ ...options, dead: { value: head(0) } })).toEqual(of([8, 8, 6], 6));
  });
});

describe('heads stay', () => {
  const dead = { value: head(1) };
  const stays = of([12, 12, 9], 9);

  test('of what is kept from call to call', async () => {
    const past = (channels: number) => ({ data: normals(7, 'past', 2 * 3 * 4 * channels), dims: [2, 3, 4, channels] });
    const three = { operator: 'Attention', heads: 3, count: 3, dead } as const;
    const outputs = ['attended', 'present keys', 'present values'];
    const caches = { ...three, others: () => ['', past(CHANNELS), past(VALUES)], outputs };
    expect(await outcomeOf(caches)).toMatchObject(stays);
    expect(await outcomeOf({ ...three, outputs })).toMatchObject(stays);
    const lengths = () => ['', '', '', int64([4, 5])];
    expect(await outcomeOf({ ...three, opset: 24, others: lengths })).toMatchObject(stays);
  });

  test('of as many as say less than there are channels', async () => {
    const wrong = network({ operator: 'MultiHeadAttention', opset: 17, heads: 3, count: 3, dead });
    const facts = await passContext(readModel(wrong)).facts();
    const node = facts.nodes.find(({ heads }) => heads !== undefined);
    expect(node?.heads).toMatchObject({ count: 3, served: 1, channels: CHANNELS, valueChannels: VALUES });
    for (const num_heads of [2, 5]) {
      const options = {
        operator: 'MultiHeadAttention',
        opset: 17,
        heads: 3,
        count: 3,
        attributes: { num_heads },
      } as const;
      const { nodes } = await passContext(readModel(network(options))).facts();
      expect(nodes.some(({ heads }) => heads !== undefined)).toBe(false);
    }
  });

  test('of keys and values of which heads are an axis', async () => {
    const g = graphBuilder({ opset: 17 });
    const x = g.input('x', [2, LENGTH, WIDTH]);
    const [query, ...others] = ['query', 'key', 'value'].map((name) =>
      g.op('MatMul', [
        x,
        { data: normals(3, name, WIDTH * WIDTH).map((v, at) => (at % WIDTH < 4 ? 0 : v)), dims: [WIDTH, WIDTH] },
      ]),
    );
    const turned = others.map((part) => g.transpose(g.reshape(part, [0, 0, 3, 4]), [0, 2, 1, 3]));
    const y = g.op('MultiHeadAttention', [query ?? '', ...turned], { num_heads: 3 }, { domain: 'com.microsoft' });
    g.output(g.op('MatMul', [y, { data: normals(5, 'output', WIDTH * WIDTH), dims: [WIDTH, WIDTH] }]));
    expect(await compileAttention(g.bytes())).toMatchObject(of([12, 12, 12], 12));
  });
});
