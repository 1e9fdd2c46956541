/**
 * Networks that are no ResNets, and ResNets behind other tools: whatever goes or stays, the outputs
 * are equal. Those of the answer key must reach it; for the others nothing is promised here about
 * what goes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { REAL_FILES, loadRealModel, realModelNames } from '../support/real-models.js';
import { compileChecked, expectEqual, masked, type Mask, shortOfKey } from './compile-checked.js';

const HALF: readonly Mask[] = ['all drop', 'inner zero'];

async function check(name: string, plain: Uint8Array): Promise<void> {
  for (const mask of HALF) {
    const input = await masked(plain, mask);
    const { compiled, bytes } = await compileChecked(input, { align: 1 });
    expect(shortOfKey(name, mask, input, compiled)).toEqual([]);
    await expectEqual(input, bytes, { seeds: [1] });
  }
}

describe('skeletons', () => {
  const names = realModelNames(
    /^(s_mobilenet|s_resnet10\.(fp16|qdq|ort)|mobilenet_v2|mnasnet|squeezenet|shufflenet|ghostnet|efficientnet|densenet121\.legacy|keras_resnet50|resnest14d\.dynamo|unet)/,
  );
  test.each(names)('%s', async (name) => check(name, await loadRealModel(name)));
});

describe('models', () => {
  const files = ['faces', 'misc'].flatMap((folder) =>
    readdirSync(`${REAL_FILES}/models/${folder}`).map((file) => `${folder}/${file}`),
  );
  test.each(files)('%s', async (name) => check(name, readFileSync(`${REAL_FILES}/models/${name}`)));
});
