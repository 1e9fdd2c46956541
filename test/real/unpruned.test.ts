/**
 * A model that nobody pruned comes out as it went in, byte for byte, and is told that there was
 * nothing to do.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { REAL_FILES, loadRealModel, realModelNames } from '../support/real-models.js';
import { compileChecked } from './compile-checked.js';

/**
 * Weights of more than 100 MB take too long to make up; ResNets of that size are among the large
 * models.
 */
const skeletons = realModelNames(/./).filter(
  (name) =>
    !/^(vgg|wide|alexnet|vit_b|swin|fcn_resnet50\.dynamo|convnext|cspdark|xception|resnext|keras|resnet50\.dynamo)|\.(ln0|ln1|rand)_/.test(
      name,
    ),
);
const files = ['cifar', 'faces', 'misc'].flatMap((folder) =>
  readdirSync(`${REAL_FILES}/models/${folder}`).map((file) => `${REAL_FILES}/models/${folder}/${file}`),
);

async function expectUntouched(bytes: Uint8Array): Promise<void> {
  const { compiled } = await compileChecked(bytes, {});
  const { report } = compiled;
  expect(report.changed).toBe(false);
  expect(report.edits).toEqual([]);
  expect(report.remarks.filter(({ kind }) => kind === 'applied')).toEqual([]);
  expect(report.after).toEqual(report.before);
}

describe('unpruned models', () => {
  test.each(skeletons)('%s', async (name) => expectUntouched(await loadRealModel(name)));
  test.each(files.map((path) => ({ path, name: path.slice(REAL_FILES.length) })))('$name', ({ path }) =>
    expectUntouched(readFileSync(path)),
  );
});
