/** auto_pad as explicit padding: against ONNX Runtime at odd and even sizes. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { compiled, SHAPES, sparseWeights } from './sparse-models.js';
import { needsLibrary } from '../support/needs.js';

describe('padding that is not written down (auto_pad)', needsLibrary, () => {
  const AUTO = ['SAME_UPPER', 'SAME_LOWER', 'VALID'] as const;

  /** x -> Conv -> Relu -> window with that padding -> Conv, at a size. */
  function windowed(
    auto: string,
    dims: readonly (number | string)[],
    [opType, extent, strides, dilation, others]: readonly [string, number, readonly [number, number], number, object],
  ) {
    const g = graphBuilder();
    const y = g.relu(g.conv(g.input('x', dims), sparseWeights([16, 16, 3, 3], 0.8), { pads: 1 }));
    const attributes = { auto_pad: auto, strides, ...(dilation > 1 && { dilations: [dilation, dilation] }), ...others };
    const z = opType.endsWith('Pool')
      ? g.op(opType, [y], { ...attributes, kernel_shape: [extent, extent] })
      : opType === 'depthwise'
        ? g.op('Conv', [y, sparseWeights([16, 1, extent, extent], 0)], { ...attributes, group: 16 })
        : g.op('Conv', [y, sparseWeights([16, 16, extent, extent], 0.8)], attributes);
    g.output(g.conv(z, sparseWeights([16, 16, 1, 1], 0.8)));
    return g.bytes();
  }

  const WINDOWS = [
    ['Conv', 3, [1, 1], 1, {}],
    ['Conv', 3, [2, 2], 1, {}],
    ['Conv', 4, [1, 3], 1, {}],
    ['Conv', 5, [3, 2], 1, {}],
    ['Conv', 1, [2, 2], 1, {}],
    ['Conv', 2, [2, 1], 1, {}],
    ['depthwise', 3, [2, 2], 1, {}],
    ['depthwise', 4, [1, 2], 1, {}],
    ['MaxPool', 3, [2, 2], 1, {}],
    ['MaxPool', 2, [1, 2], 1, {}],
    ['AveragePool', 3, [2, 1], 1, {}],
    ['AveragePool', 4, [2, 2], 1, { count_include_pad: 1 }],
  ] as const;

  test.each(AUTO.flatMap((auto) => WINDOWS.map((window) => [auto, ...window] as const)))(
    '%s: %s, %i taps, strides %j',
    async (auto, ...window) => {
      // Odd and even, not square: both remainders of every stride.
      for (const [height, width] of [
        [11, 12],
        [12, 13],
        [13, 11],
      ] as const) {
        const bytes = windowed(auto, [2, 16, height, width], window);
        const { output } = await compiled(bytes);
        const dense = readModel(output).graph.nodes.filter(({ domain }) => domain !== SPARSE_DOMAIN);
        // By themselves these save nothing.
        const stays = window[0] === 'Conv' ? [] : [window[0] === 'depthwise' ? 'Conv' : window[0]];
        expect(dense.map(({ opType }) => opType)).toEqual(stays);
        expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
        const stages = await compiled(bytes, { sparseTarget: PAYS_FROM_30_PERCENT });
        expect(readModel(stages.output).graph.nodes.every(({ domain }) => domain === SPARSE_DOMAIN)).toBe(true);
        expect(await verifyModels(bytes, stages.output)).toMatchObject({ equal: true });
      }
    },
  );

  test.each([
    ['SAME_UPPER', 1],
    ['SAME_LOWER', 1],
    ['VALID', 1],
    ['VALID', 2],
  ] as const)('%s at open sizes, dilation %i', async (auto, dilation) => {
    for (const extent of [2, 3, 4]) {
      const bytes = windowed(auto, ['n', 16, 'h', 'w'], ['Conv', extent, [1, 1], dilation, {}]);
      const { output, natives } = await compiled(bytes);
      expect(natives.filter((name) => name === 'SparseConv')).toHaveLength(3);
      for (const x of [
        [2, 16, 11, 12],
        [1, 16, 14, 9],
      ])
        expect(await verifyModels(bytes, output, { shapes: { x } })).toMatchObject({ equal: true });
    }
  });

  test('UPPER and LOWER differ', async () => {
    const weights = sparseWeights([16, 16, 2, 2], 0.8);
    const model = (auto: string) => {
      const g = graphBuilder();
      g.output(g.op('Conv', [g.input('x', SHAPES.x), weights], { auto_pad: auto }));
      return g.bytes();
    };
    const { output } = await compiled(model('SAME_UPPER'));
    expect(await verifyModels(model('SAME_UPPER'), output)).toMatchObject({ equal: true });
    expect(await verifyModels(model('SAME_LOWER'), output)).toMatchObject({ equal: false });
  });
});
