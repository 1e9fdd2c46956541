/**
 * Full-size ResNets, WideResNet and VGG. All masks are compiled, twice, and counted; running such
 * networks takes seconds, so each is run with one input and the two masks that say most: all
 * filters dropped, inner filters zeroed.
 */
import { describe, expect, test } from 'vitest';
import { freeImageSize, loadRealModel, realModelNames } from '../support/real-models.js';
import { compileChecked, expectEqual, masked, MASKS, removedChannels, shortOfKey } from './compile-checked.js';

describe('skeletons', () => {
  const names = realModelNames(/^(resnet50|cifar_resnet50|wide_resnet50_2|resnext50|vgg16_bn|fcn_resnet50)/);
  test.each(names)('%s', async (name) => {
    const plain = await loadRealModel(name);
    for (const mask of MASKS) {
      const input = await masked(plain, mask);
      const { compiled, bytes } = await compileChecked(input, { align: 1 });
      expect(shortOfKey(name, mask, input, compiled)).toEqual([]);
      expect(removedChannels(compiled)).toBeGreaterThan(0);
      if (mask === 'all drop') await expectEqual(input, bytes, { seeds: [1] });
      if (mask !== 'inner zero') continue;
      const fastest = await compileChecked(input, {});
      await expectEqual(input, fastest.bytes, { seeds: [1] });
    }
  });

  test('ResNet-50, every filter zeroed, at two sizes', async () => {
    const input = await masked(freeImageSize(await loadRealModel('resnet50.legacy')), 'all zero');
    const { compiled, bytes } = await compileChecked(input, { align: 1 });
    expect(removedChannels(compiled)).toBeGreaterThanOrEqual(4472);
    await expectEqual(input, bytes, { seeds: [1] });
  });
});
