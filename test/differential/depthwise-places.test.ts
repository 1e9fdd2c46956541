/**
 * Constants that go through zero-padded depthwise convolutions, means and what follows them: the
 * channels go, and what they held at each place comes back, at all image sizes from 1 x 1 to 7 x 7.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type GraphBuilderOptions } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, FLOAT16 } from '../../src/ir/tensor.js';
import { makesIndicators } from '../../src/ir/origin.js';
import { readModel } from '../../src/onnx/read.js';
import { explainNode } from '../../src/why.js';
import { agreeingSizes, TOLERANCE } from './image-sizes.js';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Step = (g: GraphBuilder, x: string) => string;

const PADDED: Attributes = { pads: [1, 1, 1, 1] };

interface Network extends GraphBuilderOptions {
  dataType?: number;
  /** Of the image. */
  size?: readonly (number | string)[];
  /** After the first layer; default a depthwise convolution. */
  middle?: Step;
  /** After that; default Clip. */
  behind?: Step;
  reader?: readonly [readonly number[], Attributes];
}

const depthwise =
  (kernel: readonly number[], attributes: Attributes, dataType = FLOAT): Step =>
  (g, x) => {
    const count = 8 * kernel.reduce((total, extent) => total * extent, 1);
    const weights = { data: normals(2, 'depthwise', count), dims: [8, 1, ...kernel], dataType };
    return g.op('Conv', [x, weights, { data: normals(3, 'shift', 8), dataType }], {
      kernel_shape: kernel,
      group: 8,
      ...attributes,
    });
  };

const clip: Step = (g, x) => g.clip(x, 0, 0.9);

/** x [n, 2, …] -> 8 filters, 4 of them dead at .7, 1.3, .4 and -.9 -> Relu -> … -> 5 filters. */
function network({
  dataType = FLOAT,
  size = ['h', 'w'],
  middle = depthwise([3, 3], PADDED, dataType),
  behind = clip,
  reader: [kernel, attributes] = [size.map(() => 1), {}],
  ...options
}: Network = {}): Uint8Array {
  const g = graphBuilder(options);
  const points = size.map(() => 1);
  const x = g.op('Cast', [g.input('x', ['n', 2, ...size])], { to: dataType });
  const first = { data: normals(1, 'first', 16).fill(0, 4, 12), dims: [8, 2, ...points], dataType };
  const bias = { data: [0.1, 0.2, 0.7, 1.3, 0.4, -0.9, 0.3, -0.1], dataType };
  const made = behind(g, middle(g, g.relu(g.op('Conv', [x, first, bias], {}, { name: 'first' }))));
  const taps = kernel.reduce((total, extent) => total * extent, 1);
  const second = { data: normals(4, 'second', 40 * taps), dims: [5, 8, ...kernel], dataType };
  const y = g.op('Conv', [made, second], { kernel_shape: kernel, ...attributes });
  g.output(g.op('Cast', [y], { to: FLOAT }));
  return g.bytes();
}

/** How many sizes agree once all four channels went. */
async function checked(bytes: Uint8Array, rank = 2, tolerance = TOLERANCE.float32): Promise<number> {
  const compiled = await compileModel(bytes, { align: 1 });
  expect(compiled.report.layers[0]?.keptOutputChannels).toBe(4);
  const made = compiled.encode();
  expect(readModel(made).graph.nodes.some(makesIndicators)).toBe(true);
  expect((await compileModel(made, { align: 1 })).report.changed).toBe(false);
  return agreeingSizes(bytes, made, { rank, tolerance });
}

describe('constants go through a padded depthwise convolution', () => {
  test.each<[string, readonly number[], Attributes, number]>([
    ['3x3', [3, 3], PADDED, 49],
    ['3x3, stride 2', [3, 3], { ...PADDED, strides: [2, 2] }, 49],
    ['3x3, stride 3 and 1', [3, 3], { ...PADDED, strides: [3, 1] }, 49],
    ['3x3, padded on two sides', [3, 3], { pads: [0, 2, 1, 0], strides: [1, 2] }, 42],
    ['3x3, padded by more than the kernel', [3, 3], { pads: [3, 3, 0, 0] }, 49],
    ['3x3, dilated', [3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }, 49],
    ['3x3, SAME_UPPER, stride 2', [3, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] }, 49],
    ['2x4, SAME_LOWER', [2, 4], { auto_pad: 'SAME_LOWER' }, 49],
    ['5x5', [5, 5], { pads: [2, 2, 2, 2] }, 49],
    ['5x5, stride 2', [5, 5], { pads: [2, 2, 2, 2], strides: [2, 2] }, 49],
  ])('%s', async (_, kernel, attributes, sizes) => {
    expect(await checked(network({ middle: depthwise(kernel, attributes) }))).toBe(sizes);
  });

  test.each<[string, number, Attributes, number]>([
    ['1-D', 1, { pads: [1, 1], strides: [2] }, 9],
    ['3-D', 3, { pads: [1, 0, 1, 0, 1, 0] }, 27],
  ])('%s', async (_, rank, attributes, sizes) => {
    const kernel = Array.from({ length: rank }, () => 2);
    const size = ['d', 'h', 'w'].slice(0, rank);
    expect(await checked(network({ size, middle: depthwise(kernel, attributes) }), rank)).toBe(sizes);
  });

  test.each([7, 11, 22])('opset %i', async (opset) => {
    expect(await checked(network({ opset }))).toBe(49);
  });

  test('float16', async () => {
    const behind: Step = (g, x) => g.relu(x);
    expect(await checked(network({ dataType: FLOAT16, behind }), 2, TOLERANCE.float16)).toBe(49);
  });

  test('of two filters a group', async () => {
    const middle: Step = (g, x) => {
      const weights = { data: normals(2, 'pairs', 4 * 2 * 18), dims: [8, 2, 3, 3] };
      return g.conv(x, weights, { pads: 1, group: 4 });
    };
    expect(await checked(network({ middle }))).toBe(49);
  });

  test('at a size that is known', async () => {
    const bytes = network({ size: [6, 5] });
    expect(await checked(bytes)).toBe(1);
  });
});

describe('what follows', () => {
  const statistics = (name: string) => ({ data: normals(6, name, 8).map((value) => 0.5 + Math.abs(value)) });

  test.each<[string, Step]>([
    ['nothing', (_, x) => x],
    [
      'a normalisation and an activation',
      (g, x) => {
        const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map(statistics);
        if (scale === undefined || shift === undefined || mean === undefined || variance === undefined) return x;
        return g.op('Sigmoid', [g.batchNorm(x, { scale, shift, mean, variance })]);
      },
    ],
    ['a product with itself', (g, x) => g.mul(x, g.op('HardSigmoid', [x]))],
    ['a constant of each channel', (g, x) => g.add(x, { data: normals(5, 'per channel', 8), dims: [8, 1, 1] })],
    ['another one of the same window', (g, x) => g.add(x, g.op('Abs', [x]))],
  ])('%s', async (_, behind) => {
    expect(await checked(network({ behind }))).toBe(49);
  });

  test.each<[string, readonly [readonly number[], Attributes], number]>([
    ['3x3 with padding', [[3, 3], PADDED], 49],
    ['3x3 without', [[3, 3], {}], 25],
    ['2x3 with padding on one side and strides', [[2, 3], { pads: [1, 0, 0, 2], strides: [2, 1] }], 49],
    ['1x1 with a stride', [[1, 1], { strides: [2, 2] }], 49],
  ])('a reader of %s', async (_, reader, sizes) => {
    expect(await checked(network({ reader }))).toBe(sizes);
  });

  test('a reader in groups, of which each map covers its own outputs', async () => {
    const grouped: Step = (g, x) => {
      const weights = { data: normals(7, 'groups', 4 * 4 * 9), dims: [4, 4, 3, 3] };
      return g.conv(x, weights, { pads: 1, group: 2, name: 'groups' });
    };
    // Groups stay equal: of the dead channels 2 to 5 each group of four loses two.
    const bytes = network({ behind: (g, x) => g.pad(grouped(g, clip(g, x)), [0, 0, 0, 0, 0, 4, 0, 0]) });
    const compiled = await compileModel(bytes, { align: 1 });
    const { graph } = readModel(compiled.encode());
    expect(graph.findNode('groups')?.inputs[1]?.initializer?.dims).toEqual([4, 2, 3, 3]);
    const maps = graph.nodes.filter(({ origin }) => origin?.kind === 'compensation');
    expect(maps.map(({ inputs }) => inputs[1]?.initializer?.dims)).toContainEqual([4, 16, 3, 3]);
    expect(await agreeingSizes(bytes, compiled.encode())).toBe(49);
  });

  test('a function that gives one number everywhere makes a constant', async () => {
    const bytes = network({ behind: (g, x) => g.clip(x, 9, 9.5) });
    const compiled = await compileModel(bytes, { align: 1 });
    expect(compiled.report.layers[0]?.keptOutputChannels).toBe(4);
    expect(readModel(compiled.encode()).graph.nodes.some(({ origin }) => origin !== undefined)).toBe(false);
    expect(await agreeingSizes(bytes, compiled.encode())).toBe(49);
  });
});

describe('constants that a padded grouped layer reads are given back', () => {
  /**
   * 8 filters, of which only 6 and 7 are alive -> two groups, of which the first reads constants
   * alone -> `behind` -> 5 filters.
   */
  const pooled = (attributes: Attributes, behind: Step): Uint8Array => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 2, 'h', 'w']);
    const first = { data: normals(1, 'first', 16).fill(0, 0, 12), dims: [8, 2, 1, 1] };
    const hidden = g.conv(x, first, { bias: [0.7, 1.3, 0.4, 0.9, 0.1, 0.2, 0.3, 0.5], name: 'first' });
    const taps = attributes.auto_pad === undefined ? 9 : 1;
    const side = Math.sqrt(taps);
    // 2.5 is less than what all four constants take from it at one tap, and more than two of them.
    const weights = { data: Array.from({ length: 16 * taps }, () => -1), dims: [4, 4, side, side] };
    const shift = [2.5, 2.5, 20, 20];
    const grouped = g.op('Conv', [hidden, weights, { data: shift }], {
      kernel_shape: [side, side],
      group: 2,
      ...attributes,
    });
    // A pool keeps the channels, and with them their values.
    const made = behind(g, grouped);
    g.output(g.maxPool(made, [1, 1]));
    g.output(g.conv(made, { data: normals(4, 'second', 20), dims: [5, 4, 1, 1] }));
    return g.bytes();
  };

  test.each<[string, Attributes, Step]>([
    ['where its outputs depend on the place', PADDED, (_, x) => x],
    ['where all places are of one class', { auto_pad: 'SAME_UPPER' }, (_, x) => x],
    ['where an activation makes its outputs constant', PADDED, (g, x) => g.relu(x)],
  ])('%s', async (_, attributes, behind) => {
    const bytes = pooled(attributes, behind);
    const compiled = await compileModel(bytes, { align: 1 });
    expect(compiled.report.layers[0]?.keptOutputChannels).toBe(4);
    expect(await agreeingSizes(bytes, compiled.encode())).toBe(49);
  });
});

describe('a mean that counts the padding', () => {
  const mean =
    (attributes: Attributes): Step =>
    (g, x) =>
      g.op('AveragePool', [x], { kernel_shape: [3, 3], count_include_pad: 1, ...attributes });

  test.each<[string, Attributes, number]>([
    ['3x3', PADDED, 49],
    ['3x3, stride 2, padded unequally', { pads: [2, 0, 0, 2], strides: [2, 2] }, 49],
  ])('%s', async (_, attributes, sizes) => {
    expect(await checked(network({ middle: mean(attributes) }))).toBe(sizes);
  });

  test('beside readers of what goes into it, joined by a Concat', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 2, 'h', 'w']);
    const first = { data: normals(1, 'first', 16).fill(0, 4, 12), dims: [8, 2, 1, 1] };
    const hidden = g.relu(g.conv(x, first, { bias: [0.1, 0.2, 0.7, 1.3, 0.4, -0.9, 0.3, -0.1] }));
    const both = g.concat([mean(PADDED)(g, hidden), hidden]);
    g.output(g.conv(both, { data: normals(4, 'second', 80), dims: [5, 16, 1, 1] }));
    expect(await checked(g.bytes())).toBe(49);
  });

  test.each<[string, Attributes]>([
    ['rounds up', { ...PADDED, ceil_mode: 1 }],
    ['pads by its size', { auto_pad: 'SAME_UPPER' }],
    ['may be larger than the image', { pads: [1, 0, 0, 1] }],
  ])('is left where it %s', async (_, attributes) => {
    const { report } = await compileModel(network({ middle: mean(attributes) }), { align: 1 });
    // The channel of -.9 is 0 behind Relu, and goes.
    expect(report.layers[0]?.keptOutputChannels).toBe(7);
  });
});

describe('channels stay', () => {
  const gate: Step = (g, x) => g.mul(x, g.op('Sigmoid', [g.globalAveragePool(x)]));
  const transposed =
    (group: number): Step =>
    (g, x) => {
      const weights = { data: normals(8, 'spread', (64 / group) * 9), dims: [8, 8 / group, 3, 3] };
      return g.op('ConvTranspose', [x, weights], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group });
    };

  test.each<[string, Network]>([
    ['behind a gate that depends on the data', { behind: gate }],
    ['where maxima mix places', { behind: (g, x) => g.maxPool(x, [2, 2]) }],
    ['where means mix places', { behind: (g, x) => g.globalAveragePool(x) }],
    ['where another window mixes them', { behind: depthwise([3, 3], PADDED) }],
    ['where the places are turned', { behind: (g, x) => g.transpose(x, [0, 1, 3, 2]) }],
    ['where there are more classes than pay', { middle: depthwise([7, 7], { pads: [3, 3, 3, 3] }) }],
    ['where a function jumps', { behind: (g, x) => g.op('Floor', [g.mul(x, { data: [3] })]) }],
    ['where a ConvTranspose spreads what depends on the place', { behind: transposed(1) }],
    ['where a ConvTranspose spreads constants', { middle: transposed(8) }],
    ['of another image', { behind: (g, x) => g.add(x, g.input('z', ['n', 8, 'a', 'b'])) }],
    ['of another batch', { behind: (g, x) => g.add(x, g.input('z', ['m', 8, 'h', 'w'])) }],
  ])('%s', async (_, options) => {
    const { report } = await compileModel(network(options), { align: 1 });
    expect(report.layers[0]?.keptOutputChannels ?? 8).toBeGreaterThanOrEqual(7);
  });

  test('where the map costs more than they do', async () => {
    const { report } = await compileModel(network(), {});
    expect(report.changed).toBe(false);
  });
});

test('why says that they depend on the place', async () => {
  const { groups } = await explainNode(network({ middle: depthwise([3, 3], PADDED) }), 'Conv');
  const reasons = groups.flatMap(({ state, chain }) =>
    state === 'removable' ? chain.map(({ reason }) => reason) : [],
  );
  expect(reasons).toContain('they depend on the place in the image alone');
});
