/**
 * Normalisations that the exporter folded into a convolution: what their pruned parameters mean for
 * it.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { maskEdits } from '../../src/masking/mask-edits.js';
import { combineMasks } from '../../src/masks/apply.js';
import { type Bound } from '../../src/masks/bind.js';
import type { Graph } from '../../src/ir/graph.js';
import { BFLOAT16, Tensor } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, mask, slotsOf, tensor, values } from './bound-masks.js';

const C = 6;
const PER = 3;
const EPSILON = 1e-5;
const params = {
  weight: [...values('w', C * PER)],
  bias: [...values('b', C)],
  gamma: [...values('g', C)].map((value) => value + 3),
  beta: [...values('be', C)],
  mean: [...values('m', C)],
  variance: [...values('v', C)].map((value) => 1 + value * value),
};
type Params = typeof params;

/** What an exporter writes: W' = s W, b' = beta + s (b - mean). */
function fold({ weight, bias, gamma, beta, mean, variance }: Params) {
  const scale = gamma.map((value, at) => value / Math.sqrt((variance[at] ?? 0) + EPSILON));
  return {
    weight: weight.map((value, at) => Math.fround(value * (scale[Math.floor(at / PER)] ?? 0))),
    bias: beta.map((value, at) => Math.fround(value + (scale[at] ?? 0) * ((bias[at] ?? 0) - (mean[at] ?? 0)))),
  };
}

async function exported(names = ['onnx::Conv_1', 'onnx::Conv_2'], of = params) {
  const g = graphBuilder();
  const x = g.input('x', [1, PER, 6, 6]);
  const { weight, bias } = fold(of);
  const [w = '', b = ''] = names;
  g.initializer(w, [C, PER, 1, 1], weight);
  const operands = [x, w];
  if (b !== '') operands.push(g.initializer(b, [C], bias));
  g.output(g.op('Conv', operands, {}, { name: '/c/Conv' }));
  return slotsOf(g);
}

const zeroAt = (list: readonly number[], ...at: readonly number[]) =>
  list.map((value, index) => (at.includes(index) ? 0 : value));

function file({ weight, bias, gamma, beta, mean, variance }: Params) {
  return {
    'c.weight': tensor([C, PER, 1, 1], weight),
    'c.bias': tensor([C], bias),
    'n.weight': tensor([C], gamma),
    'n.bias': tensor([C], beta),
    'n.running_mean': tensor([C], mean),
    'n.running_var': tensor([C], variance),
  };
}

/** Weight and bias as the model has them afterwards. */
async function after(bound: Bound) {
  const edits = maskEdits(
    { nodes: bound.bindings.map(({ slot }) => slot.node) } as unknown as Graph,
    combineMasks(bound.bindings),
  );
  const found: Record<number, number[]> = {};
  for (const { input, tensor: edited } of edits) found[input] = [...edited.numbers()];
  const [own] = bound.bindings;
  const tensorOf = (input: number) => [...(own?.slot.node.inputs[input]?.initializer?.numbers() ?? [])];
  return { weight: found[1] ?? tensorOf(1), bias: found[2] ?? tensorOf(2) };
}

function expectClose(found: readonly number[], expected: readonly number[]) {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, at) => expect(Math.abs(value - (expected[at] ?? Number.NaN))).toBeLessThan(1e-5));
}

describe('zeros of the parameters', () => {
  test.each<[string, Partial<Params>]>([
    ['a scale: the filter is zero, its bias the shift', { gamma: zeroAt(params.gamma, 2) }],
    ['a shift', { beta: zeroAt(params.beta, 1) }],
    ['scale and shift', { gamma: zeroAt(params.gamma, 4), beta: zeroAt(params.beta, 4) }],
    ["the convolution's own bias", { bias: zeroAt(params.bias, 0, 3) }],
    ['all scales', { gamma: zeroAt(params.gamma, 0, 1, 2, 3, 4, 5) }],
    ['all shifts', { beta: zeroAt(params.beta, 0, 1, 2, 3, 4, 5) }],
    ["all of the convolution's own biases", { bias: zeroAt(params.bias, 0, 1, 2, 3, 4, 5) }],
    ['a running mean', { mean: zeroAt(params.mean, 3) }],
    [
      'a filter, a scale and most shifts',
      {
        weight: zeroAt(params.weight, 0, 1, 2),
        gamma: zeroAt(params.gamma, 1),
        beta: zeroAt(params.beta, 0, 1, 2, 3),
      },
    ],
    ['a filter, its bias and the scale', { weight: zeroAt(params.weight, 0, 1, 2), gamma: zeroAt(params.gamma, 0, 5) }],
  ])('%s', async (_, zeros) => {
    const pruned = { ...params, ...zeros };
    const bound = bind(await exported(), file(pruned));
    const expected = fold(pruned);
    const found = await after(bound);
    expectClose(found.weight, expected.weight);
    expectClose(found.bias, expected.bias);
  });

  test('in a file of bfloat16, whose numbers are near those that were folded', async () => {
    const pruned = { ...params, weight: zeroAt(params.weight, 3, 4, 5), gamma: zeroAt(params.gamma, 2) };
    const rough = Object.entries(file(pruned)).map(([key, of]) => {
      const bytes = Tensor.fromNumbers(BFLOAT16, of.dims, of.toTensor().numbers()).bytes();
      return [key, FileTensor.contiguous(BFLOAT16, of.dims, () => bytes)];
    });
    const found = await after(bind(await exported(), Object.fromEntries(rough)));
    const expected = fold(pruned);
    expectClose(found.weight, expected.weight);
    // The bias of the filter without a scale is the shift of the file.
    found.bias.forEach((value, at) => expect(Math.abs(value - (expected.bias[at] ?? 0))).toBeLessThan(0.01));
  });

  test('that the model has as well change nothing', async () => {
    const { bindings, fates } = bind(await exported(), file(params));
    expect(bindings).toEqual([]);
    expect(fates.filter(({ fate }) => fate === 'state')).toHaveLength(2);
  });

  test('all shifts are lost where the scales fit more than one normalisation, or say nothing', async () => {
    const gone = { ...params, beta: zeroAt(params.beta, 0, 1, 2, 3, 4, 5) };
    const twin = Object.fromEntries(
      Object.entries(file(params)).flatMap(([key, of]) =>
        key.startsWith('n.') ? [[key.replace('n.', 'twin.'), of]] : [],
      ),
    );
    const slots = await exported();
    expect(codeOf(() => bind(slots, { ...file(gone), ...twin }))).toBe('E-MASK-LOST');
    const even = { ...params, variance: params.variance.map(() => 1), gamma: params.gamma.map(() => 2) };
    const others = await exported(undefined, even);
    expect(codeOf(() => bind(others, file({ ...even, beta: gone.beta })))).toBe('E-MASK-LOST');
  });

  test('all scales and all shifts at once are lost: no equation is left', async () => {
    const all = { gamma: zeroAt(params.gamma, 0, 1, 2, 3, 4, 5), beta: zeroAt(params.beta, 0, 1, 2, 3, 4, 5) };
    const slots = await exported();
    expect(codeOf(() => bind(slots, file({ ...params, ...all })))).toBe('E-MASK-LOST');
  });

  test('of a variance: the scale of the filter is another one, which no mask says', async () => {
    const slots = await exported();
    expect(codeOf(() => bind(slots, file({ ...params, variance: zeroAt(params.variance, 2) })))).toBe('E-MASK-LOST');
    const dead = { ...params, variance: zeroAt(params.variance, 2) };
    expect(bind(await exported(undefined, dead), file(dead)).bindings).toEqual([]);
  });

  test("of a normalisation that is no layer's are lost, by name", async () => {
    const other = {
      ...params,
      gamma: zeroAt(params.gamma, 2),
      mean: [...values('other', C)].map((value) => value + 9),
    };
    const slots = await exported();
    expect(codeOf(() => bind(slots, file(other)))).toBe('E-MASK-LOST');
  });
});

describe('masks of the parameters', () => {
  const { 'n.weight': gamma, 'n.bias': beta, ...others } = file(params);

  test('of a scale', async () => {
    const contents = { ...others, 'n.weight_orig': gamma, 'n.weight_mask': mask([C], [1, 3]), 'n.bias': beta };
    const expected = fold({ ...params, gamma: zeroAt(params.gamma, 1, 3) });
    const found = await after(bind(await exported(), contents));
    expectClose(found.weight, expected.weight);
    expectClose(found.bias, expected.bias);
  });

  test('of scale and shift, as one mask per normalisation', async () => {
    const contents = { state_dict: file(params), maskbndict: { n: mask([C], [0, 5]) } };
    const expected = fold({ ...params, gamma: zeroAt(params.gamma, 0, 5), beta: zeroAt(params.beta, 0, 5) });
    const found = await after(bind(await exported(), contents));
    expectClose(found.weight, expected.weight);
    expectClose(found.bias, expected.bias);
  });

  test('of filters and their bias, as NNCF applies them', async () => {
    const contents = { ...file(params), 'c.pre_ops.0.op._binary_filter_pruning_mask': mask([C], [2]) };
    const expected = fold({ ...params, weight: zeroAt(params.weight, 6, 7, 8), bias: zeroAt(params.bias, 2) });
    const found = await after(bind(await exported(), contents));
    expectClose(found.weight, expected.weight);
    expectClose(found.bias, expected.bias);
  });

  test("of the layer's own bias, where the folded one has its name", async () => {
    const slots = await exported(['c.weight', 'c.bias']);
    const { 'c.bias': bias, ...rest } = file(params);
    const masked = { ...rest, 'c.bias_orig': bias, 'c.bias_mask': mask([C], [2, 4]) };
    const found = await after(bind(slots, masked));
    expectClose(found.bias, fold({ ...params, bias: zeroAt(params.bias, 2, 4) }).bias);
  });

  test('of a running mean', async () => {
    const contents = { state_dict: file(params), mask_dict: { 'n.running_mean': mask([C], [1, 4]) } };
    const found = await after(bind(await exported(), contents));
    expectClose(found.bias, fold({ ...params, mean: zeroAt(params.mean, 1, 4) }).bias);
    const variance = { state_dict: file(params), mask_dict: { 'n.running_var': mask([C], [1]) } };
    const slots = await exported();
    expect(codeOf(() => bind(slots, variance))).toBe('E-MASK-NO-MATCH');
  });

  test('are refused where the file does not hold the parameters', async () => {
    const slots = await exported();
    expect(codeOf(() => bind(slots, { 'c.weight_mask': mask([C], [0]), 'n.weight_mask': mask([C], [0]) }))).toBe(
      'E-MASK-NO-MATCH',
    );
  });
});
