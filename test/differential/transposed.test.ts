/** ConvTranspose, between a layer with dead filters and one that reads what it makes. */
import { describe, expect, test } from 'vitest';
import type { GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { product } from '../../src/ir/tensor.js';
import { compileRow, layer, MEANINGS, type Meaning } from './row-network.js';

const CHANNELS = 6;
const FILTERS = 5;

type Attributes = Parameters<GraphBuilder['op']>[2];

interface Case {
  /** Filters of the first layer. */
  readonly dead?: readonly number[];
  /** Filters of the transposed convolution, of the first group. */
  readonly deadFilters?: readonly number[];
  readonly meaning?: Meaning;
  /** Of its kernel. */
  readonly kernel?: readonly number[];
  readonly group?: number;
  readonly attributes?: Attributes;
  readonly out?: number;
  readonly hasBias?: boolean;
}

/** [C, out / group, kernel…] with filters of zeros. */
function weights({ kernel = [2, 2], group = 1, out = FILTERS, deadFilters = [] }: Case) {
  const [perGroup, taps] = [out / group, product(kernel)];
  const data = normals(7, 'up', CHANNELS * perGroup * taps);
  for (let channel = 0; channel < CHANNELS / group; channel++)
    for (const filter of deadFilters)
      data.fill(0, (channel * perGroup + filter) * taps, (channel * perGroup + filter + 1) * taps);
  return { data, dims: [CHANNELS, perGroup, ...kernel] };
}

/** x -> 6 filters -> the transposed convolution, 5 filters -> Relu -> 1x1 convolution. */
function network(given: Case, up = (g: GraphBuilder, x: string) => transposed(g, x, given)) {
  const { dead = [1, 2, 4], meaning = 'drop', out = FILTERS } = given;
  return (g: GraphBuilder) => {
    const x = g.input('x', [2, 3, 5, 4]);
    const hidden = g.op('Tanh', [layer(g, x, { name: 'made', out: CHANNELS, from: 3, dead, meaning })]);
    g.output(layer(g, g.relu(up(g, hidden)), { name: 'reader', out: 3, from: out }));
  };
}

function transposed(g: GraphBuilder, x: string, given: Case): string {
  const { attributes = {}, group = 1, out = FILTERS, hasBias = true } = given;
  const bias = hasBias ? [{ data: normals(8, 'bias', out) }] : [];
  return g.op('ConvTranspose', [x, weights(given), ...bias], { ...attributes, group });
}

const FORMS: readonly (readonly [string, Pick<Case, 'kernel' | 'attributes'>])[] = [
  ['blocks of places', { attributes: { strides: [2, 2] } }],
  [
    'overlapping windows',
    { kernel: [3, 3], attributes: { strides: [2, 1], pads: [1, 0, 0, 1], output_padding: [1, 0] } },
  ],
  ['the padding of the same size', { kernel: [3, 3], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } }],
  ['a size that is given', { kernel: [3, 3], attributes: { output_shape: [11, 9], strides: [2, 2] } }],
  ['gaps', { kernel: [2, 3], attributes: { dilations: [2, 1] } }],
  ['one tap and gaps', { kernel: [1, 1], attributes: { strides: [2, 2] } }],
];

describe.each(FORMS)('%s', (_, form) => {
  test.each([7, 11, 22])('dead channels and dead filters go, opset %d', async (opset) => {
    const outcome = await compileRow(network({ ...form, deadFilters: [1, 3] }), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: 3 + 2, changesAgain: false });
  });

  test('of constants that are spread over places one channel stays to carry them', async () => {
    const outcome = await compileRow(network({ ...form, deadFilters: [1, 3], meaning: 'zero' }));
    expect(outcome).toMatchObject({ equal: true, removed: 3 - 1 + 2, changesAgain: false });
  });
});

test('constants of which every place sees the whole sum go into the bias', async () => {
  const outcome = await compileRow(network({ kernel: [1, 1], meaning: 'zero' }));
  expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
});

test('a layer that reads nothing but constants keeps one', async () => {
  const given = { dead: [0, 1, 2, 3, 4, 5], meaning: 'zero', attributes: { strides: [2, 2] } } as const;
  expect(await compileRow(network(given))).toMatchObject({ equal: true, removed: 5, changesAgain: false });
});

describe('groups', () => {
  const depthwise = { group: CHANNELS, out: CHANNELS, attributes: { strides: [2, 2] } };
  const pairs = { group: 2, out: 4, kernel: [3, 3], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } };

  test.each([true, false])('of a depthwise layer dead channels go with their filters, bias: %s', async (hasBias) => {
    const outcome = await compileRow(network({ ...depthwise, hasBias }));
    expect(outcome).toMatchObject({ equal: true, removed: 3 + 3, changesAgain: false });
  });

  test('a depthwise filter without weights needs no input', async () => {
    const given = { ...depthwise, dead: [], deadFilters: [0] };
    expect(await compileRow(network(given))).toMatchObject({ equal: true, removed: 1 + 1, changesAgain: false });
  });

  test('constants that a depthwise layer spreads over places stay', async () => {
    expect(await compileRow(network({ ...depthwise, meaning: 'zero' }))).toMatchObject({ equal: true, removed: 0 });
  });

  test('each channel of a depthwise layer may have several filters', async () => {
    const given = { ...depthwise, out: 2 * CHANNELS };
    expect(await compileRow(network(given))).toMatchObject({ equal: true, removed: 3 + 6, changesAgain: false });
  });

  test.each(MEANINGS)('a group goes whole, where all of its channels are 0: meaning %s', async (meaning) => {
    // What is left has one group, of which channel 4 goes alone.
    const outcome = await compileRow(network({ ...pairs, dead: [0, 1, 2, 4], meaning }));
    expect(outcome).toMatchObject({ equal: true, removed: meaning === 'drop' ? 3 + 2 + 1 : 0 });
  });

  test('a group goes whole where it has no weights', async () => {
    const outcome = await compileRow(network({ ...pairs, dead: [], deadFilters: [0, 1] }));
    expect(outcome).toMatchObject({ equal: true, removed: 3 + 2, changesAgain: false });
  });

  test.each([7, 11, 22])('as many go from every group, others of each, opset %d', async (opset) => {
    const outcome = await compileRow(network({ ...pairs, dead: [0, 1, 4] }), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: 2 });
  });

  test('of constants one channel of each group stays to carry the others', async () => {
    const outcome = await compileRow(network({ ...pairs, dead: [0, 2, 3, 4], meaning: 'zero' }));
    expect(outcome).toMatchObject({ equal: true, removed: 2 });
  });

  test('as many filters go from every group', async () => {
    const up = (g: GraphBuilder, x: string) => {
      const { data, dims } = weights(pairs);
      // Filter 1 of the first group and filter 0 of the second.
      for (let channel = 0; channel < CHANNELS; channel++) {
        const start = (2 * channel + (channel < CHANNELS / 2 ? 1 : 0)) * 9;
        data.fill(0, start, start + 9);
      }
      return g.op('ConvTranspose', [x, { data, dims }], { ...pairs.attributes, group: pairs.group });
    };
    expect(await compileRow(network({ ...pairs, dead: [] }, up))).toMatchObject({ equal: true, removed: 2 });
  });

  test('a part of a group stays', async () => {
    const outcome = await compileRow(network({ ...pairs, dead: [0, 1], deadFilters: [1] }));
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('what stays', () => {
  test('channels that computed weights read', async () => {
    const computed = (g: GraphBuilder, x: string) => {
      const { data, dims } = weights({});
      const scaled = g.op('Mul', [{ data, dims }, g.input('s', [1])]);
      return g.op('ConvTranspose', [x, scaled], { strides: [2, 2] });
    };
    expect(await compileRow(network({}, computed))).toMatchObject({ equal: true, removed: 0 });
  });

  test('channels beside a computed bias', async () => {
    const computed = (g: GraphBuilder, x: string) =>
      g.op('ConvTranspose', [x, weights({}), g.input('b', [FILTERS])], { strides: [2, 2] });
    expect(await compileRow(network({}, computed))).toMatchObject({ equal: true, removed: 0 });
  });
});

test.each([
  ['one axis', [2, 3, 9], [4]],
  ['three axes', [1, 3, 4, 3, 5], [2, 2, 2]],
] as const)('%s of places', async (_, dims, kernel) => {
  const build = (g: GraphBuilder) => {
    const x = g.input('x', dims);
    const ones = kernel.map(() => 1);
    const first = { data: normals(1, 'w', CHANNELS * 3).fill(0, 3, 9), dims: [CHANNELS, 3, ...ones] };
    const hidden = g.relu(g.op('Conv', [x, first]));
    const pooled = g.op('MaxPool', [hidden], { kernel_shape: kernel.map(() => 2), strides: ones });
    const up = g.op('ConvTranspose', [pooled, weights({ kernel, deadFilters: [0] })], { strides: kernel });
    const means = g.op('AveragePool', [g.relu(up)], { kernel_shape: kernel });
    g.output(g.op('Conv', [means, { data: normals(2, 'r', 2 * FILTERS), dims: [2, FILTERS, ...ones] }]));
  };
  expect(await compileRow(build)).toMatchObject({ equal: true, removed: 2 + 1, changesAgain: false });
});
