/** ResNets whose image size is free, at sizes that are even, oblong and odd. */
import { expect, test } from 'vitest';
import { freeImageSize, loadRealModel, realModelNames } from '../support/real-models.js';
import { compileChecked, expectEqual, masked, removedChannels } from './compile-checked.js';

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
