/**
 * The same pruned network exported before and after prune.remove: masks in the graph, or zeros in
 * the weights.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hasInitializer } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { REAL_FILES, loadRealModel } from '../support/real-models.js';
import { compileChecked, expectEqual } from './compile-checked.js';

const load = (state: string) =>
  readFileSync(`${REAL_FILES}/masks/torch-prune/resnet20_ln_structured_l1_50_conv1_${state}.onnx`);

/** Nodes without their constants' names, and every weight by name. */
function contents(bytes: Uint8Array) {
  const { graph } = readModel(bytes);
  return {
    nodes: graph.nodes.map(({ opType, name, attributes }) => ({ opType, name, attributes: attributes.size })),
    weights: Object.fromEntries(
      [...graph.values.values()]
        .filter(hasInitializer)
        .map(({ name, initializer }) => [
          name,
          [initializer.dims, Buffer.from(initializer.bytes()).toString('base64')],
        ]),
    ),
  };
}

describe('torch.nn.utils.prune', () => {
  test.each([1, 'auto'] as const)(
    'masks in the graph and zeros in the weights compile to the same, align %s',
    async (align) => {
      const [inGraph, inWeights] = [load('UNREMOVED'), load('removed')];
      const compiled = await compileChecked(inGraph, { align });
      const other = await compileChecked(inWeights, { align });
      expect(contents(compiled.bytes)).toEqual(contents(other.bytes));
      await expectEqual(inGraph, compiled.bytes);
      await expectEqual(inWeights, other.bytes);
      await expectEqual(inGraph, other.bytes);
    },
  );

  test.each(['ln0', 'ln1', 'rand'])('%s: hooks active and removed are the same network', async (pruning) => {
    const kept = [];
    for (const variant of ['hooks.legacy_nofold', 'hooks.legacy', 'removed.legacy', 'hooks.dynamo', 'removed.dynamo']) {
      const input = await loadRealModel(`s_resnet18.${pruning}_${variant}`);
      const { compiled, bytes } = await compileChecked(input, { align: 1 });
      await expectEqual(input, bytes);
      kept.push(compiled.report.layers.map(({ keptOutputChannels }) => keptOutputChannels));
    }
    for (const widths of kept) expect(widths).toEqual(kept[0]);
  });
});
