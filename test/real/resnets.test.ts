/**
 * ResNets and CIFAR ResNets as both exporters write them: normalisation kept and folded, pruning
 * hooks active and removed, unoptimised graphs, initializers as inputs, opsets 9 to 20. Every mask,
 * as small as it gets and as fast as it gets.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { answerKey, REAL_FILES, freeImageSize, loadRealModel, realModelNames } from '../support/real-models.js';
import { compileChecked, expectEqual, masked, MASKS, removedChannels, shortOfKey } from './compile-checked.js';

const small = realModelNames(/^(s_resnet(18|20|10\.plain)|cifar_resnet(18|20|56)|resnet18)/);
const cifar = ['resnet20_bn_op13', 'resnet20_folded_op13'];

async function checkMasks(name: string, plain: Uint8Array): Promise<void> {
  for (const mask of MASKS) {
    const input = await masked(plain, mask);
    const smallest = await compileChecked(input, { align: 1 });
    expect(shortOfKey(name, mask, input, smallest.compiled)).toEqual([]);
    await expectEqual(input, smallest.bytes, { seeds: [1] });
    const fastest = await compileChecked(input, {});
    await expectEqual(input, fastest.bytes, { seeds: [2] });
    expect(removedChannels(smallest.compiled)).toBeGreaterThan(0);
    expect(removedChannels(fastest.compiled)).toBeLessThanOrEqual(removedChannels(smallest.compiled));
  }
}

describe('skeletons', () => {
  test('the answer key is found', () => {
    const keyed = small.filter((name) => answerKey(name, 'all') !== undefined);
    expect(keyed).toEqual([
      'cifar_resnet20b.legacy',
      'resnet18.dynamo',
      'resnet18.legacy',
      'resnet18.legacy_bn',
      's_resnet18.plain.legacy',
    ]);
  });

  test.each(small)('%s', async (name) => checkMasks(name, await loadRealModel(name)));
});

describe('trained CIFAR ResNets', () => {
  test.each(cifar)('%s', async (name) => checkMasks(name, readFileSync(`${REAL_FILES}/models/cifar/${name}.onnx`)));
});

describe('at every image size', () => {
  const resizable = realModelNames(/^(s_resnet18\.(plain|ln0)|s_resnet10\.plain|resnet18\.(legacy|dynamo)$)/);
  test.each(resizable)('%s', async (name) => {
    const plain = freeImageSize(await loadRealModel(name));
    for (const mask of ['inner zero', 'all zero'] as const) {
      const input = await masked(plain, mask);
      const { bytes, compiled } = await compileChecked(input, { align: 1 });
      expect(removedChannels(compiled)).toBeGreaterThan(0);
      const [data = 'x'] = Object.keys(compiled.report.macsShape);
      for (const [height, width] of [
        [224, 224],
        [192, 160],
        [97, 131],
      ] as const)
        await expectEqual(input, bytes, { seeds: [1], shapes: { [data]: [1, 3, height, width] } });
    }
  });
});
