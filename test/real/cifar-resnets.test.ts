/** CIFAR ResNets: as both exporters write them, and two that were trained. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { answerKey, loadRealModel, REAL_FILES, realModelNames } from '../support/real-models.js';
import { checkMasks } from './compile-checked.js';

const names = realModelNames(/^cifar_resnet(18|20|56)/);
const trained = ['resnet20_bn_op13', 'resnet20_folded_op13'];

test('the answer key is found', () => {
  expect(names.filter((name) => answerKey(name, 'all') !== undefined)).toEqual(['cifar_resnet20b.legacy']);
});

describe('skeletons', () => {
  test.each(names)('%s', async (name) => checkMasks(name, await loadRealModel(name)));
});

describe('trained', () => {
  test.each(trained)('%s', async (name) => checkMasks(name, readFileSync(`${REAL_FILES}/models/cifar/${name}.onnx`)));
});
