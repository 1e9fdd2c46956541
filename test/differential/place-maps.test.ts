/**
 * Constants at zero-padded borders come back at every size: each geometry of a reader is run at
 * all image sizes from 1 x 1 to 7 x 7 that it can be run at.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilderOptions } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, FLOAT16 } from '../../src/ir/tensor.js';
import { makesIndicators } from '../../src/ir/origin.js';
import { readModel } from '../../src/onnx/read.js';
import { agreeingSizes, TOLERANCE } from './image-sizes.js';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

/** x -> 8 filters, 3 of them dead at 0.7, -0.4 and 2 -> Relu -> 5 filters with the geometry given. */
function network(
  kernel: readonly number[],
  attributes: Attributes,
  { dataType = FLOAT, ...options }: GraphBuilderOptions & { dataType?: number } = {},
): Uint8Array {
  const g = graphBuilder(options);
  const points = kernel.map(() => 1);
  const first = normals(1, 'first', 16).fill(0, 2, 8);
  const x = g.op('Cast', [g.input('x', ['n', 2, ...kernel.map((_, axis) => `size_${axis}`)])], { to: dataType });
  const bias = { data: [0.1, 0.7, -0.4, 2, 0, 0.2, 0.3, -0.1], dataType };
  const hidden = g.relu(g.op('Conv', [x, { data: first, dims: [8, 2, ...points], dataType }, bias]));
  const taps = kernel.reduce((total, extent) => total * extent, 1);
  const second = { data: normals(2, 'second', 40 * taps), dims: [5, 8, ...kernel], dataType };
  const y = g.op('Conv', [hidden, second], { kernel_shape: kernel, ...attributes });
  g.output(g.op('Cast', [y], { to: FLOAT }));
  return g.bytes();
}

/** How many sizes agree, after a check that what is compared is a map. */
async function checked(bytes: Uint8Array, rank = 2, tolerance = TOLERANCE.float32): Promise<number> {
  const compiled = await compileModel(bytes, { align: 1 });
  const made = compiled.encode();
  expect(readModel(made).graph.nodes.filter(makesIndicators)).toHaveLength(1);
  expect(compiled.report.layers[0]?.keptOutputChannels).toBe(5);
  return agreeingSizes(bytes, made, { rank, tolerance });
}

describe('a map of the place is right at every size', () => {
  test.each<[string, readonly number[], Attributes, number]>([
    ['3x3', [3, 3], { pads: [1, 1, 1, 1] }, 49],
    ['3x3, stride 2', [3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }, 49],
    ['3x3, padded on two sides', [3, 3], { pads: [2, 0, 0, 1] }, 42],
    ['3x3, dilated', [3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }, 49],
    ['3x3, SAME_UPPER, stride 2', [3, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] }, 49],
    ['2x4, SAME_LOWER', [2, 4], { auto_pad: 'SAME_LOWER' }, 49],
    ['4x4, a full block of taps', [4, 4], { pads: [1, 2, 2, 1], strides: [2, 1] }, 49],
    ['5x5, 25 taps', [5, 5], { pads: [2, 2, 2, 2] }, 49],
    ['7x7, 49 taps', [7, 7], { pads: [3, 3, 3, 3], strides: [2, 2] }, 49],
    ['1x1 in padding', [1, 1], { pads: [1, 1, 1, 1] }, 49],
    ['1-D', [3], { pads: [1, 1] }, 9],
    ['1-D, 5 taps, stride 3', [5], { pads: [2, 1], strides: [3] }, 8],
    ['3-D', [3, 3, 3], { pads: [1, 1, 1, 1, 1, 1] }, 27],
    ['3-D, stride 2', [2, 1, 3], { pads: [1, 0, 1, 0, 0, 1], strides: [1, 1, 2] }, 27],
  ])('%s', async (_, kernel, attributes, sizes) => {
    expect(await checked(network(kernel, attributes), kernel.length)).toBe(sizes);
  });

  test.each([7, 8, 11, 22])('opset %i', async (opset) => {
    expect(await checked(network([3, 3], { pads: [1, 1, 1, 1] }, { opset }))).toBe(49);
  });

  test('float16', async () => {
    const bytes = network([3, 3], { pads: [1, 1, 1, 1] }, { dataType: FLOAT16 });
    expect(await checked(bytes, 2, TOLERANCE.float16)).toBe(49);
  });
});
