/**
 * The first 100 test images of CIFAR-10 from fixtures/real, as networks trained by ImageNet's means
 * see them.
 */
import { readFileSync } from 'node:fs';
import type { Images } from './raw-network.js';
import { REAL_FILES } from './real-models.js';

const PIXELS = 3 * 32 * 32;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

export interface Photographs {
  readonly images: Images;
  readonly labels: readonly number[];
}

export function photographs(): Photographs {
  const bytes = readFileSync(`${REAL_FILES}/images/cifar10_eran_100.bin`);
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
  return { images: { values, dims: [count, 3, 32, 32] }, labels };
}

/** The class of the largest score, for each image. */
export function predictions(scores: Float32Array, images: number): number[] {
  const classes = scores.length / images;
  return Array.from({ length: images }, (_, image) => {
    const own = scores.subarray(classes * image, classes * (image + 1));
    return own.indexOf(Math.max(...own));
  });
}

export function rightAnswers(scores: Float32Array, { labels }: Photographs): number {
  return predictions(scores, labels.length).filter((found, image) => found === labels[image]).length;
}
