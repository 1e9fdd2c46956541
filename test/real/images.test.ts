/**
 * Trained networks on photographs: a compiled model classifies them as the model it was made from,
 * one by one.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { photographs, predictions } from '../support/photographs.js';
import { type Images, outputsOf } from '../support/raw-network.js';
import { REAL_FILES } from '../support/real-models.js';
import { compileChecked, masked, MASKS } from './compile-checked.js';

async function classify(model: Uint8Array, images: Images): Promise<number[]> {
  return predictions(await outputsOf(model, images), images.dims[0] ?? 0);
}

const correct = (found: readonly number[], labels: readonly number[]) =>
  found.filter((prediction, image) => prediction === labels[image]).length;

describe('100 CIFAR-10 images', () => {
  test.each([
    ['cifar/resnet20_bn_op13', 94],
    ['cifar/resnet20_folded_op13', 94],
  ])('%s', async (name, score) => {
    const { images, labels } = photographs();
    const plain = readFileSync(`${REAL_FILES}/models/${name}.onnx`);
    expect(correct(await classify(plain, images), labels)).toBe(score);
    const untouched = await compileChecked(plain, {});
    expect(correct(await classify(untouched.bytes, images), labels)).toBe(score);
    for (const mask of MASKS) {
      const input = await masked(plain, mask);
      const expected = await classify(input, images);
      for (const align of [1, 'auto'] as const) {
        const { bytes } = await compileChecked(input, { align });
        expect(await classify(bytes, images), `${mask}, align ${align}`).toEqual(expected);
      }
    }
  });

  test.each(['UNREMOVED', 'removed'])('half of the conv1 filters pruned, %s', async (state) => {
    const { images, labels } = photographs();
    const input = readFileSync(`${REAL_FILES}/masks/torch-prune/resnet20_ln_structured_l1_50_conv1_${state}.onnx`);
    const expected = await classify(input, images);
    const { bytes } = await compileChecked(input, {});
    const found = await classify(bytes, images);
    expect(found).toEqual(expected);
    expect(correct(found, labels)).toBe(correct(expected, labels));
  });
});
