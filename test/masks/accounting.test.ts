/**
 * Every tensor of a mask file has a fate: bound, the model's own, state, left out; or it is an
 * error that names it.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { BOOL, INT64, Tensor, UINT8 } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor, values } from './bound-masks.js';

const FIRST = [4, 3, 1, 1] as const;
const SECOND = [4, 4, 1, 1] as const;

async function two() {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 6, 6]);
  g.initializer('c1.weight', FIRST, values('c1', 12));
  g.initializer('c1.bias', [4], values('b1', 4));
  g.initializer('c2.weight', SECOND, values('c2', 16));
  g.output(g.op('Conv', [g.relu(g.op('Conv', [x, 'c1.weight', 'c1.bias'])), 'c2.weight']));
  return slotsOf(g);
}

const weights = () => ({
  'c1.weight': tensor(FIRST, values('c1', 12)),
  'c1.bias': tensor([4], values('b1', 4)),
  'c2.weight': tensor(SECOND, values('c2', 16)),
});
const typed = (dataType: number, dims: readonly number[], elements: readonly number[]) => {
  const bytes = Tensor.fromNumbers(dataType, dims, elements).bytes();
  return FileTensor.contiguous(dataType, dims, () => bytes);
};

describe('what is beside masks', () => {
  test('each tensor has one fate', async () => {
    const { fates } = bind(await two(), {
      epoch: 3,
      state_dict: {
        'c1.weight_orig': tensor(FIRST, values('c1', 12)),
        'c1.weight_mask': mask(FIRST, [0]),
        'c1.bias': tensor([4], values('b1', 4)),
        'c2.weight': tensor(
          SECOND,
          values('c2', 16).map((value, at) => (at < 4 ? 0 : value)),
        ),
        'n.running_mean': tensor([5], [0, 0, 0, 0, 0]),
        'n.running_var': tensor([5], [1, 1, 1, 1, 1]),
        'n.num_batches_tracked': tensor([], [0]),
        'head.scale': tensor([2], [1, 2]),
        'h.position_ids': typed(INT64, [3], [0, 1, 2]),
      },
      optimizer: { state: { 0: { exp_avg: tensor([2], [0, 0]) } } },
      rng_state: typed(UINT8, [2], [0, 1]),
    });
    const found = fates.map(({ key, fate, what }) => [key, what ?? fate]);
    expect(found.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))).toEqual([
      ['c1.bias', 'parameter'],
      ['c1.weight_mask', 'mask'],
      ['c1.weight_orig', 'original'],
      ['c2.weight', 'zeros'],
      ['h.position_ids', 'integers'],
      ['head.scale', 'no-zeros'],
      ['n.num_batches_tracked', 'counter'],
      ['n.running_mean', 'running-statistic'],
      ['n.running_var', 'running-statistic'],
      ['optimizer.state.0.exp_avg', 'optimizer'],
      ['rng_state', 'random-numbers'],
    ]);
  });

  test.each([
    ['a mask under a key that is not understood', { 'c1.importance': mask([4], [1]) }],
    ['a mask of integers', { 'c1.alive': typed(UINT8, [4], [1, 0, 1, 1]) }],
    ['a parameter that the model has not', { 'norm.weight': tensor([4], [1, 0, 1, 1]) }],
    ['a weight with zeros and other values', { 'c2.weight': tensor(SECOND, [0, ...values('x', 15)]) }],
    ['one of a list', { extra: [mask(FIRST, [0])] }],
    ['a flat mask of bytes', { 'c1.alive': typed(UINT8, [12], [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) }],
    ['a mask of 0 and 255', { 'c1.alive': typed(UINT8, FIRST, [0, ...Array.from({ length: 11 }, () => 255)]) }],
    ['indices of what is kept', { 'c1.kept_idx': typed(INT64, [2], [1, 3]) }],
    ["a callback's masks", { callbacks: { Pruning: { masks: { 'c2.weight': mask(SECOND, [1]) } } } }],
    ['zeros and ones of an optimizer', { optimizer: { state: { 'c2.weight': mask(SECOND, [1]) } } }],
  ])('zeros that would be lost are an error: %s', async (_, beside) => {
    const contents = { ...weights(), 'c1.weight_mask': mask(FIRST, [0]), ...beside };
    const slots = await two();
    const [key = ''] = Object.keys(beside);
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toContain(key);
    // Left out when the user says so, with its name.
    const { unmatched, fates } = bind(slots, contents, { allowUnmatched: true });
    expect(unmatched.join()).toContain(key);
    expect(fates.filter(({ fate }) => fate === 'left-out')).toHaveLength(1);
    const map = { [unmatched[0] ?? '']: null };
    expect(bind(slots, contents, { map }).unmatched).toEqual(unmatched);
  });

  test('what integers and booleans of transformers say is state: positions, and who may attend to whom', async () => {
    const contents = {
      ...weights(),
      'c1.weight_mask': mask(FIRST, [0]),
      'h.position_ids': typed(INT64, [1, 4], [0, 1, 2, 3]),
      'h.attn.bias': typed(UINT8, [1, 1, 3, 3], [1, 0, 0, 1, 1, 0, 1, 1, 1]),
    };
    const slots = await two();
    // Who may attend to whom is the graph's alone where the graph has it.
    expect(messageOf(() => bind(slots, contents))).toContain('h.attn.bias');
    const triangle = Tensor.fromNumbers(BOOL, [3, 3], [0, 1, 1, 0, 0, 1, 0, 0, 0]);
    const { fates } = bind(slots, contents, { constants: [triangle] });
    expect(fates.filter(({ what }) => what === 'integers')).toHaveLength(2);
  });

  test('a layer that was trained on keeps the weights of the model, and a fate says so', async () => {
    const zeros = {
      'c1.weight': tensor(
        FIRST,
        [...values('c1', 12)].map((value, at) => (at === 0 ? 0 : value)),
      ),
    };
    const trained = { ...weights(), ...zeros, 'c2.weight': tensor(SECOND, values('other', 16)) };
    const { bindings, fates } = bind(await two(), trained);
    expect(bindings).toHaveLength(1);
    expect(fates).toContainEqual({ key: 'c2.weight', fate: 'differs' });
    expect(fates).toContainEqual({ key: 'c1.bias', fate: 'parameter' });
  });

  test('weights that bfloat16 rounded are the same weights', async () => {
    const rounded = Array.from(values('c1', 12), (value, at) =>
      at === 0
        ? 0
        : (new Float32Array(
            Uint32Array.of((new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0) & 0xffff0000).buffer,
          )[0] ?? 0),
    );
    const contents = { 'c1.weight': typed(16, FIRST, rounded), 'c2.weight': weights()['c2.weight'] };
    expect(pruned(bind(await two(), contents))).toEqual({ 'c1.weight': [0] });
  });

  test('without masks too: a checkpoint whose zeros have no place', async () => {
    const slots = await two();
    const contents = { ...weights(), 'gate.weight': tensor([2, 2], [0, 1, 2, 3]) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toMatch(/gate\.weight \[2, 2\].*3 parameters of the model/s);
  });

  test('zeros of an earlier round, beside a mask that does not name them', async () => {
    const slots = await two();
    const orig = values('c1', 12).map((value, at) => (at === 5 ? 0 : value));
    const contents = { 'c1.weight_mask': mask(FIRST, [0]), 'c1.weight_orig': tensor(FIRST, orig) };
    expect(pruned(bind(slots, contents))).toEqual({ 'c1.weight': [0, 5] });
  });

  test("a bias of nothing but zeros is pruned where its layer is the file's, and lost where that is not known", async () => {
    const slots = await two();
    const zeros = { 'c1.bias': tensor([4], [0, 0, 0, 0]) };
    expect(pruned(bind(slots, { ...weights(), ...zeros }))).toEqual({ 'c1.bias': [0, 1, 2, 3] });
    const scaled = tensor(
      FIRST,
      values('c1', 12).map((value) => 2 * value),
    );
    expect(codeOf(() => bind(slots, { ...weights(), ...zeros, 'c1.weight': scaled }))).toBe('E-MASK-LOST');
  });

  test("a buffer that the graph holds is the graph's, in whatever shape", async () => {
    const slots = await two();
    const contents = { ...weights(), 'c1.weight_mask': mask(FIRST, [0]), 'attn.table': tensor([2, 2], [0, -1, -1, 0]) };
    const table = Tensor.fromNumbers(1, [1, 2, 2], [0, -1, -1, 0]);
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    const { fates } = bind(slots, contents, { constants: [table] });
    expect(fates).toContainEqual({ key: 'attn.table', fate: 'parameter' });
  });

  describe('of a buffer that the graph holds in part', () => {
    const [LENGTH, WIDTH] = [12, 6];
    const table = Array.from({ length: LENGTH * WIDTH }, (_, at) => {
      const angle = Math.floor(at / WIDTH) * 10 ** -(at % WIDTH);
      return at % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    const constant = (dims: readonly number[], elements: readonly number[]) => Tensor.fromNumbers(1, dims, elements);
    const rows = (from: number, to: number) => constant([to - from, WIDTH], table.slice(from * WIDTH, to * WIDTH));
    const contents = (buffer: FileTensor) => ({ ...weights(), 'c1.weight_mask': mask(FIRST, [0]), buffer });
    const triangle = (extent: number, below = 1) =>
      Array.from({ length: extent * extent }, (_, at) => (at % extent <= Math.floor(at / extent) ? below : 1 - below));

    test.each([
      ['the first rows of a table of positions', [1, LENGTH, WIDTH], table, rows(0, 4)],
      ['what may be attended to', [1, 1, 8, 8], triangle(8), constant([1, 1, 5, 5], triangle(5))],
      ['what may not be attended to', [8, 8], triangle(8), constant([5, 5], triangle(5, 0))],
    ])('the zeros are those of the model: %s', async (_, dims, elements, held) => {
      const slots = await two();
      expect(codeOf(() => bind(slots, contents(tensor(dims, elements))))).toBe('E-MASK-LOST');
      const { fates } = bind(slots, contents(tensor(dims, elements)), { constants: [held] });
      expect(fates).toContainEqual({ key: 'buffer', fate: 'parameter' });
    });

    const holed = table.map((value, at) => (at === 20 || at === 50 ? 0 : value));
    test.each([
      ['a zero that the graph has not', holed, rows(0, 4)],
      ['a zero beyond what the graph has', table.map((value, at) => (at === 50 ? 0 : value)), rows(0, 4)],
      ['a zero before it', table, rows(2, 6)],
      ['other values', table, constant([4, WIDTH], [...values('other', 4 * WIDTH)])],
      [
        'a constant that says little',
        Array.from(table, (_, at) => (at < 4 * WIDTH ? 1 : 0)),
        constant(
          [4, WIDTH],
          Array.from({ length: 4 * WIDTH }, () => 1),
        ),
      ],
      ['a triangle too small to tell', triangle(8).slice(0, 72), constant([2, 2], triangle(2))],
    ])('and lost else: %s', async (_, elements, held) => {
      const slots = await two();
      const dims = elements.length === 64 ? [8, 8] : [LENGTH, WIDTH];
      expect(codeOf(() => bind(slots, contents(tensor(dims, elements)), { constants: [held] }))).toBe('E-MASK-LOST');
    });
  });

  test('zeros alone are no evidence but where the module is', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    g.initializer('c1.weight', FIRST, values('c1', 12));
    g.initializer('onnx::Add_1', [4, 1, 1], [0, 0, 0, 0]);
    const conv = g.op('Conv', [x, 'c1.weight']);
    g.output(g.op('Add', [conv, 'onnx::Add_1'], {}, { name: '/block/Add' }));
    const slots = await slotsOf(g);
    const state = (key: string) => ({
      'c1.weight_mask': mask(FIRST, [0]),
      'c1.weight_orig': tensor(FIRST, values('c1', 12)),
      'c2.bias': tensor([2], [1, 2]),
      [key]: tensor([4, 1, 1], [0, 0, 0, 0]),
    });
    const constants = [Tensor.fromNumbers(1, [4, 1, 1], [0, 0, 0, 0])];
    expect(codeOf(() => bind(slots, state('other.shift'), { constants }))).toBe('E-MASK-LOST');
    const { fates } = bind(slots, state('block.shift'), { constants });
    expect(fates).toContainEqual({ key: 'block.shift', fate: 'parameter' });
  });

  test('what a view repeats is looked at once, however large it says it is', async () => {
    const slots = await two();
    const view = { dataType: 1, dims: [2 ** 40, 2], strides: [0, 1], offset: 0 };
    const large = (elements: readonly number[]) =>
      new FileTensor(view, () => new Uint8Array(Float32Array.from(elements).buffer));
    const contents = { ...weights(), 'c1.weight_mask': mask(FIRST, [0]) };
    expect(bind(slots, { ...contents, table: large([1, 2]) }).bindings).toHaveLength(1);
    expect(codeOf(() => bind(slots, { ...contents, table: large([1, 0]) }))).toBe('E-MASK-LOST');
  });
});

describe('masks apart from the weights', () => {
  const state = { 'c1.weight': tensor(FIRST, values('c1', 12)), 'c2.weight': tensor(SECOND, values('c2', 16)) };
  const masks = { 'c1.weight': mask(FIRST, [1]), 'c2.weight': null };

  test.each([
    [{ state_dict: state, mask_dict: masks }],
    [{ model: state, masks }],
    [{ state_dict: state, compression_sched: { masks_dict: masks, policy: 3 } }],
    [{ ...state, mask_dict: masks }],
  ])('%#', async (contents) => {
    const bound = bind(await two(), contents);
    expect(pruned(bound)).toEqual({ 'c1.weight': [1] });
    const { fates } = bound;
    expect(fates.map(({ fate }) => fate).toSorted()).toEqual(['mask', 'original', 'parameter']);
  });

  test('in a list they have no names: never bound by place or shape, only by --mask-map', async () => {
    const slots = await two();
    for (const contents of [[mask(FIRST, [2])], { state_dict: state, masks: [mask(FIRST, [2])] }]) {
      const key = Array.isArray(contents) ? '[0]' : 'masks[0]';
      expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-NO-MATCH');
      expect(messageOf(() => bind(slots, contents))).toContain(`--mask-map FILE with { "${key}"`);
      expect(pruned(bind(slots, contents, { map: { [key]: 'c1.weight' } }))).toEqual({ 'c1.weight': [2] });
    }
  });
});
