/** Parameters that the model stores in another order, or together: LSTM, GRU, RNN and attention. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { combineMasks } from '../../src/masks/apply.js';
import { bind, codeOf, mask, pruned, slotsOf, tensor, values } from './bound-masks.js';

const HIDDEN = 2;
const INPUT = 3;
/** Place of each of PyTorch's gates among ONNX's: i f g o in i o f c, r z n in z r h. */
const PLACES = { LSTM: [0, 2, 3, 1], GRU: [1, 0, 2], RNN: [0] } as const;
type Kind = keyof typeof PLACES;

function rowsOf(kind: Kind, rows: readonly number[], columns: number): number[] {
  const stored: number[] = [];
  const places = PLACES[kind];
  for (let row = 0; row < places.length * HIDDEN; row++) {
    const place = (places[Math.floor(row / HIDDEN)] ?? 0) * HIDDEN + (row % HIDDEN);
    for (let column = 0; column < columns; column++)
      stored[place * columns + column] = rows[row * columns + column] ?? 0;
  }
  return stored;
}

function parameters(kind: Kind, name: string) {
  const rows = PLACES[kind].length * HIDDEN;
  return {
    weight_ih: [...values(`${name}ih`, rows * INPUT)],
    weight_hh: [...values(`${name}hh`, rows * HIDDEN)],
    bias_ih: [...values(`${name}bi`, rows)],
    bias_hh: [...values(`${name}bh`, rows)],
  };
}

/**
 * One node of two directions, as exporters fold the parameters of
 * torch.nn.LSTM(bidirectional=True).
 */
function recurrent(g: GraphBuilder, kind: Kind, x: string) {
  const rows = PLACES[kind].length * HIDDEN;
  const each = ['', '_reverse'].map((suffix) => parameters(kind, `${kind}${suffix}`));
  const stored = (of: 'weight_ih' | 'weight_hh', columns: number) =>
    each.flatMap((direction) => rowsOf(kind, direction[of], columns));
  const w = g.initializer(`onnx::${kind}_1`, [2, rows, INPUT], stored('weight_ih', INPUT));
  const r = g.initializer(`onnx::${kind}_2`, [2, rows, HIDDEN], stored('weight_hh', HIDDEN));
  const biases = each.flatMap(({ bias_ih, bias_hh }) => [...rowsOf(kind, bias_ih, 1), ...rowsOf(kind, bias_hh, 1)]);
  const b = g.initializer(`onnx::${kind}_3`, [2, 2 * rows], biases);
  const attributes = {
    hidden_size: HIDDEN,
    direction: 'bidirectional',
    ...(kind === 'GRU' && { linear_before_reset: 1 }),
  };
  return g.op(kind, [x, w, r, b], attributes, { name: `/rnn/${kind}` });
}

describe.each<Kind>(['LSTM', 'GRU', 'RNN'])('%s', (kind) => {
  const build = async () => {
    const g = graphBuilder();
    g.output(recurrent(g, kind, g.input('x', [5, 1, INPUT])));
    return slotsOf(g);
  };
  const rows = PLACES[kind].length * HIDDEN;
  const file = () => {
    const shapes = { weight_ih: [rows, INPUT], weight_hh: [rows, HIDDEN], bias_ih: [rows], bias_hh: [rows] } as const;
    const entries = ['', '_reverse'].flatMap((suffix) =>
      Object.entries(parameters(kind, `${kind}${suffix}`)).map(([name, elements]) => ({
        key: `rnn.${name}_l0${suffix}`,
        dims: shapes[name as keyof typeof shapes],
        elements,
      })),
    );
    return new Map(entries.map((entry) => [entry.key, entry]));
  };
  const contents = (zeros: (key: string, at: number) => boolean) =>
    Object.fromEntries(
      [...file()].map(([key, { dims, elements }]) => [
        key,
        tensor(
          dims,
          elements.map((value, at) => (zeros(key, at) ? 0 : value)),
        ),
      ]),
    );

  test('zeros of every parameter and direction come where ONNX has them', async () => {
    const isZero = (key: string, at: number) => (at + key.length) % 2 === 0;
    const bound = bind(await build(), contents(isZero));
    expect(bound.fates.every(({ fate }) => fate === 'zeros')).toBe(true);
    const combined = combineMasks(bound.bindings);
    // The same by another way: the file's zeros written through the order of gates.
    const ones = (key: string) =>
      file()
        .get(key)
        ?.elements.map((_, at) => (isZero(key, at) ? 0 : 1)) ?? [];
    const keys = (name: string) => ['', '_reverse'].map((suffix) => `rnn.${name}_l0${suffix}`);
    const expected = [
      keys('weight_ih').flatMap((key) => rowsOf(kind, ones(key), INPUT)),
      keys('weight_hh').flatMap((key) => rowsOf(kind, ones(key), HIDDEN)),
      ['', '_reverse'].flatMap((suffix) =>
        ['bias_ih', 'bias_hh'].flatMap((name) => rowsOf(kind, ones(`rnn.${name}_l0${suffix}`), 1)),
      ),
    ];
    for (const { bindings, factors } of combined) expect([...factors]).toEqual(expected[bindings[0].slot.index - 1]);
    expect(combined).toHaveLength(3);
  });

  test("masks are bound by name; a state dict that is the model's own changes nothing", async () => {
    const slots = await build();
    expect(
      bind(
        slots,
        contents(() => false),
      ).bindings,
    ).toEqual([]);
    const { bindings } = bind(slots, { 'rnn.weight_hh_l0_mask': mask([rows, HIDDEN], [0]) });
    expect(bindings.map(({ slot }) => slot.parameter)).toEqual(['weight_hh_l0']);
    expect(codeOf(() => bind(slots, { 'rnn.weight_hh_l1_mask': mask([rows, HIDDEN], [0]) }))).toBe('E-MASK-NO-MATCH');
  });
});

describe('torch.nn.MultiheadAttention', () => {
  const E = 4;
  const packed = [...values('qkv', 3 * E * E)];
  const transposed = Array.from(
    { length: 3 * E * E },
    (_, at) => packed[(at % (3 * E)) * E + Math.floor(at / (3 * E))] ?? 0,
  );

  const whole = async () => {
    const g = graphBuilder();
    g.initializer('onnx::MatMul_5', [E, 3 * E], transposed);
    g.output(g.op('MatMul', [g.input('x', [2, E]), 'onnx::MatMul_5'], {}, { name: '/m/MatMul' }));
    return slotsOf(g);
  };

  /** As exporters write it where query, key and value are not one input: a product each. */
  const parted = async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, E]);
    for (const part of [0, 1, 2]) {
      const block = packed.slice(part * E * E, (part + 1) * E * E);
      const name = `onnx::MatMul_${part}`;
      g.initializer(
        name,
        [E, E],
        block.map((_, at) => block[(at % E) * E + Math.floor(at / E)] ?? 0),
      );
      g.output(g.op('MatMul', [x, name], {}, { name: `/m/MatMul_${part}` }));
    }
    return slotsOf(g);
  };

  const zeros = [1, 17, 40];
  const pruneAt = (elements: readonly number[]) => elements.map((value, at) => (zeros.includes(at) ? 0 : value));

  test('packed: by its values, or by the only product of its module that it fits', async () => {
    const expected = {
      'onnx::MatMul_5': zeros.map((at) => (at % E) * 3 * E + Math.floor(at / E)).toSorted((a, b) => a - b),
    };
    const slots = await whole();
    expect(pruned(bind(slots, { 'm.in_proj_weight': tensor([3 * E, E], pruneAt(packed)) }))).toEqual(expected);
    expect(pruned(bind(slots, { 'm.in_proj_weight_mask': mask([3 * E, E], zeros) }))).toEqual(expected);
  });

  test('in three parts: by their values', async () => {
    const inPart = (part: number) =>
      zeros
        .filter((at) => Math.floor(at / (E * E)) === part)
        .map((at) => at % (E * E))
        .map((at) => (at % E) * E + Math.floor(at / E));
    const expected = Object.fromEntries([0, 1, 2].map((part) => [`onnx::MatMul_${part}`, inPart(part)]));
    const slots = await parted();
    expect(pruned(bind(slots, { 'm.in_proj_weight': tensor([3 * E, E], pruneAt(packed)) }))).toEqual(expected);
    const masked = {
      'm.in_proj_weight_orig': tensor([3 * E, E], packed),
      'm.in_proj_weight_mask': mask([3 * E, E], zeros),
    };
    expect(pruned(bind(slots, masked))).toEqual(expected);
  });
});

describe('torch.nn.MultiheadAttention, where its inputs differ', () => {
  const E = 4;
  const packed = (of: string) => [...values(`${of}qkv`, 3 * E * E)];
  const bias = (of: string) => [...values(`${of}bias`, 3 * E)];
  const zeroAt = (elements: readonly number[], zeros: readonly number[]) =>
    elements.map((value, at) => (zeros.includes(at) ? 0 : value));

  interface Attention {
    /** Blocks of each product, in embeddings. */
    readonly split: readonly number[];
    readonly path: string;
    readonly weights: readonly number[];
    readonly biases: readonly number[];
  }

  /** A product and a sum per part, whose tensors have lost their names. */
  function attend(g: GraphBuilder, { split, path, weights, biases }: Attention): void {
    let start = 0;
    for (const [part, count] of split.entries()) {
      const [from, rows] = [start * E, count * E];
      const turned = Array.from(
        { length: rows * E },
        (_, at) => weights[(from + (at % rows)) * E + Math.floor(at / rows)] ?? 0,
      );
      const name = `${path}/MatMul_${part}`;
      g.initializer(`w${name}`, [E, rows], turned);
      g.initializer(`b${name}`, [rows], biases.slice(from, from + rows));
      const product = g.op('MatMul', ['x', `w${name}`], {}, { name });
      g.output(g.op('Add', [`b${name}`, product], {}, { name: `${path}/Add_${part}` }));
      start += count;
    }
  }

  const model = (...all: Attention[]) => {
    const g = graphBuilder();
    g.input('x', [2, E]);
    for (const attention of all) attend(g, attention);
    return slotsOf(g);
  };
  const one = (split: readonly number[]) => model({ split, path: '/m', weights: packed('a'), biases: bias('a') });

  const places = [1, 6, 11];
  /** What is pruned of the biases, by their names in the model. */
  const ofBiases = (bound: ReturnType<typeof bind>) =>
    Object.fromEntries(Object.entries(pruned(bound)).filter(([name]) => name.startsWith('b/')));

  test.each([
    ['three inputs', [1, 1, 1], { 'b/m/MatMul_0': [1], 'b/m/MatMul_1': [2], 'b/m/MatMul_2': [3] }],
    ['one for key and value', [1, 2], { 'b/m/MatMul_0': [1], 'b/m/MatMul_1': [2, 7] }],
  ])('the bias, like the matrix, comes in the parts that their values say: %s', async (_, split, expected) => {
    const slots = await one(split);
    const weights = { 'm.in_proj_weight': tensor([3 * E, E], zeroAt(packed('a'), [0, 17, 40])) };
    const zeros = { ...weights, 'm.in_proj_bias': tensor([3 * E], zeroAt(bias('a'), places)) };
    const bound = bind(slots, zeros);
    expect(ofBiases(bound)).toEqual(expected);
    expect(bound.fates.map(({ fate }) => fate)).toEqual(['zeros', 'zeros']);
    expect(Object.values(pruned(bound)).flat()).toHaveLength(6);
    const masks = {
      'm.in_proj_weight': tensor([3 * E, E], packed('a')),
      'm.in_proj_bias_orig': tensor([3 * E], bias('a')),
      'm.in_proj_bias_mask': mask([3 * E], places),
    };
    expect(ofBiases(bind(slots, masks))).toEqual(expected);
  });

  test('the bias beside three matrices, where keys and values have a size of their own', async () => {
    const slots = await one([1, 1, 1]);
    const block = (at: number) => packed('a').slice(at * E * E, (at + 1) * E * E);
    const matrices = Object.fromEntries(
      ['q', 'k', 'v'].map((of, at) => [`m.${of}_proj_weight`, tensor([E, E], block(at))]),
    );
    const expected = { 'b/m/MatMul_0': [1], 'b/m/MatMul_1': [2], 'b/m/MatMul_2': [3] };
    const zeros = { ...matrices, 'm.in_proj_bias': tensor([3 * E], zeroAt(bias('a'), places)) };
    expect(ofBiases(bind(slots, zeros))).toEqual(expected);
    const masks = {
      ...matrices,
      'm.in_proj_bias_orig': tensor([3 * E], zeroAt(bias('a'), [1])),
      'm.in_proj_bias_mask': mask([3 * E], [6, 11]),
    };
    expect(ofBiases(bind(slots, masks))).toEqual(expected);
    const two = Object.fromEntries(Object.entries(zeros).filter(([key]) => key !== 'm.k_proj_weight'));
    expect(codeOf(() => bind(slots, two))).toBe('E-MASK-LOST');
  });

  test('a bias of which a whole part is pruned', async () => {
    const contents = {
      'm.in_proj_weight': tensor([3 * E, E], packed('a')),
      'm.in_proj_bias': tensor([3 * E], zeroAt(bias('a'), [4, 5, 6, 7])),
    };
    expect(pruned(bind(await one([1, 1, 1]), contents))).toEqual({ 'b/m/MatMul_1': [0, 1, 2, 3] });
  });

  test('of layers that are copies, whose nodes say which is which, each gets its own', async () => {
    const copy = (path: string) => ({ split: [1, 1, 1], path, weights: packed('a'), biases: bias('a') });
    const slots = await model(copy('/layers.0/m'), copy('/layers.1/m'));
    const contents = {
      'layers.0.m.in_proj_weight': tensor([3 * E, E], packed('a')),
      'layers.0.m.in_proj_bias': tensor([3 * E], bias('a')),
      'layers.1.m.in_proj_weight': tensor([3 * E, E], zeroAt(packed('a'), [2])),
      'layers.1.m.in_proj_bias': tensor([3 * E], zeroAt(bias('a'), [5])),
    };
    expect(pruned(bind(slots, contents))).toEqual({
      'w/layers.1/m/MatMul_0': [8],
      'b/layers.1/m/MatMul_1': [1],
    });
  });

  test('is refused where values do not say it: other biases, a scaled product, no weights', async () => {
    const slots = await one([1, 1, 1]);
    const biases = { 'm.in_proj_bias': tensor([3 * E], zeroAt(bias('a'), places)) };
    const weights = { 'm.in_proj_weight': tensor([3 * E, E], packed('a')) };
    const other = zeroAt(bias('other'), places);
    const scaled = packed('a').map((value) => 2 * value);
    expect(codeOf(() => bind(slots, { ...weights, 'm.in_proj_bias': tensor([3 * E], other) }))).toBe('E-MASK-LOST');
    const contents = { ...biases, 'm.in_proj_weight': tensor([3 * E, E], scaled) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-NO-MATCH');
    const alone = { 'm.in_proj_bias_mask': mask([3 * E], places), 'm.in_proj_weight_mask': mask([3 * E, E], [0]) };
    expect(codeOf(() => bind(slots, alone))).toBe('E-MASK-NO-MATCH');
  });
});

test('a bare parameter: by its name, by its values, and in its own layout', async () => {
  const g = graphBuilder();
  g.initializer('W', [4, 6], values('W', 24));
  g.initializer('onnx::MatMul_9', [6, 4], values('V', 24));
  g.output(g.op('MatMul', [g.op('MatMul', [g.input('x', [2, 4]), 'W']), 'onnx::MatMul_9']));
  const slots = await slotsOf(g);
  const zeroed = (name: string) => values(name, 24).map((value, at) => (at === 7 ? 0 : value));
  const contents = { W: tensor([4, 6], zeroed('W')), 'block.V': tensor([6, 4], zeroed('V')) };
  expect(pruned(bind(slots, contents))).toEqual({ W: [7], 'onnx::MatMul_9': [7] });
});

describe('a row of attention that the exporter repeated for each of a batch', () => {
  const rows = { k: [...values('k', 6)], v: [...values('v', 6)] };
  const build = (k: readonly number[]) => {
    const g = graphBuilder();
    const x = g.input('x', [3, 2, 6]);
    g.initializer('repeat', [1, 2, 6], [...k, ...k]);
    g.initializer('repeat_1', [1, 2, 6], [...rows.v, ...rows.v]);
    for (const name of ['repeat', 'repeat_1'])
      g.output(g.op('Concat', [x, name], { axis: 0 }, { name: `/m/Concat_${name}` }));
    return slotsOf(g);
  };
  const zeroed = rows.k.map((value, at) => (at === 4 ? 0 : value));

  test.each([
    ['its zeros', { 'm.bias_k': tensor([1, 1, 6], zeroed), 'm.bias_v': tensor([1, 1, 6], rows.v) }],
    ['its mask', { 'm.bias_k_orig': tensor([1, 1, 6], rows.k), 'm.bias_k_mask': mask([1, 1, 6], [4]) }],
    [
      'its mask, apart',
      { state_dict: { 'm.bias_k': tensor([1, 1, 6], rows.k) }, mask_dict: { 'm.bias_k': mask([1, 1, 6], [4]) } },
    ],
  ])('%s come to all of them', async (_, contents) => {
    expect(pruned(bind(await build(rows.k), contents))).toEqual({ repeat: [4, 10] });
  });

  test('constants of one value, and other values, are no evidence', async () => {
    const ones = [1, 1, 1, 1, 1, 1];
    const masks = { 'm.bias_v_orig': tensor([1, 1, 6], rows.v), 'm.bias_v_mask': mask([1, 1, 6], [0]) };
    for (const k of [ones, zeroed.toReversed()]) {
      const slots = await build(rows.k);
      expect(codeOf(() => bind(slots, { ...masks, 'm.bias_k': tensor([1, 1, 6], [0, ...k.slice(1)]) }))).toBe(
        'E-MASK-LOST',
      );
    }
    const slots = await build(ones);
    expect(codeOf(() => bind(slots, { ...masks, 'm.bias_k': tensor([1, 1, 6], [0, 1, 1, 1, 1, 1]) }))).toBe(
      'E-MASK-LOST',
    );
  });
});
