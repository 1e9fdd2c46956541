/**
 * Which mask belongs to which weight: every kind of evidence, every form of a mask, and everything
 * that must be refused.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { combineMasks } from '../../src/masks/apply.js';
import {
  bind,
  codeOf,
  DIMS,
  IN,
  mask,
  named,
  only,
  OUT,
  pruned,
  SIZE,
  slotsOf,
  TAPS,
  tensor,
  values,
} from './bound-masks.js';

/** As the TorchScript exporter folds normalisations: only node names tell. */
async function folded(names = ['/conv1/Conv', '/layer1/layer1.0/conv2/Conv']) {
  const g = graphBuilder();
  const x = g.input('x', [1, IN, 8, 8]);
  g.initializer('onnx::Conv_11', DIMS, values('conv1'));
  g.initializer('onnx::Conv_12', [OUT, OUT, 3, 3], values('conv2', OUT * OUT * TAPS));
  const first = g.op('Conv', [x, 'onnx::Conv_11'], { kernel_shape: [3, 3] }, { name: names[0] ?? '' });
  g.output(g.op('Conv', [g.relu(first), 'onnx::Conv_12'], { kernel_shape: [3, 3] }, { name: names[1] ?? '' }));
  return slotsOf(g);
}

const filters = (size: number, ...which: number[]) =>
  which.flatMap((filter) => Array.from({ length: size }, (_, at) => filter * size + at));

describe('forms of a mask', () => {
  test.each([
    ['per filter', mask([OUT], [1]), filters(IN * TAPS, 1), 'filter'],
    ['per filter, with axes', mask([OUT, 1, 1, 1], [1]), filters(IN * TAPS, 1), 'filter'],
    [
      'per input channel',
      mask([1, IN, 1, 1], [2]),
      [0, 1, 2, 3].flatMap((out) => filters(TAPS, out * IN + 2)),
      'channel',
    ],
    ['per kernel', mask([OUT, IN, 1, 1], [4]), filters(TAPS, 4), 'kernel'],
    ['per element', mask(DIMS, [0, 50]), [0, 50], 'element'],
  ])('%s', async (_, given, places, granularity) => {
    const bound = bind(await named(), { 'conv1.weight_mask': given });
    expect(pruned(bound)).toEqual({ 'conv1.weight': places });
    expect(only(bound)).toMatchObject({ evidence: 'name', mask: { granularity, zeros: places.length } });
  });

  test('a bias', async () => {
    expect(pruned(bind(await named(), { 'conv1.bias_mask': mask([OUT], [3]) }))).toEqual({ 'conv1.bias': [3] });
  });

  test.each([
    [{ conv1: { remove: [0, 2] } }, filters(IN * TAPS, 0, 2)],
    [{ 'conv1.weight': { keep: [1, 3] } }, filters(IN * TAPS, 0, 2)],
    [
      { masks: { conv1: { keep: [1], axis: 'in' } } },
      [0, 2, 3, 5, 6, 8, 9, 11].flatMap((kernel) => filters(TAPS, kernel)),
    ],
    [{ conv1: { shape: DIMS, runs: [10, 2, SIZE - 12] } }, [10, 11]],
    [{ conv1: [true, false, true, true] }, filters(IN * TAPS, 1)],
    [{ conv1: [[[[0]]], [[[1]]], [[[1]]], [[[0]]]] }, filters(IN * TAPS, 0, 3)],
  ])('JSON: %j', async (contents, places) => {
    expect(pruned(bind(await named(), contents, { format: 'JSON' }))).toEqual({ 'conv1.weight': places });
  });

  test.each([
    [{ conv1: { remove: [1], keep: [2] } }, /mask conv1: it has both "remove" and "keep"/],
    [{ conv1: { remov: [1] } }, /mask conv1: "remov" is not a field of a mask/],
    [{ conv1: { runs: [1, 2] } }, /mask conv1: "runs" needs a list of lengths and a "shape"/],
    [{ conv1: { remove: [1], axis: 2 } }, /mask conv1: "axis" is 2/],
    [{ conv1: { pattern: '4:2' } }, /mask conv1: the pattern "4:2" is not N:M/],
    [{ conv1: { shape: [4] } }, /mask conv1: it has no "keep", "remove"/],
    [{ conv1: { remove: [1], note: 'x' } }, /mask conv1: "note" is not a field of a mask/],
  ])('a mistake in JSON names the mask: %j', async (contents, message) => {
    const slots = await named();
    expect(() => bind(slots, contents, { format: 'JSON' })).toThrow(message);
  });

  test('N:M keeps the largest of every group along the input channels', async () => {
    const [slot] = (await named()).filter(({ value }) => value.name === 'conv2.weight');
    const weights = slot?.tensor.numbers() ?? new Float32Array(0);
    const bound = bind(await named(), { conv2: { pattern: '2:4' } }, { format: 'JSON' });
    const { factors } = only(bound).mask;
    for (let out = 0; out < 6; out++) {
      const row = [0, 1, 2, 3].map((at) => Math.abs(weights[out * 4 + at] ?? 0));
      const limit = row.toSorted((a, b) => b - a)[1] ?? 0;
      expect(Array.from(factors.subarray(out * 4, out * 4 + 4))).toEqual(row.map((size) => (size >= limit ? 1 : 0)));
    }
  });

  test('values other than 0 and 1 are an error, or factors when asked for', async () => {
    const soft = { 'conv1.weight_mask': tensor([OUT], [1, 0, 0.5, 1]) };
    const slots = await named();
    expect(codeOf(() => bind(slots, soft))).toBe('E-MASK-SOFT');
    expect(codeOf(() => bind(slots, { conv1: tensor([OUT], [1, 0, Number.NaN, 1]) }))).toBe('E-MASK-SOFT');
    const { factors } = only(bind(slots, soft, { soft: 'multiply' })).mask;
    expect([0, 27, 54, 81].map((at) => factors[at])).toEqual([1, 0, 0.5, 1]);
  });

  test('masks of several files multiply', async () => {
    const slots = await named();
    const one = bind(slots, { conv1: mask([OUT], [0]) });
    const other = bind(slots, { 'conv1.weight_mask': mask(DIMS, [100]) });
    const [combined, ...rest] = combineMasks([...one.bindings, ...other.bindings]);
    expect(rest).toEqual([]);
    expect([...(combined?.factors ?? []).entries()].filter(([, factor]) => factor === 0).map(([at]) => at)).toEqual([
      ...filters(IN * TAPS, 0),
      100,
    ]);
  });
});

describe('names', () => {
  test.each([
    { module: { 'conv1.weight_mask': mask([OUT], [0]) } },
    { 'module._orig_mod.conv1.weight_mask': mask([OUT], [0]) },
    {
      epoch: 3,
      state_dict: { 'model.conv1.weight_mask': mask([OUT], [0]), 'model.bn1.weight': tensor([OUT], [2, 3, 4, 5]) },
    },
    { conv1: { weight: mask([OUT], [0]), bias: null } },
    { 'conv1/weight': mask([OUT], [0]) },
    { 'conv1.mask': mask([OUT], [0]) },
  ])('%#', async (contents) => {
    expect(pruned(bind(await named(), contents))).toEqual({ 'conv1.weight': filters(IN * TAPS, 0) });
  });

  test("a wrapper in the model's names", async () => {
    expect(pruned(bind(await named('model.'), { conv1: mask([OUT], [0]) }))).toHaveProperty(['model.conv1.weight']);
  });

  test('another prefix is told, and taken off on request', async () => {
    const slots = await named();
    const contents = { 'backbone.conv1.weight_mask': mask(DIMS, [0]), 'backbone.conv2.weight_mask': mask([6], [1]) };
    expect(() => bind(slots, contents)).toThrow(/has no mask for any weight/);
    try {
      bind(slots, contents);
    } catch (error) {
      expect(error).toMatchObject({
        code: 'E-MASK-NO-MATCH',
        facts: expect.arrayContaining([['try', '--mask-prefix backbone.']]),
      });
    }
    expect(bind(slots, contents, { prefix: 'backbone.' }).bindings).toHaveLength(2);
  });

  test('module names in the names of nodes', async () => {
    const bound = bind(await folded(), { conv1: mask([OUT], [0]), 'layer1.0.conv2': mask([OUT], [1]) });
    expect(bound.bindings.map(({ evidence, slot }) => [evidence, slot.value.name])).toEqual([
      ['module', 'onnx::Conv_11'],
      ['module', 'onnx::Conv_12'],
    ]);
  });

  test('a module called twice is two nodes with equal weights; others with a number in the name are none of its calls', async () => {
    const build = async (second: string) => {
      const g = graphBuilder();
      const x = g.input('x', [1, OUT, 8, 8]);
      g.initializer('onnx::Conv_1', [OUT, OUT, 1, 1], values('a', 16));
      g.initializer('onnx::Conv_2', [OUT, OUT, 1, 1], values(second, 16));
      const first = g.op('Conv', [x, 'onnx::Conv_1'], { kernel_shape: [1, 1] }, { name: '/conv/Conv' });
      g.output(g.op('Conv', [first, 'onnx::Conv_2'], { kernel_shape: [1, 1] }, { name: '/conv/Conv_1' }));
      return slotsOf(g);
    };
    expect(bind(await build('a'), { conv: mask([OUT], [0]) }).bindings).toHaveLength(2);
    const other = await build('b');
    expect(codeOf(() => bind(other, { conv: mask([OUT], [0]) }))).toBe('E-MASK-AMBIGUOUS');
  });

  test('a second call that was folded with another normalisation is masked with the first', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, OUT, 8, 8]);
    g.initializer('onnx::Conv_1', [OUT, OUT, 1, 1], values('a', 16));
    const scaled = values('a', 16).map((value, at) => value * (1 + Math.floor(at / OUT)));
    g.initializer('onnx::Conv_2', [OUT, OUT, 1, 1], scaled);
    g.initializer('onnx::Conv_3', [OUT, OUT, 1, 1], values('c', 16));
    const conv = (data: string, weight: string, name: string) =>
      g.op('Conv', [data, weight], { kernel_shape: [1, 1] }, { name });
    const first = conv(x, 'onnx::Conv_1', '/conv/Conv');
    g.output(conv(conv(first, 'onnx::Conv_2', '/conv_1/Conv'), 'onnx::Conv_3', '/conv_2/Conv'));
    const slots = await slotsOf(g);
    const bound = (contents: unknown) => bind(slots, contents).bindings.map(({ slot }) => slot.value.name);
    const both = { conv: mask([OUT], [0]), conv_2: mask([OUT], [1]) };
    expect(bound(both)).toEqual(['onnx::Conv_1', 'onnx::Conv_2', 'onnx::Conv_3']);
    // conv_2 may be a third call, folded with weights of its own, or a module that nobody spoke of.
    expect(codeOf(() => bound({ conv: mask([OUT], [0]) }))).toBe('E-MASK-AMBIGUOUS');
    expect(bound({ conv_2: mask([OUT], [0]) })).toEqual(['onnx::Conv_3']);
  });

  test('wrappers on both sides do not make two weights one', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, OUT, 8, 8]);
    g.initializer('conv.weight', [OUT, OUT, 1, 1], values('a', 16));
    g.initializer('model.conv.weight', [OUT, OUT, 1, 1], values('b', 16));
    g.output(g.op('Conv', [g.op('Conv', [x, 'conv.weight']), 'model.conv.weight']));
    const slots = await slotsOf(g);
    expect(Object.keys(pruned(bind(slots, { 'conv.weight_mask': mask([OUT], [0]) })))).toEqual(['conv.weight']);
    expect(Object.keys(pruned(bind(slots, { 'model.conv': mask([OUT], [0]) })))).toEqual(['model.conv.weight']);
    expect(codeOf(() => bind(slots, { 'module.conv': mask([OUT], [0]) }))).toBe('E-MASK-AMBIGUOUS');
  });

  test('a bias that a normalisation was folded into is not the bias of the module', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, IN, 8, 8]);
    g.initializer('onnx::Conv_1', DIMS, values('a'));
    g.initializer('onnx::Conv_2', [OUT], values('b', OUT));
    g.output(g.op('Conv', [x, 'onnx::Conv_1', 'onnx::Conv_2'], { kernel_shape: [3, 3] }, { name: '/conv/Conv' }));
    const contents = { conv: { weight: mask([OUT], [0]), bias: mask([OUT], [0]) } };
    const slots = await slotsOf(g);
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-NO-MATCH');
    expect(only(bind(slots, contents, { allowUnmatched: true })).slot.parameter).toBe('weight');
  });

  test('a weight that is a sum has the name of neither part', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, IN]);
    g.initializer('fc.weight', [OUT, IN], values('a', 12));
    g.initializer('fc.lora', [OUT, IN], values('b', 12));
    g.output(g.gemm(x, g.add('fc.weight', 'fc.lora')));
    const bound = bind(await slotsOf(g), { 'fc.weight_mask': mask([OUT, IN], [3]) });
    // The stored part alone is masked, as in the framework.
    expect(only(bound).slot).toMatchObject({ isLayer: false, node: { opType: 'Add' } });
  });

  test('filters are known where a rule says which axis they are: not of transposed groups', async () => {
    const slotsWith = async (group: number) => {
      const g = graphBuilder();
      const x = g.input('x', [1, OUT, 8, 8]);
      g.initializer('up.weight', [OUT, OUT / group, 2, 2], values('a', (OUT * OUT * 4) / group));
      g.output(g.op('ConvTranspose', [x, 'up.weight'], { kernel_shape: [2, 2], strides: [2, 2], group }));
      return slotsOf(g);
    };
    const grouped = await slotsWith(2);
    expect(codeOf(() => bind(grouped, { up: mask([OUT], [0]) }))).toBe('E-MASK-SHAPE');
    expect(pruned(bind(grouped, { up: mask([OUT, OUT / 2, 2, 2], [5]) }))).toEqual({ 'up.weight': [5] });
    const slots = await slotsWith(1);
    const ofFilter = [...Array(OUT).keys()].flatMap((input) => [0, 1, 2, 3].map((tap) => input * OUT * 4 + tap));
    expect(pruned(bind(slots, { up: mask([OUT], [0]) }))).toEqual({ 'up.weight': ofFilter });
    expect(pruned(bind(slots, { up: mask([OUT, OUT, 2, 2], [5]) }))).toEqual({ 'up.weight': [5] });
  });

  test('--mask-map has the last word', async () => {
    const slots = await folded();
    const contents = { a: mask([OUT], [0]), b: mask([OUT], [1]), c: mask([9], [1]) };
    const map = { a: 'onnx::Conv_12', b: '/conv1/Conv', c: null };
    const bound = bind(slots, contents, { map });
    expect(bound.bindings.map(({ claim, slot, evidence }) => [claim.key, slot.value.name, evidence])).toEqual([
      ['a', 'onnx::Conv_12', 'map'],
      ['b', 'onnx::Conv_11', 'map'],
    ]);
    expect(bound.unmatched).toEqual(['c']);
    expect(codeOf(() => bind(slots, contents, { map: { ...map, a: 'onnx::Conv_21' } }))).toBe('E-MASK-MAP');
  });
});

describe('values', () => {
  /**
   * Folding a normalisation multiplies each filter by a number of its own, which may be negative.
   */
  const FACTORS = [0.5, -2, 1 / 3, 10];
  const unfolded = (name: string, count: number, per: number) =>
    tensor(
      count === SIZE ? DIMS : [OUT, OUT, 3, 3],
      values(name, count).map((value, at) => value / (FACTORS[Math.floor(at / per)] ?? 1)),
    );
  const conv1 = () => unfolded('conv1', SIZE, IN * TAPS);
  const conv2 = () => unfolded('conv2', OUT * OUT * TAPS, OUT * TAPS);

  test('tell a weight whose name is lost', async () => {
    const slots = await folded(['a', 'b']);
    const contents = {
      'x.weight_mask': mask([OUT], [1]),
      'x.weight_orig': conv2(),
      'y.weight_mask': mask([OUT], [2]),
      'y.weight_orig': conv1(),
    };
    // Only a normalisation explains the factors: what else they were computed from may be the weight.
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    const norm = {
      'n.weight': tensor([OUT], FACTORS),
      'n.running_var': tensor([OUT], [1, 1, 1, 1]),
      'n.running_mean': tensor([OUT], [1, 2, 3, 4]),
    };
    const bound = bind(slots, { ...contents, ...norm });
    expect(bound.bindings.map(({ slot, evidence, values: sameness }) => [slot.value.name, evidence, sameness])).toEqual(
      [
        ['onnx::Conv_12', 'values', 'same'],
        ['onnx::Conv_11', 'values', 'same'],
      ],
    );
  });

  test('that contradict the name stop everything', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, OUT, 8, 8]);
    g.initializer('conv1.weight', [OUT, OUT, 1, 1], values('p', 16));
    g.initializer('conv2.weight', [OUT, OUT, 1, 1], values('q', 16));
    g.output(g.op('Conv', [g.op('Conv', [x, 'conv1.weight']), 'conv2.weight']));
    const slots = await slotsOf(g);
    const contents = {
      'conv1.weight_mask': mask([OUT], [0]),
      'conv1.weight_orig': tensor([OUT, OUT, 1, 1], values('q', 16)),
    };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-AMBIGUOUS');
    expect(only(bind(slots, contents, { map: { 'conv1.weight_mask': 'conv1.weight' } })).values).toBe('different');
    const elsewhere = { ...contents, 'conv1.weight_orig': tensor([OUT, OUT, 1, 1], values('r', 16)) };
    expect(only(bind(slots, elsewhere))).toMatchObject({ evidence: 'name', values: 'different' });
  });

  test('zeros in the weights of a checkpoint are its masks', async () => {
    const slots = await named();
    const weights = values('conv1').map((value, at) => (at < IN * TAPS ? 0 : value));
    const statistic = {
      'bn1.running_mean': tensor([OUT], [0, 0, 0, 0]),
      'bn1.running_var': tensor([OUT], [1, 1, 1, 1]),
    };
    const bound = bind(slots, { 'conv1.weight': tensor(DIMS, weights), ...statistic });
    expect(only(bound)).toMatchObject({ isFromZeros: true, evidence: 'name', mask: { zeros: IN * TAPS } });
    expect(bind(slots, { 'conv1.weight': tensor(DIMS, values('conv1')), ...statistic }).bindings).toEqual([]);
    // So are those of a bias, even where nothing else is left of it.
    const zeroBias = { 'conv1.weight': tensor(DIMS, values('conv1')), 'conv1.bias': tensor([OUT], [0, 0, 0, 0]) };
    expect(pruned(bind(slots, zeroBias))).toEqual({ 'conv1.bias': [0, 1, 2, 3] });
    expect(codeOf(() => bind(slots, { 'conv1.weight': tensor(DIMS, values('other')) }))).toBe('E-MASK-SOFT');
  });
});

describe('shapes', () => {
  test('are evidence when names say nothing and there is no choice', async () => {
    const slots = await folded(['a', 'b']);
    const one = mask(DIMS, [3]);
    expect(only(bind(slots, { first: one })).evidence).toBe('shape');
    expect(codeOf(() => bind(slots, { first: one, second: one }))).toBe('E-MASK-NO-MATCH');
    expect(codeOf(() => bind(slots, { first: mask([OUT], [3]) }))).toBe('E-MASK-NO-MATCH');
  });

  test.each([
    ['of another width', { conv1: mask([OUT + 1], [0]) }, 'E-MASK-SHAPE'],
    ['of a filter that is not there', { conv1: { remove: [OUT] } }, 'E-MASK-SHAPE'],
    ['of another rank', { conv1: mask([OUT, IN], [0]) }, 'E-MASK-SHAPE'],
    ['of no weight', { conv1: mask([OUT], [0]), conv9: mask([OUT], [0]) }, 'E-MASK-NO-MATCH'],
    ['for a weight that has one', { conv1: mask([OUT], [0]), 'conv1.weight': mask([OUT], [1]) }, 'E-MASK-AMBIGUOUS'],
    ['that is none', { epoch: 7, name: 'x' }, 'E-MASK-EMPTY'],
  ])('a mask %s', async (_, contents, code) => {
    const slots = await named();
    expect(codeOf(() => bind(slots, contents))).toBe(code);
  });

  test('--allow-unmatched leaves out what fits nothing, but not everything', async () => {
    const slots = await named();
    const bound = bind(slots, { conv1: mask([OUT], [0]), conv9: mask([OUT], [0]) }, { allowUnmatched: true });
    expect([only(bound).claim.key, bound.unmatched]).toEqual(['conv1', ['conv9']]);
    expect(codeOf(() => bind(slots, { conv9: mask([OUT], [0]) }, { allowUnmatched: true }))).toBe('E-MASK-NO-MATCH');
  });
});
