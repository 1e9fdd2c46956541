/**
 * Zeros that a parameter had before it was masked: its mask need not name them (prune.remove, then
 * prune.identity).
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor, values } from './bound-masks.js';

const FIRST = [4, 3] as const;
const SECOND = [4, 4] as const;

async function two() {
  const g = graphBuilder();
  const x = g.input('x', [1, 3]);
  g.initializer('a.weight', FIRST, values('a', 12));
  g.initializer('a.bias', [4], values('bias', 4));
  g.initializer('n.weight', [4], values('norm', 4));
  g.initializer('b.weight', SECOND, values('b', 16));
  const first = g.op('Gemm', [x, 'a.weight', 'a.bias'], { transB: 1 });
  g.output(g.op('Gemm', [g.op('Mul', [g.relu(first), 'n.weight']), 'b.weight'], { transB: 1 }));
  return slotsOf(g);
}

const holed = (name: string, dims: readonly number[], zeros: readonly number[]) => {
  const size = dims.reduce((total, extent) => total * extent, 1);
  return tensor(
    dims,
    values(name, size).map((value, at) => (zeros.includes(at) ? 0 : value)),
  );
};
const PARAMETERS = {
  'a.weight': ['a', FIRST],
  'a.bias': ['bias', [4]],
  'n.weight': ['norm', [4]],
  'b.weight': ['b', SECOND],
} as const;
type Parameter = keyof typeof PARAMETERS;

/** `weight_orig` and `weight_mask` of each: the zeros before masking, and those of the mask. */
const identity = (
  zeros: Partial<Record<Parameter, readonly number[]>>,
  masked: Partial<Record<Parameter, readonly number[]>> = {},
) =>
  Object.fromEntries(
    Object.entries(PARAMETERS).flatMap(([key, [name, dims]]) => [
      [`${key}_orig`, holed(name, dims, zeros[key as Parameter] ?? [])],
      [`${key}_mask`, mask(dims, masked[key as Parameter] ?? [])],
    ]),
  );

describe('zeros of a parameter before masking', () => {
  test('of a bias and of a vector, beside masks of ones', async () => {
    const bound = bind(
      await two(),
      identity({ 'a.bias': [1, 2], 'n.weight': [0] }, { 'a.weight': [0], 'a.bias': [3] }),
    );
    expect(pruned(bound)).toMatchObject({ 'a.weight': [0], 'a.bias': [1, 2, 3], 'n.weight': [0], 'b.weight': [] });
    expect(bound.fates).toContainEqual({ key: 'a.bias_orig', fate: 'zeros' });
    expect(bound.fates).toContainEqual({ key: 'a.weight_orig', fate: 'original' });
  });

  test('of weights and vectors that are nothing but zeros', async () => {
    const all = Array.from({ length: 16 }, (_, at) => at);
    const bound = bind(await two(), identity({ 'b.weight': all, 'a.bias': [0, 1, 2, 3], 'n.weight': [0, 1, 2, 3] }));
    expect(pruned(bound)).toMatchObject({ 'b.weight': all, 'a.bias': [0, 1, 2, 3], 'n.weight': [0, 1, 2, 3] });
  });

  test('of weights beside masks that are kept apart', async () => {
    const contents = {
      state_dict: {
        'a.weight': holed('a', FIRST, [5]),
        'a.bias': holed('bias', [4], [2]),
        'b.weight': holed('b', SECOND, []),
      },
      mask_dict: { 'a.weight': mask(FIRST, []), 'a.bias': mask([4], []), 'b.weight': mask(SECOND, [0]) },
    };
    expect(pruned(bind(await two(), contents))).toEqual({ 'a.weight': [5], 'a.bias': [2], 'b.weight': [0] });
  });

  test('are lost by name where the parameter has other values in the model', async () => {
    const slots = await two();
    const contents = { ...identity({}), 'a.bias_orig': holed('other', [4], [1]) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toContain('a.bias_orig [4]');
    expect(bind(slots, contents, { map: { 'a.bias_orig': null } }).unmatched).toEqual(['a.bias_orig']);
    expect(bind(slots, contents, { allowUnmatched: true }).unmatched).toEqual(['a.bias_orig']);
  });

  test('are no loss where the mask takes them as well, whatever the other values are', async () => {
    const contents = { ...identity({}, { 'a.bias': [1] }), 'a.bias_orig': holed('other', [4], [1]) };
    expect(pruned(bind(await two(), contents))).toMatchObject({ 'a.bias': [1] });
  });

  test('count where a mask is called as its module is, and the weight as it is', async () => {
    const contents = { a: mask([4], [0]), 'a.weight': holed('a', FIRST, [5]) };
    expect(pruned(bind(await two(), contents))).toEqual({ 'a.weight': [0, 1, 2, 5] });
  });
});

test('a bias of zeros is not absent where the node behind a product adds another', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 2, 3]);
  g.initializer('w', [3, 4], values('a', 12));
  g.initializer('onnx::Add_1', [4], values('bias', 4));
  const product = g.op('MatMul', [x, 'w'], {}, { name: '/a/MatMul' });
  g.output(g.op('Add', ['onnx::Add_1', product], {}, { name: '/a/Add' }));
  const slots = await slotsOf(g);
  const turned = Array.from(values('a', 12), (_, at) => values('a', 12)[(at % 3) * 4 + Math.floor(at / 3)] ?? 0);
  const contents = { 'a.weight': tensor([4, 3], turned), 'a.bias': tensor([4], [0, 0, 0, 0]) };
  expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
});

test('a mean of zeros whose variance the file has not is no mean that was never trained', async () => {
  const slots = await two();
  const contents = { ...identity({}), 'gone.running_mean': tensor([5], [0, 0, 0, 0, 0]) };
  expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
  const variance = { 'gone.running_var': tensor([5], [1, 1, 1, 1, 1]) };
  expect(bind(slots, { ...contents, ...variance }).fates).toContainEqual({
    key: 'gone.running_mean',
    fate: 'state',
    what: 'running-statistic',
  });
});

describe('beside them', () => {
  const SQUARE = [4, 4] as const;

  /** relu(x W) s, with bare parameters. */
  async function bare() {
    const g = graphBuilder();
    const x = g.input('x', [1, 4]);
    g.initializer('W', SQUARE, values('W', 16));
    g.initializer('s', [1], [0.25]);
    g.output(g.op('Mul', [g.relu(g.op('MatMul', [x, 'W'])), 's']));
    return slotsOf(g);
  }
  const orig = () => ({ W_orig: tensor(SQUARE, values('W', 16)), W_mask: mask(SQUARE, [5]) });

  test('a bare parameter that has no mask is no mask', async () => {
    const slots = await bare();
    const { fates, ...bound } = bind(slots, { ...orig(), s: tensor([1], [0.25]) });
    expect(pruned({ fates, ...bound })).toEqual({ W: [5] });
    expect(fates).toContainEqual({ key: 's', fate: 'parameter' });
    // Trained on, or pruned.
    expect(bind(slots, { ...orig(), s: tensor([1], [0.3]) }).fates).toContainEqual({ key: 's', fate: 'differs' });
    expect(pruned(bind(slots, { ...orig(), s: tensor([1], [0]) }))).toEqual({ W: [5], s: [0] });
  });
});

describe('factors that the graph computes a weight with', () => {
  const [ROWS, COLUMNS] = [6, 4];
  const [G, V] = ['c.parametrizations.weight.original0', 'c.parametrizations.weight.original1'];
  const gains = values('gains', ROWS).map((value) => 2 + Math.abs(value));
  const row = (at: number) => [0, 1, 2, 3].map((column) => at * COLUMNS + column);

  /** g v / |v|, as torch.nn.utils.parametrizations.weight_norm has it. */
  async function normed() {
    const g = graphBuilder();
    const x = g.input('x', [1, COLUMNS]);
    g.initializer(G, [ROWS, 1], gains);
    g.initializer(V, [ROWS, COLUMNS], values('v', ROWS * COLUMNS));
    const length = g.op('ReduceL2', [V], { axes: [1], keepdims: 1 }, { name: '/c/ReduceL2' });
    const scale = g.op('Div', [G, length], {}, { name: '/c/Div' });
    const weight = g.op('Mul', [V, scale], {}, { name: '/c/Mul' });
    g.output(g.op('Gemm', [x, weight], { transB: 1 }, { name: '/c/Gemm' }));
    return slotsOf(g);
  }
  const state = (g: ArrayLike<number>) => ({
    [G]: tensor([ROWS, 1], g),
    [V]: tensor([ROWS, COLUMNS], values('v', ROWS * COLUMNS)),
  });
  const without = (...at: number[]) => gains.map((value, index) => (at.includes(index) ? 0 : value));

  test('zeros of them prune what they are for, as their mask does', async () => {
    const slots = await normed();
    const zeros = bind(slots, state(without(1, 4)));
    expect(Object.values(pruned(zeros))).toEqual([[...row(1), ...row(4)]]);
    const masks = bind(slots, { [`${G}_mask`]: mask([ROWS, 1], [1, 4]) });
    expect(pruned(masks)).toEqual(pruned(zeros));
    expect(zeros.fates).toContainEqual({ key: G, fate: 'zeros' });
  });

  test('of another training run they are lost, and without a zero they differ', async () => {
    const slots = await normed();
    const other = without(1).map((value) => value * 1.5);
    expect(codeOf(() => bind(slots, state(other)))).toBe('E-MASK-LOST');
    const contents = state(gains.map((value) => value * 1.5));
    expect(bind(slots, { ...contents, [`${V}_mask`]: mask([ROWS, COLUMNS], [1]) }).fates).toContainEqual({
      key: G,
      fate: 'differs',
    });
  });
});
