/** Every sparse layer is one edit, so that --stop-after finds the one that does harm. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { compiled, batchNorm, sparseWeights } from './sparse-models.js';
import { needsLibrary } from '../support/needs.js';

const LAYERS = 6;

/** A residual block, a pool between layers, a product after them, and an output in the middle. */
function network(): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 8, 12, 12]);
  const conv = (data: string, name: string) =>
    batchNorm(g, g.conv(data, sparseWeights([8, 8, 3, 3], 0.8), { pads: 1, name }), 8);
  const first = g.relu(conv(x, 'first'));
  const block = g.relu(g.add(conv(g.relu(conv(first, 'inner')), 'sum'), first));
  g.output(block);
  const pooled = g.maxPool(block, [2, 2], { strides: 2 });
  const after = g.relu(g.add(conv(pooled, 'after'), conv(pooled, 'beside')));
  const rows = g.flatten(g.globalAveragePool(after));
  const tall = g.op('Expand', [rows, { data: [16, 8], dataType: 7 }]);
  g.output(g.op('MatMul', [tall, sparseWeights([8, 8], 0.8)], {}, { name: 'product' }));
  return g.bytes();
}

describe('--stop-after', needsLibrary, () => {
  const bytes = network();

  test('a whole compilation lists them', async () => {
    const { made } = await compiled(bytes);
    const edits = made.report.edits.filter((label) => label.startsWith('sparse operator for '));
    expect(edits.map((label) => label.replace('sparse operator for ', '')).toSorted()).toEqual(
      ['after', 'beside', 'first', 'inner', 'product', 'sum'].toSorted(),
    );
    expect(made.report.edits.at(-1)).toBe('remove dead nodes');
    expect(made.report.sparse?.layers).toBe(LAYERS);
  });

  test.each(Array.from({ length: LAYERS + 1 }, (_, edits) => edits))('the first %i alone', async (stopAfter) => {
    const whole = (await compiled(bytes)).made.report.edits;
    const { made, output, natives } = await compiled(bytes, { stopAfter });
    expect(natives.filter((op) => op === 'SparseConv' || op === 'SparseMatMul')).toHaveLength(stopAfter);
    expect(made.report.edits).toEqual(whole.slice(0, stopAfter));
    expect(made.report.changed).toBe(stopAfter > 0);
    expect(made.report.sparse?.layers).toBe(stopAfter === 0 ? undefined : stopAfter);
    // Layers left out by --stop-after get no missed remark.
    expect(made.report.remarks.filter(({ kind }) => kind === 'missed')).toEqual([]);
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
    // Each operator that is there is read: what it computes shows at once.
    const { nodes } = readModel(output).graph;
    for (const { domain, outputs } of nodes.filter((node) => node.domain === SPARSE_DOMAIN))
      expect([domain, outputs[0]?.isSeenOutside === true || (outputs[0]?.uses.length ?? 0) > 0]).toEqual([
        SPARSE_DOMAIN,
        true,
      ]);
  });
});

describe('beside --structured', () => {
  /** Four dead filters, and what `zeros` of the second layer's weights makes of it. */
  function pruned(second: { data: Float32Array; dims: readonly number[] }): Uint8Array {
    const g = graphBuilder();
    const first = normals(3, 'first', 8 * 8 * 9).fill(0, 0, 4 * 72);
    const hidden = g.relu(
      g.conv(g.input('x', [1, 8, 12, 12]), { data: first, dims: [8, 8, 3, 3] }, { pads: 1, name: 'first' }),
    );
    g.output(g.conv(hidden, second, { pads: 1, name: 'second' }));
    return g.bytes();
  }
  const messages = async (bytes: Uint8Array, options: object = {}) => {
    const { report } = await compileModel(bytes, { structured: true, sparse: true, sparseTarget: 'avx2', ...options });
    return report.remarks.filter(({ kind }) => kind === 'note').map(({ message }) => message);
  };
  const full = { data: normals(3, 'second', 8 * 8 * 9), dims: [8, 8, 3, 3] };
  const few = { ...full, data: full.data.map((value, at) => (at % 10 === 9 ? 0 : value)) };

  test('a note reports that nothing became sparse', async () => {
    expect(await messages(pruned(full))).toEqual(['no layer became a sparse operator: none has scattered zeros']);
    expect((await messages(pruned(few))).at(-1)).toBe('no layer became a sparse operator: none would be faster');
  });

  test('there is no note where the pass did not run', async () => {
    expect(await messages(pruned(full), { skip: ['convert-sparse'] })).toEqual([]);
    const { report } = await compileModel(pruned(few), { structured: true });
    expect(report.edits.length).toBeGreaterThan(0);
    expect(await messages(pruned(few), { stopAfter: report.edits.length })).not.toContainEqual(
      expect.stringContaining('no layer became'),
    );
  });

  test('stopped before it, no layer is reported as sparse', async () => {
    const scattered = { ...full, data: full.data.map((value, at) => (at % 10 === 9 ? value : 0)) };
    const options = { structured: true, sparse: true, sparseTarget: EAGER };
    const { edits } = (await compileModel(pruned(scattered), { structured: true })).report;
    const { report } = await compileModel(pruned(scattered), { ...options, stopAfter: edits.length });
    expect([report.edits, report.sparse]).toEqual([edits, undefined]);
    expect(report.remarks.filter(({ pass, kind }) => pass === 'convert-sparse' && kind === 'applied')).toEqual([]);
  });
});
