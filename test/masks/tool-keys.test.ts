/** Masks as other tools than torch.nn.utils.prune name them, beside the weights that they save. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor, values } from './bound-masks.js';

const DIMS = [4, 3, 1, 1] as const;
const weight = () => tensor(DIMS, values('c', 12));

async function network() {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 6, 6]);
  g.initializer('c.weight', DIMS, values('c', 12));
  g.initializer('c.bias', [4], values('b', 4));
  g.initializer('n.weight', [4], [1, 2, 3, 4]);
  g.initializer('n.bias', [4], [4, 3, 2, 1]);
  g.initializer('n.running_mean', [4], [1, 1, 1, 1]);
  g.initializer('n.running_var', [4], [1, 1, 1, 1]);
  const y = g.op('Conv', [x, 'c.weight', 'c.bias']);
  g.output(g.op('BatchNormalization', [y, 'n.weight', 'n.bias', 'n.running_mean', 'n.running_var']));
  return slotsOf(g);
}

const beside = { 'c.weight': weight(), 'c.bias': tensor([4], values('b', 4)) };
const both = { 'c.weight': [3, 4, 5], 'c.bias': [1] };

test.each([
  [
    'NNCF, filters: weight and bias, as its layers apply them',
    { 'c.pre_ops.0.op._binary_filter_pruning_mask': mask([4], [1]) },
    both,
  ],
  ['NNCF, wrapped', { 'nncf_module.c.pre_ops.1.op._binary_filter_pruning_mask': mask([4], [1]) }, both],
  ['NNCF, sparsity', { 'c.pre_ops.0.op._binary_mask': mask(DIMS, [7]) }, { 'c.weight': [7] }],
  ['apex ASP', { 'c.__weight_mma_mask': mask(DIMS, [0, 2]) }, { 'c.weight': [0, 2] }],
])('%s', async (_, masks, expected) => {
  const slots = await network();
  expect(pruned(bind(slots, { ...beside, ...masks }))).toEqual(expected);
  // Alone as well: a bias is masked where the file says that the layer has one.
  expect(Object.keys(pruned(bind(slots, masks)))).toContain('c.weight');
});

test('torch.ao, parametrisations', async () => {
  const contents = {
    'c.parametrizations.weight.original': weight(),
    'c.parametrizations.weight.0.mask': mask(DIMS, [4]),
    'c.bias': tensor([4], values('b', 4)),
  };
  const { bindings, fates } = bind(await network(), contents);
  expect(bindings.map(({ values: sameness }) => sameness)).toEqual(['same']);
  expect(fates.map(({ fate }) => fate)).toEqual(['original', 'parameter', 'mask']);
});

test('apex ASP keeps the values that a mask took: state where the mask says the same, and else lost', async () => {
  const slots = await network();
  const keep = mask(DIMS, [0, 2]);
  const taken = (...at: number[]) =>
    tensor(
      DIMS,
      values('c', 12).map((value, index) => (at.includes(index) ? value : 0)),
    );
  const contents = { ...beside, 'c.__weight_mma_mask': keep, 'c.__weight_mma_pruned_p': taken(0, 2) };
  const bound = bind(slots, contents);
  expect(pruned(bound)).toEqual({ 'c.weight': [0, 2] });
  expect(bound.fates).toContainEqual({ key: 'c.__weight_mma_pruned_p', fate: 'state', what: 'pruned-values' });
  expect(codeOf(() => bind(slots, { ...contents, 'c.__weight_mma_pruned_p': taken(0, 3) }))).toBe('E-MASK-LOST');
  const { 'c.__weight_mma_mask': _, ...alone } = contents;
  expect(codeOf(() => bind(slots, alone))).not.toBe('no error');
});

describe('torch.ao, the state of a sparsifier', () => {
  const sparsifier = (zeros: readonly number[]) => ({
    state: { 'c.weight': { mask: mask(DIMS, zeros) } },
    groups: [{ sparsity_level: 0.5, tensor_fqn: 'c.weight' }],
  });
  const parametrised = {
    'c.parametrizations.weight.original': weight(),
    'c.parametrizations.weight.0.mask': mask(DIMS, [4]),
    'c.bias': tensor([4], values('b', 4)),
  };

  test.each([
    ['beside the masks of the modules', { model: parametrised, sparsifier: sparsifier([4]) }],
    ['beside dense weights', { state_dict: beside, sparsifier: sparsifier([4]), epoch: 3 }],
    ['in one dictionary with them', { ...parametrised, sparsifier: sparsifier([4]) }],
    ['alone', sparsifier([4])],
  ])('%s', async (_, contents) => {
    const bound = bind(await network(), contents);
    expect(pruned(bound)).toEqual({ 'c.weight': [4] });
  });

  test('that has another mask than the module is refused', async () => {
    const slots = await network();
    expect(codeOf(() => bind(slots, { model: parametrised, sparsifier: sparsifier([5]) }))).toBe('E-MASK-AMBIGUOUS');
    expect(messageOf(() => bind(slots, { model: parametrised, sparsifier: sparsifier([5]) }))).toContain(
      'c.weight.mask',
    );
  });
});

describe('one mask per BatchNormalization (maskbndict)', () => {
  test('is for its scale and its shift', async () => {
    const contents = { model: { ...beside }, maskbndict: { n: mask([4], [2]) } };
    expect(pruned(bind(await network(), contents))).toEqual({ 'n.weight': [2], 'n.bias': [2] });
  });

  test('is refused where the model has not got the normalisation, and nothing says where it went', async () => {
    const contents = { maskbndict: { other: mask([4], [2]) } };
    expect(codeOf(() => bind([], contents))).toBe('E-MASK-NO-MATCH');
  });
});

describe('running statistics are parameters of the function', () => {
  const statistics = (zeros: Readonly<Record<string, readonly number[]>> = {}) => ({
    ...beside,
    'n.weight': tensor([4], [1, 2, 3, 4]),
    'n.bias': tensor([4], [4, 3, 2, 1]),
    'n.running_mean': tensor([4], zeros['n.running_mean'] ?? [1, 1, 1, 1]),
    'n.running_var': tensor([4], zeros['n.running_var'] ?? [1, 1, 1, 1]),
    'n.num_batches_tracked': tensor([], [0]),
  });

  test.each(['n.running_var', 'n.running_mean'])('zeros of %s that the model has not are bound', async (key) => {
    const bound = bind(await network(), statistics({ [key]: [1, 0, 1, 1] }));
    expect(pruned(bound)).toEqual({ [key]: [1] });
    expect(bound.fates).toContainEqual({ key, fate: 'zeros' });
  });

  test.each([
    ['apart from the weights', { state_dict: statistics(), mask_dict: { 'n.running_mean': mask([4], [2]) } }],
    ['beside them', { ...statistics(), 'n.running_mean_mask': mask([4], [2]) }],
    ['in words', { 'n.running_mean': { remove: [2] } }, 'JSON'],
  ])('a mask of one, %s', async (_, contents, format = 'PyTorch (zip)') => {
    expect(pruned(bind(await network(), contents, { format }))).toEqual({ 'n.running_mean': [2] });
  });

  test('masks without a zero prune nothing, and counters are no parameters', async () => {
    const masks = {
      'c.weight': mask(DIMS, [0]),
      'n.running_var': mask([4], []),
      'n.num_batches_tracked': mask([], []),
    };
    const bound = bind(await network(), { state_dict: statistics(), mask_dict: masks });
    expect(pruned(bound)).toEqual({ 'c.weight': [0] });
    expect(bound.fates).toContainEqual({ key: 'mask_dict.n.running_var', fate: 'no-zeros' });
  });

  test('of a normalisation that is nowhere in the model they are lost, by name', async () => {
    const slots = await network();
    const other = { 'gone.running_var': tensor([4], [1, 0, 1, 1]) };
    const contents = { ...statistics(), 'c.weight_mask': mask(DIMS, [0]), ...other };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    const mean = { 'gone.running_mean': tensor([4], [0, 0, 0, 0]), 'gone.running_var': tensor([4], [1, 2, 1, 1]) };
    expect(codeOf(() => bind(slots, { ...statistics(), 'c.weight_mask': mask(DIMS, [0]), ...mean }))).toBe(
      'E-MASK-LOST',
    );
  });
});
