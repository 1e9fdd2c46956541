/** Checkpoints with a network more than once: trained weights and their average, student and teacher. */
import { describe, expect, test } from 'vitest';
import { bind, codeOf, DIMS, mask, messageOf, named, pruned, tensor, values } from './bound-masks.js';

const conv1 = [...values('conv1')];
const conv2 = [...values('conv2', 24)];
const zeroed = (numbers: readonly number[], from: number, to: number) =>
  numbers.map((value, at) => (at >= from && at < to ? 0 : value));
const network = (first: readonly number[], prefix = '') => ({
  [`${prefix}conv1.weight`]: tensor(DIMS, first),
  [`${prefix}conv2.weight`]: tensor([6, 4, 1, 1], conv2),
});
/** Of another step of the training: no weight is the model's. */
const averaged = (first: readonly number[], prefix = '') => ({
  [`${prefix}conv1.weight`]: tensor(
    DIMS,
    first.map((value, at) => value * (1 + 0.1 * Math.sin(at))),
  ),
  [`${prefix}conv2.weight`]: tensor(
    [6, 4, 1, 1],
    conv2.map((value, at) => value * (1 + 0.1 * Math.cos(at))),
  ),
});

const dense = conv1;
const zeros = zeroed(conv1, 0, 27);
const PRUNED = { 'conv1.weight': Array.from({ length: 27 }, (_, at) => at) };

describe('sets with the same zeros, or none beside those of the set that the model has', () => {
  test.each([
    ['model and ema', { model: network(zeros), ema: network(zeros) }],
    ['with a prefix of a wrapper', { model: network(zeros, 'module.'), ema: network(zeros, 'module.') }],
    ['timm', { epoch: 3, state_dict: network(zeros), state_dict_ema: network(zeros) }],
    ['student and teacher', { net: network(zeros), teacher: network(zeros) }],
    ['in one dictionary', { ...network(zeros), ...network(zeros, 'ema_model.') }],
    ['beside a dictionary', { ...network(zeros), shadow: network(zeros) }],
    ['the second is the model', { model: averaged(zeros), ema: network(zeros) }],
    ['the first is the model', { model: network(zeros), ema: averaged(zeros) }],
    ['the other has none', { state_dict: averaged(dense), state_dict_ema: network(zeros) }],
    ['masks', { model: { 'conv1.weight_mask': mask([4], [0]) }, ema: { 'conv1.weight_mask': mask([4], [0]) } }],
  ])('%s', async (_, contents) => {
    const bound = bind(await named(), contents);
    expect(pruned(bound)).toEqual(PRUNED);
    expect(bound.fates.some(({ fate }) => fate === 'other-set')).toBe(true);
  });
});

describe('sets of which nothing says which is meant', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['zeros in the second', { model: network(dense), ema: network(zeros) }],
    ['zeros in the first', { model: network(zeros), ema: network(dense) }],
    ['other zeros', { state_dict: network(zeros), state_dict_ema: network(zeroed(conv1, 27, 54)) }],
    ['zeros in the set that the model is not', { model: averaged(zeros), ema: network(dense) }],
    ['zeros in one dictionary', { ...network(dense), ...network(zeros, 'ema_model.') }],
    ['other masks', { net: { 'conv1.weight_mask': mask([4], [0]) }, ema: { 'conv1.weight_mask': mask([4], [1]) } }],
  ];
  test.each(cases)('%s', async (_, contents) => {
    const slots = await named();
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-AMBIGUOUS');
    expect(messageOf(() => bind(slots, contents))).toContain('--mask-prefix');
  });

  test('--mask-prefix names the set', async () => {
    const slots = await named();
    const contents = { state_dict: network(dense), state_dict_ema: network(zeros, 'module.') };
    const bound = bind(slots, contents, { prefix: 'state_dict_ema.' });
    expect(pruned(bound)).toEqual(PRUNED);
    expect(bound.fates.filter(({ fate }) => fate === 'left-out')).toHaveLength(2);
    const flat = { ...network(dense), ...network(zeros, 'ema_model.') };
    expect(pruned(bind(slots, flat, { prefix: 'ema_model.' }))).toEqual(PRUNED);
    const model = { model: network(zeros), ema: network(dense) };
    expect(pruned(bind(slots, model, { prefix: 'model.' }))).toEqual(PRUNED);
  });
});

test('modules of the model that are alike are no sets', async () => {
  const slots = [...(await named('left.')), ...(await named('right.'))];
  const contents = { ...network(zeros, 'left.'), ...network(dense, 'right.') };
  expect(Object.keys(pruned(bind(slots, contents)))).toEqual(['left.conv1.weight']);
});
