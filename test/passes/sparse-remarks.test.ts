/**
 * Remarks on layers that became sparse operators, or did not: names that a user knows, and numbers
 * that agree.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { ZeroScatterer } from '../../fixtures/networks/scattered-zeros.js';
import type { CostTable } from '../../src/cost/sparse-cost.js';
import { EAGER, TABLES } from '../../src/cost/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { isCompensation } from '../../src/ir/origin.js';
import { readModel } from '../../src/onnx/read.js';
import { renderHtml } from '../../src/report/html.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { formatShare } from '../../src/report/numbers.js';
import { renderText } from '../../src/report/text.js';

describe('convolutions of ones that the compiler added', () => {
  /**
   * Half of the inner filters are zero except for their shifts, which meet zero padding. The other
   * weights have scattered zeros, and so do the convolutions of ones.
   */
  function masked(): Uint8Array {
    const options = { masks: 'zeros', choice: { kind: 'inner', fraction: 0.5 }, batchNorm: 'kept' } as const;
    const network = resnet('resnet18', { ...options, size: 64, width: 16 }).bytes();
    return new ZeroScatterer(network).bytes({ kind: 'unstructured', share: 0.93 });
  }

  /** No layer wins. */
  const never = { denseMacsPerSecond: 1e9, speedups: [[0, 0.5]] } as const;
  const NEVER: CostTable = {
    name: 'never',
    secondsPerMovedElement: 1,
    layers: { conv1x1: never, conv: never, matmul: never },
  };

  test.each([
    ['that stay dense have no remark', NEVER],
    ['that become sparse have one remark together', EAGER],
  ])('%s', async (_, sparseTarget) => {
    const compiled = await compileModel(masked(), { structured: true, sparse: true, sparseTarget });
    const { graph } = readModel(compiled.encode());
    const added = graph.nodes.filter(isCompensation);
    expect(added.length).toBeGreaterThan(0);
    const { report } = compiled;
    for (const { node = '' } of report.remarks) expect(added.map(({ name }) => name)).not.toContain(node);
    for (const text of [renderText(report), renderMarkdown(report), await renderHtml(report)])
      expect(text).not.toContain('_constants');
    const sparse = added.filter(({ opType }) => opType === 'SparseConv').length;
    const told = report.remarks.flatMap(
      ({ message }) => /^(\d+) convolutions? that compensates? for removed channels/.exec(message)?.[1] ?? [],
    );
    expect(told).toEqual(sparse === 0 ? [] : [String(sparse)]);
    expect(sparse > 0).toBe(sparseTarget === EAGER);
    expect(report.layers.filter(({ isSparse }) => isSparse === true)).toHaveLength(report.sparse?.layers ?? 0);
    expect(renderMarkdown(report).includes('| Conv → sparse |')).toBe(sparse > 0);
    expect((await renderHtml(report)).includes('Conv → sparse')).toBe(sparse > 0);
  });
});

/** One convolution with so many zeros among its 36,864 weights. */
function layer(zeros: number): Uint8Array {
  const g = graphBuilder();
  const dims = [64, 64, 3, 3];
  const weights = { data: Array.from({ length: 36_864 }, (_, at) => (at < zeros ? 0 : 1)), dims };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 64, 28, 28]), weights, { pads: 1 })]));
  return g.bytes();
}

test('layers with hardly any zeros are counted in one note', async () => {
  const g = graphBuilder();
  const weights = (zeros: number) => ({
    data: Array.from({ length: 36_864 }, (_, at) => (at < zeros ? 0 : 1)),
    dims: [64, 64, 3, 3],
  });
  const x = g.input('x', [1, 64, 28, 28]);
  const [first, second] = [g.conv(x, weights(1), { pads: 1 }), g.conv(x, weights(18), { pads: 1 })];
  // ConvTranspose has no sparse operator: with enough zeros it would get a remark.
  const third = g.op('ConvTranspose', [x, weights(5)], { pads: [1, 1, 1, 1] });
  g.output(g.add(g.add(first, second), g.add(third, g.conv(x, weights(19), { pads: 1, name: 'told' }))));
  const { report } = await compileModel(g.bytes(), { sparse: true, sparseTarget: 'avx2' });
  expect(report.remarks.map(({ kind, node, message }) => [kind, node, message])).toEqual([
    ['note', undefined, 'layers were chosen by the cost table "avx2" (docs/sparse.md)'],
    ['note', undefined, '3 layers are kept dense because they have hardly any zeros (less than 0.05 %)'],
    ['missed', 'told', expect.stringMatching(/and the layer has 0\.1 %$/)],
  ]);
});

test('MACs of convolutions that the compiler added count the weights that are kept', async () => {
  const g = graphBuilder();
  // Two filters without weights hold a constant that meets zero padding.
  const first = Array.from({ length: 8 * 4 }, (_, at) => (at < 2 * 4 ? 0 : at % 3 === 0 ? 1 : 0));
  const second = Array.from({ length: 8 * 8 * 9 }, (_, at) => (at % 5 === 0 ? at % 7 : 0));
  const hidden = g.relu(
    g.conv(g.input('x', [1, 4, 10, 10]), { data: first, dims: [8, 4, 1, 1] }, { bias: [2, 3, 0, 0, 0, 0, 0, 0] }),
  );
  g.output(g.op('Abs', [g.conv(hidden, { data: second, dims: [8, 8, 3, 3] }, { pads: 1 })]));
  const compiled = await compileModel(g.bytes(), { structured: true, sparse: true, sparseTarget: EAGER, align: 1 });
  const operators = readModel(compiled.encode()).graph.nodes.filter(({ opType }) => opType === 'SparseConv');
  expect(operators.some(({ name }) => name.endsWith('_constants_sparse'))).toBe(true);
  const kept = operators.reduce((total, { inputs }) => total + (inputs[1]?.initializer?.size ?? 0), 0);
  // All layers compute 10 x 10 places. The indicators of 9 taps are a depthwise convolution, which
  // has no sparse kernel: 16 channels of 9 weights.
  expect(compiled.report.after.macs).toBe(100 * (kept + 16 * 9));
});

describe('shares of zeros', () => {
  test.each([14_598, 14_560, 14_600, 3_690])('are the same in remarks and tables: %i weights', async (zeros) => {
    const { report } = await compileModel(layer(zeros), { sparse: true, sparseTarget: 'avx2' });
    const [{ sparsity } = { sparsity: 0 }] = report.layers;
    const missed = report.remarks.find(({ kind }) => kind === 'missed');
    expect(missed?.message).toMatch(
      new RegExp(`and the layer has ${formatShare(sparsity).replace('.', String.raw`\.`)}$`),
    );
    const text = renderText(report);
    expect(text).toContain(
      `nothing to do: ${formatShare(report.before.zeros / report.before.parameters)} of the parameters`,
    );
  });

  test('the share to be reached is never rounded to the share that the layer has', async () => {
    const kind = { denseMacsPerSecond: 1e9, speedups: [[0.396, 2]] } as const;
    const table: CostTable = {
      name: 'made up',
      secondsPerMovedElement: 0,
      layers: { conv1x1: kind, conv: kind, matmul: kind },
    };
    const { report } = await compileModel(layer(14_598), { sparse: true, sparseTarget: table });
    expect(report.remarks.map(({ kind: said, message }) => [said, message])).toEqual([
      ['note', 'layers were chosen by the cost table "made up" (docs/sparse.md)'],
      ['missed', 'kept dense: sparse operators would pay off here from 39.6000 % zeros, and the layer has 39.5996 %'],
    ]);
  });

  test('a note names the cost table that decided', async () => {
    for (const zeros of [3_690, 35_000]) {
      const { report } = await compileModel(layer(zeros), { sparse: true, sparseTarget: TABLES.avx2 });
      const decided = report.remarks.filter(({ kind }) => kind === 'note').map(({ message }) => message);
      expect(decided).toEqual(['layers were chosen by the cost table "avx2" (docs/sparse.md)']);
      expect(report.changed).toBe(zeros === 35_000);
      if (report.sparse !== undefined) expect(report.sparse.decided).toEqual(decided);
    }
  });
});
