/** Masks in the layouts of PyTorch, Keras and ONNX, onto weights as exporters store them. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { bind, IN, mask, named, OUT, pruned, slotsOf, TAPS, tensor, values } from './bound-masks.js';

describe('layouts', () => {
  const square = async (opType: 'MatMul' | 'Gemm', name: string) => {
    const g = graphBuilder();
    const x = g.input('x', [2, 3]);
    g.initializer(name, [3, 3], values('square', 9));
    g.output(g.op(opType, [x, name], opType === 'Gemm' ? { transB: 1 } : {}, { name: `/fc/${opType}` }));
    return slotsOf(g);
  };

  test('a Linear that the exporter transposed: rows of the mask are columns of the weight', async () => {
    expect(
      pruned(bind(await square('MatMul', 'onnx::MatMul_7'), { 'fc.weight_mask': mask([3, 3], [3, 4, 5]) })),
    ).toEqual({
      'onnx::MatMul_7': [1, 4, 7],
    });
    expect(pruned(bind(await square('MatMul', 'onnx::MatMul_7'), { fc: mask([3], [1]) }))).toEqual({
      'onnx::MatMul_7': [1, 4, 7],
    });
  });

  test('an initializer of the very name is in its own layout', async () => {
    expect(pruned(bind(await square('Gemm', 'fc.weight'), { 'fc.weight_mask': mask([3, 3], [3]) }))).toEqual({
      'fc.weight': [3],
    });
    expect(pruned(bind(await square('MatMul', 'fc.weight'), { 'fc.weight_mask': mask([3, 3], [3]) }))).toEqual({
      'fc.weight': [3],
    });
  });

  test('unless the values beside the mask say that it was transposed', async () => {
    const slots = await square('MatMul', 'fc.weight');
    const weights = slots[0]?.tensor.numbers() ?? new Float32Array(9);
    const transposed = [0, 3, 6, 1, 4, 7, 2, 5, 8].map((at) => weights[at] ?? 0);
    const contents = { 'fc.weight_mask': mask([3, 3], [3]), 'fc.weight_orig': tensor([3, 3], transposed) };
    expect(pruned(bind(slots, contents))).toEqual({ 'fc.weight': [1] });
  });

  test('kernels of Keras have their filters last', async () => {
    const bound = bind(
      await named(),
      { 'conv1/kernel:0': mask([3, 3, IN, OUT], [1]) },
      { map: { 'conv1/kernel:0': 'conv1.weight' } },
    );
    // [0, 0, 0, 1] there is filter 1, channel 0, first tap here.
    expect(pruned(bound)).toEqual({ 'conv1.weight': [IN * TAPS] });
  });

  test("Keras' separable layers are two kernels of two layers", async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, IN, 8, 8]);
    const dw = g.initializer('sep/depthwise_kernel:0', [IN, 1, 3, 3], values('dw', IN * TAPS));
    const pw = g.initializer('sep/pointwise_kernel:0', [OUT, IN, 1, 1], values('pw', OUT * IN));
    const first = g.op('Conv', [x, dw], { kernel_shape: [3, 3], group: IN });
    g.output(g.op('Conv', [first, pw], { kernel_shape: [1, 1] }));
    const contents = {
      // Channel 1 at the first tap; input 2 of filter 3.
      'sep/depthwise_kernel:0': mask([3, 3, IN, 1], [1]),
      'sep/pointwise_kernel:0': mask([1, 1, IN, OUT], [2 * OUT + 3]),
    };
    expect(pruned(bind(await slotsOf(g), contents))).toEqual({
      'sep/depthwise_kernel:0': [TAPS],
      'sep/pointwise_kernel:0': [3 * IN + 2],
    });
  });

  test('ONNX masks are in the layout of ONNX', async () => {
    const contents = { 'onnx::MatMul_7': mask([3, 3], [3]) };
    expect(pruned(bind(await square('MatMul', 'onnx::MatMul_7'), contents, { format: 'ONNX' }))).toEqual({
      'onnx::MatMul_7': [3],
    });
  });
});

describe('indices beside a shape', () => {
  test.each([
    ['as it is stored', { fc: { shape: [3, 4], axis: 1, remove: [2] } }, 'fc', [2, 6, 10]],
    ['as it is stored', { fc: { shape: [3, 4], remove: [2] } }, 'fc', [8, 9, 10, 11]],
    ['as PyTorch has it', { fc: { shape: [4, 3], remove: [2] } }, 'onnx::MatMul_1', [2, 6, 10]],
    ['without one', { fc: { remove: [2] } }, 'fc', [2, 6, 10]],
  ])('count along its axes: %s, %j', async (_, contents, name, places) => {
    const g = graphBuilder();
    const x = g.input('x', [2, 3]);
    g.initializer(name, [3, 4], values('m', 12));
    g.output(g.op('MatMul', [x, name], {}, { name: '/fc/MatMul' }));
    expect(pruned(bind(await slotsOf(g), contents, { format: 'JSON' }))).toEqual({ [name]: places });
  });
});
