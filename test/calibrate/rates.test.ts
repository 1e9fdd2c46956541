/**
 * From measured times to the rates of a cost table: moves at the ends of a sample, which the table
 * counts by themselves, are in none.
 */
import { describe, expect, test } from 'vitest';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { ratesOf } from '../../src/calibrate/calibrate.js';
import { macsOf, SAMPLE_SIZES, sampleModel, type SampleSize } from '../../src/calibrate/models.js';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { needsLibrary } from '../support/needs.js';

describe('rates', () => {
  /** Milliseconds of one pair and of two, with such ends. */
  const measured = (pairMs: number, endsMs: number) => [pairMs + endsMs, 2 * pairMs + endsMs];

  test('are those of the layers, whatever the ends take', () => {
    for (const ends of [0, 0.5, 1]) {
      const times = [measured(8, 0.2), measured(4, ends), measured(1, ends)].flat();
      const { denseMacsPerSecond, speedups } = ratesOf(times, 16e6);
      expect(denseMacsPerSecond).toBeCloseTo(2e9, -3);
      expect(speedups).toHaveLength(2);
      expect(speedups[0]).toBeCloseTo(2, 9);
      expect(speedups[1]).toBeCloseTo(8, 9);
    }
  });

  test('of a disturbed measurement stay between the shorter run and half of it', () => {
    expect(ratesOf([10, 20, 4, 3], 1).speedups).toEqual([5]);
    expect(ratesOf([10, 20, 4, 30], 1).speedups).toEqual([2.5]);
  });
});

/** As the samples are, but smaller: what is looked at does not depend on that. */
const small = SAMPLE_SIZES.map(({ kind, extent, outer, inner }): SampleSize => ({
  kind,
  extent: extent / 2,
  outer: outer / 8,
  inner: inner / 8,
}));

describe('samples of one pair and of two', needsLibrary, () => {
  test.each(small)('differ by layers that move nothing: $kind, $extent', async (size) => {
    for (const pairs of [1, 2]) {
      const dense = sampleModel(size, 0.8, pairs);
      const output = (await compileModel(dense, { sparse: true, sparseTarget: EAGER })).encode();
      const own = readModel(output).graph.nodes.filter(({ domain }) => domain === SPARSE_DOMAIN);
      expect(own).toHaveLength(2 * pairs);
      const isMatMul = size.kind === 'matmul';
      expect(new Set(own.map(({ opType }) => opType))).toEqual(new Set([isMatMul ? 'SparseMatMul' : 'SparseConv']));
      const layouts = own.map((node) => [node.string('x_layout', 'none'), node.string('y_layout', 'none')]);
      // Plain at both ends, inside between: each length moves the same two values.
      const inside = Array<string>(2 * pairs - 1).fill('internal');
      const [reads, writes] = isMatMul
        ? [Array(2 * pairs).fill('none'), Array(2 * pairs).fill('none')]
        : [
            ['NCHW', ...inside],
            [...inside, 'NCHW'],
          ];
      expect(layouts.map(([x]) => x)).toEqual(reads);
      expect(layouts.map(([, y]) => y)).toEqual(writes);
      expect(await verifyModels(dense, output)).toMatchObject({ equal: true });
    }
  });

  test.each(SAMPLE_SIZES)('count the products of a pair: $kind, $extent', async (size) => {
    const macs = async (pairs: number) =>
      (await compileModel(sampleModel(size, 0, pairs), { structured: false, sparse: true, sparseTarget: EAGER })).report
        .before.macs ?? Number.NaN;
    expect((await macs(2)) - (await macs(1))).toBe(macsOf(size));
  });
});
