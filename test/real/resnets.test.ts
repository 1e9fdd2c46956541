/**
 * ResNets as both exporters write them: normalisation kept and folded, pruning hooks active and
 * removed, unoptimised graphs, initializers as inputs, opsets 9 to 20.
 */
import { describe, expect, test } from 'vitest';
import { answerKey, loadRealModel, realModelNames } from '../support/real-models.js';
import { checkMasks } from './compile-checked.js';

const names = realModelNames(/^(s_resnet(18|20|10\.plain)|resnet18)/);

test('the answer key is found', () => {
  const keyed = names.filter((name) => answerKey(name, 'all') !== undefined);
  expect(keyed).toEqual(['resnet18.dynamo', 'resnet18.legacy', 'resnet18.legacy_bn', 's_resnet18.plain.legacy']);
});

describe('skeletons', () => {
  test.each(names)('%s', async (name) => checkMasks(name, await loadRealModel(name)));
});
