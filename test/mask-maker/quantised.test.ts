/** Masks for models of codes: what they mask goes, where zeros are what it then gives. */
import { describe, expect, test } from 'vitest';
import { CODED_FORMS, codedLayer } from '../../fixtures/networks/coded.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';

describe.each(CODED_FORMS)('%s', (form) => {
  test.each(['zero', 'drop'] as const)('half of the filters, meaning %s', async (meaning) => {
    const g = graphBuilder();
    const hidden = g.relu(codedLayer(g, g.input('x', [4, 8]), form, { name: 'first', dims: [8, 6] }));
    const inner = g.relu(codedLayer(g, hidden, form, { name: 'inner', dims: [6, 4] }));
    g.output(codedLayer(g, inner, form, { name: 'last', dims: [4, 3] }));
    const made = await makeMasks(g.bytes(), { meaning });
    expect(made.report.layers.map(({ units, masked }) => [units, masked])).toEqual([
      [6, 3],
      [4, 2],
    ]);
    const { report } = await compileModel(made.encode('onnx'), { align: 1 });
    const removed = report.before.channels - report.after.channels;
    if (meaning === 'drop' || form !== 'dynamic') expect(removed).toBe(5);
    else expect(removed).toBeLessThan(5);
  });
});
