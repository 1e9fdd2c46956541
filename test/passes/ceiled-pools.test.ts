/**
 * Pools with ceil_mode whose windows are smaller than their stride: ONNX Runtime's shape inference counts a last window that begins
 * behind the image, its kernels do not. What follows must not rely on the inferred extent.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';
import { WILLING } from '../support/willing-table.js';
import { compiled, sparseWeights, vector } from './sparse-support.js';
import { needsLibrary } from '../support/needs.js';

const WINDOWS = [
  [[1, 1], 2],
  [[2, 2], 3],
  [
    [2, 1],
    [2, 3],
  ],
] as const;
const FOLLOWING = [{ auto_pad: 'SAME_UPPER' }, { pads: [1, 1, 1, 1] }] as const;
const cases = ['MaxPool', 'AveragePool'].flatMap((opType) =>
  ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].flatMap((auto) =>
    WINDOWS.map(([kernel, stride]) => [opType, auto, kernel, [stride].flat().concat(stride)] as const),
  ),
);
/** SAME_* with a pixel left over: ONNX Runtime's plain kernels refuse it ("padding values must be non-negative"). */
const isRefused = (extent: number, [, auto, kernel, strides]: (typeof cases)[number]) =>
  auto.startsWith('SAME') &&
  kernel.some((taps, axis) => (Math.ceil(extent / (strides[axis] ?? 1)) - 1) * (strides[axis] ?? 1) + taps < extent);
const extentsOf = (window: (typeof cases)[number]) => [19, 20, 21].filter((extent) => !isRefused(extent, window));

type Weights = ReturnType<typeof sparseWeights>;

/** x -> Conv -> Relu -> the pool -> Conv with stride 2, on a square. */
function pooled(
  extent: number,
  weights: Weights,
  [opType, auto, kernel, strides]: (typeof cases)[number],
  following: (typeof FOLLOWING)[number],
): Uint8Array {
  const g = graphBuilder();
  const y = g.relu(
    g.op('Conv', [g.input('x', [1, 16, extent, extent]), weights, vector('bias', 16)], { pads: [1, 1, 1, 1] }),
  );
  const z = g.op(opType, [y], { kernel_shape: kernel, strides: strides.slice(0, 2), ceil_mode: 1, auto_pad: auto });
  g.output(g.op('Conv', [z, sparseWeights([16, 16, 3, 3], 0.8)], { ...following, strides: [2, 2] }));
  return g.bytes();
}

describe('pools with gaps between their windows, rounded up', () => {
  test.each(cases)('%s, auto_pad %s, %j, strides %j: sparse', needsLibrary, async (...window) => {
    for (const extent of extentsOf(window)) {
      for (const following of FOLLOWING) {
        const bytes = pooled(extent, sparseWeights([16, 16, 3, 3], 0.8), window, following);
        for (const options of [{}, { sparseTarget: WILLING }]) {
          const { output } = await compiled(bytes, options);
          expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
        }
      }
    }
  });

  test.each(cases)('%s, auto_pad %s, %j, strides %j: dead filters', async (...window) => {
    for (const extent of extentsOf(window)) {
      for (const following of FOLLOWING) {
        const weights = sparseWeights([16, 16, 3, 3], 0);
        weights.data.fill(0, 0, 4 * 16 * 9);
        const bytes = pooled(extent, weights, window, following);
        const made = await compileModel(bytes, { align: 1 });
        expect([made.report.before.channels, made.report.after.channels]).toEqual([32, 28]);
        expect(await verifyModels(bytes, made.encode())).toMatchObject({ equal: true });
      }
    }
  });
});
