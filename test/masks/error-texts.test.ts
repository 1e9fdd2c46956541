/** What errors about mask files say is wrong, and that what they suggest helps. */
import { describe, expect, test } from 'vitest';
import { INT64, Tensor, UINT8 } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, DIMS, IN, mask, messageOf, named, OUT, pruned, tensor, values } from './bound-masks.js';

const weights = () => ({
  'conv1.weight': tensor(DIMS, values('conv1')),
  'conv1.bias': tensor([OUT], values('bias', OUT)),
  'conv2.weight': tensor([6, OUT, 1, 1], values('conv2', 24)),
});
const bytes = (elements: readonly number[]) =>
  FileTensor.contiguous(UINT8, [elements.length], () => Uint8Array.from(elements));

describe('values that no mask has', () => {
  test.each<[string, FileTensor, RegExp]>([
    ['255', bytes([255, 0, 255, 255]), /mask conv1\.weight_mask .*other than 0 and 1[^]*value: 255[^]*mask != 0/],
    ['-1', tensor([OUT], [1, -1, 0, 0.5]), /mask conv1\.weight_mask .*other than 0 and 1[^]*value: -1[^]*mask != 0/],
    ['infinity', tensor([OUT], [1, 0, Infinity, 1]), /mask conv1\.weight_mask .*NaN or infinity/],
    ['NaN', tensor([OUT], [1, 0, 0.5, Number.NaN]), /mask conv1\.weight_mask .*NaN or infinity[^]*value: NaN/],
    ['shares', tensor([OUT], [1, 0.5, 0, 1]), /mask conv1\.weight_mask .*other than 0 and 1[^]*--mask-soft multiply/],
  ])('%s', async (_, odd, text) => {
    const slots = await named();
    expect(messageOf(() => bind(slots, { 'conv1.weight_mask': odd }))).toMatch(text);
    expect(messageOf(() => bind(slots, { 'conv1.weight_mask': odd }))).not.toContain('training run');
  });

  test('weights of another training run are called so', async () => {
    const slots = await named();
    expect(messageOf(() => bind(slots, { 'conv1.weight': tensor(DIMS, values('other')) }))).toContain('training run');
  });

  test("weights with zeros that are not the model's are no masks", async () => {
    const slots = await named();
    const zeros = values('other').map((value, at) => (at < 27 ? 0 : value));
    for (const contents of [
      { ...weights(), 'conv1.weight': tensor(DIMS, zeros) },
      { 'conv1.weight': tensor(DIMS, zeros) },
    ]) {
      const said = messageOf(() => bind(slots, contents));
      expect(said).not.toMatch(/the mask conv1/);
      expect(said).toMatch(/conv1\.weight/);
    }
    expect(codeOf(() => bind(slots, { ...weights(), 'conv1.weight': tensor(DIMS, zeros) }))).toBe('E-MASK-LOST');
  });

  test('zeros and ones under the name of a weight, beside a mask by its name', async () => {
    const slots = await named();
    const bits = mask([6, OUT, 1, 1], [1]);
    const contents = { conv1: { weight_mask: mask(DIMS, [0]) }, conv2: { weight: bits } };
    expect(messageOf(() => bind(slots, contents))).toMatch(/zeros and ones under a weight's own name/);
    const bound = bind(slots, contents, { map: { 'conv2.weight': 'conv2.weight' } });
    expect(pruned(bound)).toEqual({ 'conv1.weight': [0], 'conv2.weight': [1] });
  });

  test('NaN in a pruned weight is what is wrong', async () => {
    const slots = await named();
    const odd = values('conv1').map((value, at) => (at < 27 ? 0 : at === 30 ? Number.NaN : value));
    const said = messageOf(() => bind(slots, { ...weights(), 'conv1.weight': tensor(DIMS, odd) }));
    expect(said).toMatch(/tensor conv1\.weight .*NaN or infinity[^]*value: NaN/);
  });
});

describe('suggestions', () => {
  test('a list of dictionaries is mapped with all its names', async () => {
    const slots = await named();
    const masks = [{ conv1: mask(DIMS, [0]) }, { conv2: mask([6, OUT, 1, 1], [1]) }];
    const said = messageOf(() => bind(slots, { masks }));
    const map = JSON.parse(/--mask-map FILE with (\{.*\})/.exec(said)?.[1] ?? '') as Record<string, string>;
    expect(map).toEqual({ 'masks[0].conv1': 'conv1.weight', 'masks[1].conv2': 'conv2.weight' });
    expect(pruned(bind(slots, { masks }, { map }))).toEqual({ 'conv1.weight': [0], 'conv2.weight': [1] });
  });

  test('of two sets one is saved alone', async () => {
    const slots = await named();
    const set = { ...weights(), 'conv1.weight_mask': mask(DIMS, [0]) };
    const other = { ...weights(), 'conv1.weight_mask': mask(DIMS, [1]) };
    const contents = { state_dict: set, ema_state_dict: other };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-AMBIGUOUS');
    expect(messageOf(() => bind(slots, contents))).toContain(
      'torch.save(torch.load("masks.pth")["state_dict"], "one.pth")',
    );
    expect(pruned(bind(slots, contents.state_dict))).toEqual({ 'conv1.weight': [0] });
  });

  test('lists of indices are said in JSON, and left out here', async () => {
    const slots = await named();
    const kept = FileTensor.contiguous(INT64, [IN], () => Tensor.fromNumbers(INT64, [IN], [1, 2, 3]).bytes());
    for (const inside of [kept, [1, 2, 3]]) {
      const contents = { ...weights(), 'conv2.weight_mask': mask([6, OUT, 1, 1], [0]), 'conv1.kept': inside };
      expect(messageOf(() => bind(slots, contents))).toContain('{ "LAYER": { "keep": [0, 3] } }');
      expect(pruned(bind(slots, contents, { map: { 'conv1.kept': null } }))).toEqual({ 'conv2.weight': [0] });
    }
    expect(pruned(bind(slots, { conv1: { keep: [1, 2, 3] } }, { format: 'JSON' }))['conv1.weight']).toHaveLength(27);
  });
});
