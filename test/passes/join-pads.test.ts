/** Convolutions take padding over where it is of zeros, known, and of the image alone. */
import { describe, expect, test } from 'vitest';
import {
  type ConvOptions,
  graphBuilder,
  type GraphBuilder,
  type Input,
  int64,
  scalar,
} from '../../fixtures/networks/graph-builder.js';
import { compileRow, layer, MEANINGS } from '../differential/row-network.js';
import { weights } from './dead-pair.js';
import { changed, unchanged } from './run-pass.js';

type Pad = (g: GraphBuilder, x: string) => string;

const PADS = [0, 0, 1, 2, 0, 0, 0, 1];
const ZEROS: Pad = (g, x) => g.pad(x, PADS);

/** x [2, 2, 4, w] -> Pad -> Conv of 3x3 places, of as many channels as come in. */
function bytesOf(
  pad: Pad,
  { opset = 17, from = 2, conv = {} }: { opset?: number; from?: number; conv?: ConvOptions } = {},
) {
  const g = graphBuilder({ opset });
  g.output(g.conv(pad(g, g.input('x', [2, 2, 4, 'w'])), weights('w', [3, from, 3]), conv));
  return g.bytes();
}

describe('joined', () => {
  test('padding at one side, added to what the convolution pads', async () => {
    expect(await changed('join-pads', bytesOf(ZEROS, { conv: { pads: [0, 1, 1, 0] } }))).toMatchInlineSnapshot(`
      inputs: x [2,2,4,w]
      Pad_output_0 [2,2,5,?] = Pad(x, Pad.1 int64 [8] {0 0 1 2 0 0 0 1}, Pad.2 [] {0}) mode=constant
      Conv_output_0 [2,3,4,?] = Conv(Pad_output_0, Conv.1 [3,2,3,3]) pads=0,1,1,0
      outputs: Conv_output_0
      =>
      inputs: x [2,2,4,w]
      Pad_output_0 [2,2,5,?] = Pad(x, Pad.1 int64 [8] {0 0 1 2 0 0 0 1}, Pad.2 [] {0}) mode=constant
      Conv_output_0 [2,3,4,?] = Conv(x, Conv.1 [3,2,3,3]) pads=1,3,1,1
      outputs: Conv_output_0
    `);
  });

  test.each([7, 11, 13, 18])('at opset %d', async (opset) => {
    expect(await changed('join-pads', bytesOf(ZEROS, { opset }))).toContain('Conv(x');
  });

  test('a list of axes', async () => {
    const pad: Pad = (g, x) => g.op('Pad', [x, int64([2, 1]), scalar(0), int64([-1])]);
    expect(await changed('join-pads', bytesOf(pad, { opset: 18 }))).toContain('Conv(x');
  });

  test('a convolution that pads nothing by its name', async () => {
    const valid: Pad = (g, x) => g.op('Conv', [ZEROS(g, x), weights('v', [2, 2, 3])], { auto_pad: 'VALID' });
    expect(await changed('join-pads', bytesOf(valid))).toContain('Conv(x');
  });

  test.each(MEANINGS)('dead channels in front go, meaning %s', async (meaning) => {
    const network = (g: GraphBuilder) => {
      const x = g.input('x', [1, 3, 'h', 'w']);
      const hidden = g.relu(layer(g, x, { name: 'first', out: 6, from: 3, dead: [0, 2, 3], meaning }));
      const padded = g.pad(hidden, [0, 0, 2, 0, 0, 0, 0, 3]);
      g.output(layer(g, padded, { name: 'second', out: 4, from: 6, size: 3 }));
    };
    const sizes = [{ x: [1, 3, 8, 6] }, { x: [1, 3, 1, 2] }];
    expect(await compileRow(network, { sizes })).toMatchObject({ equal: true, removed: 3, changesAgain: false });
  });
});

describe('left as they are', () => {
  const padOp = (g: GraphBuilder, x: string, pads: Input, mode = 'constant') =>
    g.op('Pad', [x, pads, scalar(0)], { mode });

  test.each<{ name: string; pad: Pad; from?: number }>([
    { name: 'another number than 0', pad: (g, x) => g.pad(x, PADS, 1) },
    { name: 'an image that is cut off', pad: (g, x) => g.pad(x, [0, 0, -1, 0, 0, 0, 0, 2]) },
    { name: 'channels that are added', pad: (g, x) => g.pad(x, [0, 1, 1, 1, 0, 0, 1, 1]), from: 3 },
    { name: 'images that are added to the batch', pad: (g, x) => g.pad(x, [1, 0, 1, 1, 0, 0, 1, 1]) },
    { name: 'mirrored images', pad: (g, x) => padOp(g, x, int64([0, 0, 1, 1, 0, 0, 1, 1]), 'reflect') },
    {
      name: 'padding that the run tells',
      pad: (g, x) => padOp(g, x, g.op('Mul', [g.op('Tile', [g.op('Shape', [x]), int64([2])]), int64(PADS)])),
    },
  ])('$name', async ({ pad, from = 2 }) => {
    expect(await unchanged('join-pads', bytesOf(pad, { from }))).toContain('Conv(Pad');
  });

  test('a convolution that pads by the size of its image', async () => {
    const same: Pad = (g, x) => g.op('Conv', [ZEROS(g, x), weights('v', [2, 2, 3])], { auto_pad: 'SAME_UPPER' });
    expect(await unchanged('join-pads', bytesOf(same))).toContain('Conv(Pad');
  });
});
