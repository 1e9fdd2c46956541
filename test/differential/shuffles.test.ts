/** Shuffles of channels in the forms of exporters, of which other channels are dead in each group. */
import { expect, test } from 'vitest';
import { graphBuilder, int64, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';

const CHANNELS = 12;
/** One of them holds a constant other than 0. */
const DEAD = [0, 2, 4, 5, 9];

type Shuffle = (g: GraphBuilder, x: string) => string;

/** Extents as numbers, or those of an axis of x. */
function target(g: GraphBuilder, x: string, entries: readonly (number | `axis ${number}`)[]): string {
  const extent = (axis: number) => g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
  return g.concat(
    entries.map((entry) => (typeof entry === 'number' ? int64([entry]) : extent(Number(entry.slice(5))))),
    0,
  );
}

/** Places of 6 x 6, or of a size that only the run knows. */
const SHUFFLES: readonly (readonly [name: string, places: number | string, shuffle: Shuffle])[] = [
  [
    'five axes',
    6,
    (g, x) => g.reshape(g.transpose(g.reshape(x, [0, 3, 4, 6, 6]), [0, 2, 1, 3, 4]), [0, CHANNELS, 6, 6]),
  ],
  ['places in one axis', 6, (g, x) => g.reshape(g.transpose(g.reshape(x, [0, 3, 4, 36]), [0, 2, 1, 3]), [0, -1, 6, 6])],
  [
    'channels last',
    6,
    (g, x) => {
      const apart = g.reshape(g.transpose(x, [0, 2, 3, 1]), [0, 6, 6, 3, 4]);
      return g.transpose(g.reshape(g.transpose(apart, [0, 1, 2, 4, 3]), [0, 6, 6, CHANNELS]), [0, 3, 1, 2]);
    },
  ],
  [
    'all sizes computed',
    'size',
    (g, x) => {
      const apart = g.op('Reshape', [x, target(g, x, ['axis 0', 3, 4, 'axis 2', 'axis 3'])]);
      return g.op('Reshape', [
        g.transpose(apart, [0, 2, 1, 3, 4]),
        target(g, x, ['axis 0', CHANNELS, 'axis 2', 'axis 3']),
      ]);
    },
  ],
  [
    'all sizes computed, places in one axis',
    'size',
    (g, x) => {
      const apart = g.op('Reshape', [x, target(g, x, ['axis 0', 2, 6, -1])]);
      return g.op('Reshape', [
        g.transpose(apart, [0, 2, 1, 3]),
        target(g, x, ['axis 0', 'axis 1', 'axis 2', 'axis 3']),
      ]);
    },
  ],
  [
    'slices with steps',
    6,
    (g, x) =>
      g.concat([0, 1, 2, 3].map((start) => g.slice(x, { axes: [1], starts: [start], ends: [CHANNELS], steps: [4] }))),
  ],
];

function network(shuffle: Shuffle, places: number | string, dead: readonly number[]): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['batch', 3, places, places]);
  const weight = normals(1, 'first', CHANNELS * 27).map((value, at) =>
    dead.includes(Math.floor(at / 27)) ? 0 : value,
  );
  const bias = [...normals(1, 'bias', CHANNELS)].map((value, at) => (dead.includes(at) ? (at === 5 ? 0.5 : 0) : value));
  const y = g.relu(g.conv(x, { data: weight, dims: [CHANNELS, 3, 3, 3] }, { pads: 1, bias }));
  g.output(
    g.conv(shuffle(g, y), { data: normals(2, 'reader', 5 * CHANNELS * 9), dims: [5, CHANNELS, 3, 3] }, { pads: 1 }),
  );
  return g.bytes();
}

test.each(SHUFFLES)('%s', async (_, places, shuffle) => {
  const bytes = network(shuffle, places, DEAD);
  const compiled = await compileModel(bytes, { align: 1 });
  const output = compiled.encode();
  expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
  expect(compiled.report.layers[0]).toMatchObject({ keptOutputChannels: CHANNELS - DEAD.length });
  expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
  // Nothing is written where nothing goes.
  expect((await compileModel(network(shuffle, places, []), { align: 1 })).report.changed).toBe(false);
});

test('what is shuffled with other axes, or turned round, stays', async () => {
  const withPlaces: Shuffle = (g, x) =>
    g.reshape(g.transpose(g.reshape(x, [0, 3, 4, 6, 6]), [0, 2, 3, 1, 4]), [0, CHANNELS, 6, 6]);
  // The extents of a Slice backwards are in doubt.
  const backwards: Shuffle = (g, x) => g.slice(x, { axes: [1], starts: [-1], ends: [-100], steps: [-1] });
  for (const shuffle of [withPlaces, backwards])
    expect((await compileModel(network(shuffle, 6, DEAD), { align: 1 })).report.changed).toBe(false);
});
