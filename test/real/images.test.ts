/** Trained networks on photographs: a compiled model classifies them as the model it was made from, one by one. */
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { createSession } from '../../src/runtime/session.js';
import { DATA, hasData } from '../support/skeletons.js';
import { compileChecked, masked, MASKS } from './checks.js';

const PIXELS = 3 * 32 * 32;
/** Of ImageNet, which these networks were trained with. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

function readImages(): { images: ort.Tensor; labels: number[] } {
  const bytes = readFileSync(`${DATA}/images/cifar10_eran_100.bin`);
  const count = bytes.length / (1 + PIXELS);
  const values = new Float32Array(count * PIXELS);
  const labels: number[] = [];
  for (let image = 0; image < count; image++) {
    const start = image * (1 + PIXELS);
    labels.push(bytes[start] ?? 0);
    for (let pixel = 0; pixel < PIXELS; pixel++) {
      const channel = Math.floor(pixel / 1024);
      const brightness = (bytes[start + 1 + pixel] ?? 0) / 255;
      values[image * PIXELS + pixel] = (brightness - (MEAN[channel] ?? 0)) / (DEVIATION[channel] ?? 1);
    }
  }
  return { images: new ort.Tensor('float32', values, [count, 3, 32, 32]), labels };
}

async function classify(model: Uint8Array, images: ort.Tensor): Promise<number[]> {
  const session = await createSession(model, { threads: 2 });
  try {
    const results = await session.run({ [session.inputNames[0] ?? '']: images });
    const scores = results[session.outputNames[0] ?? '']?.data as Float32Array;
    return Array.from({ length: images.dims[0] ?? 0 }, (_, image) => {
      const own = scores.subarray(10 * image, 10 * (image + 1));
      return own.indexOf(Math.max(...own));
    });
  } finally {
    await session.release();
  }
}

const correct = (predictions: readonly number[], labels: readonly number[]) =>
  predictions.filter((prediction, image) => prediction === labels[image]).length;

describe.skipIf(!hasData)('100 CIFAR-10 images (../shared/data)', () => {
  test.each([
    ['cifar/resnet20_bn_op13', 94],
    ['cifar/resnet20_folded_op13', 94],
    ['cifar/resnet56_bn_op13', 96],
  ])('%s', async (name, score) => {
    const { images, labels } = readImages();
    const plain = readFileSync(`${DATA}/models/${name}.onnx`);
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

  test.each(['UNREMOVED', 'removed'])('conv1 filters pruned to 50 %%, %s', async (state) => {
    const { images, labels } = readImages();
    const input = readFileSync(`${DATA}/masks/torch-prune/resnet20_ln_structured_l1_50_conv1_${state}.onnx`);
    const expected = await classify(input, images);
    const { bytes } = await compileChecked(input, {});
    const found = await classify(bytes, images);
    expect(found).toEqual(expected);
    expect(correct(found, labels)).toBe(correct(expected, labels));
  });
});
