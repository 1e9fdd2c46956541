/** Resize and Upsample in all their forms, between a layer with dead filters and its reader. */
import { describe, expect, test } from 'vitest';
import { type Dim, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { compileRow, layer, MEANINGS, type Meaning } from './row-network.js';

const CHANNELS = 6;
const DEAD = [1, 2, 4];

type Resizing = (g: GraphBuilder, x: string) => string;

interface Case {
  readonly meaning?: Meaning;
  readonly dims?: readonly Dim[];
  /** How many channels the reader has. */
  readonly read?: number;
}

/** x -> 6 filters, 3 of them dead -> Relu -> the operator -> 1x1 convolution. */
function network(resizing: Resizing, { meaning = 'drop', dims = [2, 3, 5, 4], read = CHANNELS }: Case = {}) {
  return (g: GraphBuilder) => {
    const x = g.input('x', dims);
    // Not 0 where the filters are dead and keep their bias.
    const hidden = g.op('Sigmoid', [layer(g, x, { name: 'made', out: CHANNELS, from: 3, dead: DEAD, meaning })]);
    const resized = resizing(g, meaning === 'drop' ? g.op('Sub', [hidden, { data: [0.5] }]) : hidden);
    g.output(layer(g, resized, { name: 'reader', out: 3, from: read }));
  };
}

const resize =
  (inputs: Parameters<GraphBuilder['op']>[1], attributes: Parameters<GraphBuilder['op']>[2] = {}): Resizing =>
  (g, x) =>
    g.op('Resize', [x, ...inputs], attributes);
const upsample = (g: GraphBuilder, x: string, mode: string) =>
  g.opset < 9
    ? g.op('Upsample', [x], { mode, scales: { floats: [1, 1, 2, 2] } })
    : g.op('Upsample', [x, { data: [1, 1, 2, 2] }], { mode });

const twice = { data: [1, 1, 2, 2] };
const odd = { data: [1, 1, 1.7, 0.6] };
const sizes = int64([2, CHANNELS, 9, 3]);
const asymmetric = { nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' };
const whole = { data: [0, 0, 0, 0, 1, 1, 1, 1] };
const crop = { mode: 'linear', coordinate_transformation_mode: 'tf_crop_and_resize' };

const FORMS: readonly (readonly [name: string, opset: number, resizing: Resizing])[] = [
  ['Upsample nearest', 7, (g, x) => upsample(g, x, 'nearest')],
  ['Upsample linear', 7, (g, x) => upsample(g, x, 'linear')],
  ['Upsample nearest', 9, (g, x) => upsample(g, x, 'nearest')],
  ['Upsample linear', 9, (g, x) => upsample(g, x, 'linear')],
  ['nearest by scales', 10, resize([twice], { mode: 'nearest' })],
  ['linear by scales', 10, resize([odd], { mode: 'linear' })],
  ['nearest by scales', 11, resize([{ data: [] }, twice], asymmetric)],
  ['nearest by sizes', 11, resize([{ data: [] }, { data: [] }, sizes], asymmetric)],
  ['linear by scales', 13, resize(['', odd], { mode: 'linear' })],
  ['linear by sizes', 13, resize(['', '', sizes], { mode: 'linear', coordinate_transformation_mode: 'align_corners' })],
  ['cubic by sizes', 13, resize(['', '', sizes], { mode: 'cubic' })],
  ['cubic inside alone', 13, resize(['', odd], { mode: 'cubic', exclude_outside: 1 })],
  ['against aliasing', 18, resize(['', '', sizes], { mode: 'linear', antialias: 1 })],
  ['cubic against aliasing', 18, resize(['', odd], { mode: 'cubic', antialias: 1, exclude_outside: 1 })],
  ['scales of some axes', 18, resize(['', { data: [0.6, 2] }], { mode: 'linear', axes: [-1, 2] })],
  ['sizes of some axes', 18, resize(['', '', int64([9, 3])], { mode: 'nearest', axes: [2, 3] })],
  ['no larger than', 18, resize(['', '', int64([9, 3])], { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' })],
  [
    'symmetric',
    19,
    resize(['', '', sizes], { mode: 'linear', coordinate_transformation_mode: 'half_pixel_symmetric' }),
  ],
];

describe.each(FORMS)('%s, opset %d', (_, opset, resizing) => {
  test.each(MEANINGS)('dead channels go, meaning %s', async (meaning) => {
    const outcome = await compileRow(network(resizing, { meaning }), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: DEAD.length, changesAgain: false });
  });
});

describe('computed sizes', () => {
  const shape = (g: GraphBuilder, x: string, from: number, to: number) =>
    g.slice(g.op('Shape', [x]), { axes: [0], starts: [from], ends: [to] });
  /** As exporters write it: batch and channels of the value itself. */
  const own: Resizing = (g, x) => {
    const places = g.mul(shape(g, x, 2, 4), int64([2, 3]));
    return g.op('Resize', [x, { data: [] }, { data: [] }, g.concat([shape(g, x, 0, 2), places], 0)], {
      mode: 'linear',
    });
  };
  const dims = ['batch', 3, 'height', 'width'];
  const inputs = [{ x: [2, 3, 5, 4] }, { x: [1, 3, 7, 3] }];

  test.each([11, 13, 18, 20])('follow the channels of the value itself, opset %d', async (opset) => {
    const outcome = await compileRow(network(own, { dims, meaning: 'zero' }), { opset, sizes: inputs });
    expect(outcome).toMatchObject({ equal: true, removed: DEAD.length, changesAgain: false });
  });

  test('the extents of another value are what they are', async () => {
    const other: Resizing = (g, x) => {
      const channels = g.slice(g.op('Shape', [g.op('Abs', [x])]), { axes: [0], starts: [0], ends: [2] });
      return g.op('Resize', [x, '', '', g.concat([channels, int64([9, 3])], 0)]);
    };
    expect(await compileRow(network(other, { dims }), { sizes: inputs })).toMatchObject({ equal: true, removed: 0 });
  });

  test('channels that are counted are not the value’s own', async () => {
    const counted: Resizing = (g, x) => {
      const list = g.concat([shape(g, x, 0, 1), int64([CHANNELS, 9, 3])], 0);
      return g.op('Resize', [x, '', '', list]);
    };
    expect(await compileRow(network(counted, { dims }), { sizes: inputs })).toMatchObject({ equal: true, removed: 0 });
  });

  test('channels that are counted anywhere else stay', async () => {
    const counted: Resizing = (g, x) => {
      const batchAndChannels = shape(g, x, 0, 2);
      g.output(batchAndChannels, undefined, 7);
      return g.op('Resize', [x, '', '', g.concat([batchAndChannels, int64([9, 3])], 0)]);
    };
    expect(await compileRow(network(counted, { dims }), { sizes: inputs })).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('what stays', () => {
  test('channels that are interpolated', async () => {
    const double = resize(['', { data: [1, 2, 1, 1] }], { mode: 'nearest' });
    const outcome = await compileRow(network(double, { read: 2 * CHANNELS }));
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });

  test('channels whose size is one of those of which the least counts', async () => {
    const fit = resize(['', '', int64([2, CHANNELS, 5, 4])], { keep_aspect_ratio_policy: 'not_larger' });
    expect(await compileRow(network(fit), { opset: 18 })).toMatchObject({ equal: true, removed: 0 });
  });

  test('channels of which a part is cut out', async () => {
    const part = { data: [0, 0.2, 0, 0, 1, 0.8, 1, 1] };
    const cropped = resize([part, { data: [1, 1, 1, 1] }], { ...crop, mode: 'nearest' });
    expect(await compileRow(network(cropped))).toMatchObject({ equal: true, removed: 0 });
  });

  test('constants of which a part lies outside the image', async () => {
    const wider = { data: [0, 0, -0.2, 0, 1, 1, 1.3, 1] };
    const cropped = resize([wider, twice], crop);
    expect(await compileRow(network(cropped, { meaning: 'zero' }))).toMatchObject({ equal: true, removed: 0 });
    // Zeros are what lies there, too.
    expect(await compileRow(network(cropped))).toMatchObject({ equal: true, removed: DEAD.length });
    expect(await compileRow(network(resize([whole, twice], crop)))).toMatchObject({ equal: true, removed: 3 });
  });
});
