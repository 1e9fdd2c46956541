/** Choosing among scores: counts, order, ties; patterns and blocks for any matrix. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FLOAT, Tensor } from '../../src/ir/tensor.js';
import type { Matrix } from '../../src/mask-maker/layers.js';
import { choosePattern, choosePruned } from '../../src/mask-maker/select.js';
import { forEachElement, unitsOf } from '../../src/mask-maker/units.js';
import { expandMask } from '../../src/masks/expand.js';
import { parseKey } from '../../src/masks/names.js';

const extent = (most: number) => fc.integer({ min: 1, max: most });
const score = fc.integer({ min: 0, max: 6 });

const matrices = fc
  .tuple(extent(7), extent(9), extent(4), fc.boolean())
  .map(([outputs, inputs, taps, isReversed]): Matrix => {
    const isTransposed = isReversed && taps === 1;
    return {
      outputs,
      inputs,
      taps,
      outStride: isTransposed ? 1 : inputs * taps,
      inStride: isTransposed ? outputs : taps,
    };
  });

function placesOf(matrix: Matrix): number[] {
  const places: number[] = [];
  forEachElement(matrix, (place) => places.push(place));
  return places;
}

test('every element is visited once', () => {
  fc.assert(
    fc.property(matrices, (matrix) => {
      const { outputs, inputs, taps } = matrix;
      const all = Array.from({ length: outputs * inputs * taps }, (_, place) => place);
      expect(placesOf(matrix).toSorted((a, b) => a - b)).toEqual(all);
    }),
  );
});

test('blocks tile the matrix [outputs, inputs * taps]: rows x columns each, less at the edges', () => {
  fc.assert(
    fc.property(matrices, extent(5), extent(5), (matrix, rows, columns) => {
      const { outputs, inputs, taps } = matrix;
      const units = unitsOf({ matrix }, { kind: 'block', rows, columns });
      const sizes = new Map<number, number>();
      const corners = new Map<number, string>();
      forEachElement(matrix, (_, output, input, tap) => {
        const unit = units.at(output, input, tap);
        const corner = `${Math.floor(output / rows)},${Math.floor((input * taps + tap) / columns)}`;
        expect(corners.get(unit) ?? corner).toBe(corner);
        corners.set(unit, corner);
        sizes.set(unit, (sizes.get(unit) ?? 0) + 1);
      });
      expect(sizes.size).toBe(units.count);
      expect(new Set(corners.values()).size).toBe(units.count);
      expect(Math.max(...sizes.keys())).toBe(units.count - 1);
      const largest = Math.min(rows, outputs) * Math.min(columns, inputs * taps);
      expect(Math.max(...sizes.values())).toBeLessThanOrEqual(largest);
    }),
  );
});

test('N:M keeps what a pattern in a mask file keeps', () => {
  const cases = matrices.chain((matrix) =>
    fc.record({
      matrix: fc.constant(matrix),
      weights: fc.array(fc.integer({ min: -4, max: 4 }), {
        minLength: matrix.outputs * matrix.inputs * matrix.taps,
        maxLength: matrix.outputs * matrix.inputs * matrix.taps,
      }),
      keep: extent(3),
      more: extent(3),
    }),
  );
  fc.assert(
    fc.property(cases, ({ matrix, weights, keep, more }) => {
      const { outputs, inputs, taps, outStride } = matrix;
      const isTransposed = outStride === 1 && inputs > 1 && taps === 1;
      const dims = isTransposed ? [inputs, outputs] : [outputs, inputs, taps];
      const target = {
        tensor: Tensor.fromNumbers(FLOAT, dims, weights),
        parameter: 'weight',
        outAxis: isTransposed ? 1 : 0,
        inAxis: isTransposed ? 0 : 1,
      };
      const name = parseKey('w');
      if (name === undefined) throw new Error('w is a name');
      const source = { kind: 'pattern', keep, of: keep + more } as const;
      const expected = expandMask({ key: 'w', file: '', name, source, isOnnx: false }, target, 'stored');
      const units = unitsOf({ matrix }, source);
      const scores = new Float64Array(units.count);
      const unitAt = new Map<number, number>();
      forEachElement(matrix, (place, output, input, tap) => {
        const unit = units.at(output, input, tap);
        unitAt.set(place, unit);
        scores[unit] = Math.abs(weights[place] ?? 0);
      });
      const pruned = choosePattern(matrix, scores, source);
      const kept = weights.map((_, place) => 1 - (pruned[unitAt.get(place) ?? 0] ?? 0));
      expect(kept).toEqual([...(expected?.factors ?? [])]);
    }),
  );
});

describe('a ratio of pools', () => {
  const pools = fc.array(
    fc.record({ scores: fc.array(score, { minLength: 1, maxLength: 9 }), step: fc.constantFrom(1, 2, 4) }),
    { minLength: 1, maxLength: 4 },
  );
  const ratios = fc.integer({ min: 1, max: 99 }).map((percent) => percent / 100);
  const made = (list: readonly { scores: readonly number[]; step: number }[]) =>
    list.map(({ scores, step }) => ({ parts: [], count: scores.length, step, scores: Float64Array.from(scores) }));

  test.each(['layer', 'global'] as const)(
    '%s: the lowest, the first of equals, never all, kept ones in steps',
    (scope) => {
      fc.assert(
        fc.property(pools, ratios, (list, ratio) => {
          const chosen = choosePruned(made(list), { ratio, scope });
          for (const [index, gone] of chosen.entries()) {
            const { scores = [], step = 1 } = list[index] ?? {};
            const kept = gone.filter((byte) => byte === 0).length;
            expect(kept).toBeGreaterThan(0);
            expect(kept === scores.length || kept % step === 0).toBe(true);
            const order = scores
              .map((_, unit) => unit)
              .toSorted((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b);
            const lowest = new Set(order.slice(0, scores.length - kept));
            expect([...gone]).toEqual(scores.map((_, unit) => (lowest.has(unit) ? 1 : 0)));
          }
        }),
      );
    },
  );

  test('layer: the share of each; global: of all, where steps and the last ones allow it', () => {
    fc.assert(
      fc.property(pools, ratios, (list, ratio) => {
        const plain = list.map(({ scores }) => ({ scores, step: 1 }));
        const count = (gone: Uint8Array) => gone.filter((byte) => byte === 1).length;
        const share = (units: number) => Math.floor(Number((ratio * units).toFixed(6)));
        const each = choosePruned(made(plain), { ratio, scope: 'layer' }).map(count);
        expect(each).toEqual(plain.map(({ scores }) => Math.min(share(scores.length), scores.length - 1)));
        const all = plain.reduce((total, { scores }) => total + scores.length, 0);
        const together = choosePruned(made(plain), { ratio, scope: 'global' }).map(count);
        expect(together.reduce((a, b) => a + b, 0)).toBe(Math.min(share(all), all - plain.length));
      }),
    );
  });
});
