/**
 * Lists of numbers in a checkpoint: those that are masks, or indices of what was pruned, are read
 * or named.
 */
import { describe, expect, test } from 'vitest';
import { bind, codeOf, DIMS, mask, messageOf, named, OUT, pruned, tensor, values } from './bound-masks.js';

const weights = () => ({
  'conv1.weight': tensor(DIMS, values('conv1')),
  'conv1.bias': tensor([OUT], values('bias', OUT)),
  'conv2.weight': tensor([6, OUT, 1, 1], values('conv2', 24)),
});
const masked = () => ({ ...weights(), 'conv2.weight_mask': mask([6, OUT, 1, 1], [0]) });
const FILTER = Array.from({ length: 27 }, (_, at) => at);

describe('lists of numbers', () => {
  test.each([
    ['in a container of masks beside weights', { state_dict: masked(), masks: { conv1: [0, 1, 1, 1] } }],
    ['of booleans', { state_dict: masked(), mask_dict: { conv1: [false, true, true, true] } }],
    ['under the key of a mask', { ...masked(), 'conv1.weight_mask': [0, 1, 1, 1] }],
    ['under the name of a module', { ...masked(), conv1: [0, 1, 1, 1] }],
    ['beside tensors', { masks: { conv2: mask([6, OUT, 1, 1], [0]), conv1: [0, 1, 1, 1] } }],
  ])('are masks: %s', async (_, contents) => {
    expect(pruned(bind(await named(), contents))).toEqual({ 'conv1.weight': FILTER, 'conv2.weight': [0] });
  });

  test('alone in a container are all the masks of a file', async () => {
    expect(pruned(bind(await named(), { masks: { conv1: [0, 1, 1, 1] } }))).toEqual({ 'conv1.weight': FILTER });
  });

  test.each([
    ['pruned.conv1', { state_dict: masked(), pruned: { conv1: [1, 3] } }],
    ['pruned.conv1', { state_dict: masked(), pruned: { conv1: [1, 300] } }],
    ['conv1.channels', { ...masked(), 'conv1.channels': [1, 3] }],
    ['kept.conv1', { state_dict: masked(), kept: { conv1: [0, 1, 2, 3] } }],
    ['callbacks.masks.conv1', { state_dict: masked(), callbacks: { masks: { conv1: [0, 1, 1, 1] } } }],
  ])('that say what was pruned are lost by name: %s', async (key, contents) => {
    const slots = await named();
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toContain(key);
    expect(bind(slots, contents, { map: { [key]: null } }).unmatched).toEqual([key]);
  });

  test.each([
    ['texts', ['a', 'b']],
    ['of unequal lengths', [[1, 0], [1]]],
    ['a text', '2:4'],
  ])('what is under the key of a mask and is none is an error: %s', async (_, value) => {
    const slots = await named();
    const contents = { ...masked(), 'conv1.weight_mask': value };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-FORMAT');
    expect(messageOf(() => bind(slots, contents))).toContain('conv1.weight_mask');
  });

  test('a mask that is one number is no mask of a layer', async () => {
    const slots = await named();
    expect(codeOf(() => bind(slots, { ...masked(), 'conv1.weight_mask': 0 }))).toBe('E-MASK-SHAPE');
    expect(codeOf(() => bind(slots, { state_dict: masked(), mask_dict: { conv1: false, a: mask([1], []) } }))).toBe(
      'E-MASK-SHAPE',
    );
    expect(pruned(bind(slots, { ...masked(), 'conv1.weight_mask': 1 }))).toEqual({ 'conv2.weight': [0] });
  });

  test('histories, settings and shapes stay what they are', async () => {
    const contents = {
      state_dict: masked(),
      losses: [3, 2, 1, 0],
      milestones: [30, 60],
      args: { kept_epochs: [0, 1], widths: [16, 32] },
      param_shapes: { 'conv1.weight': [4, 3, 3, 3] },
      pruned: null,
      names: ['a', 'b'],
    };
    expect(pruned(bind(await named(), contents))).toEqual({ 'conv2.weight': [0] });
  });
});

test('a pruning history says all, and masks beside it are a second word', async () => {
  const slots = await named();
  const history = { pruning_history: [['conv1', true, [0]]], model: weights() };
  expect(pruned(bind(slots, history))).toEqual({ 'conv1.weight': FILTER });
  for (const beside of [masked(), { masks: { conv2: [0, 1, 1, 1, 1, 1] } }])
    expect(codeOf(() => bind(slots, { ...history, ...beside }))).toBe('E-MASK-AMBIGUOUS');
});
