/** Images of a folder as networks read them. */
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readGiven } from '../../src/samples/given.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { copier, folder, npy } from './given-files.js';

/** Left half of one colour, right half of another. */
async function halves(
  width: number,
  height: number,
  left: readonly number[],
  right: readonly number[],
): Promise<Buffer> {
  const pixels = Array.from({ length: width * height }, (_, at) => (at % width < width / 2 ? left : right)).flat();
  return sharp(Buffer.from(pixels), { raw: { width, height, channels: left.length as 3 } })
    .png()
    .toBuffer();
}

const RED = [255, 0, 0] as const;
const BLUE = [0, 0, 51] as const;

const valuesOf = async (model: Uint8Array, inputs: string, options = {}) => {
  const given = await readGiven(model, { inputs, ...options });
  return given.feeds.flatMap((feed) => [...((feed['x']?.data ?? []) as Float32Array)]);
};

test('channel by channel or pixel by pixel, minus the mean, by the deviation', async () => {
  const { path, write } = folder();
  write('a.png', await halves(2, 1, RED, BLUE));
  expect(await valuesOf(copier(['n', 3, 1, 2]), path)).toEqual([1, 0, 0, 0, 0, 0.2].map(Math.fround));
  const tall = folder();
  tall.write('a.png', await halves(2, 2, RED, BLUE));
  const pixels = [1, 0, 0, 0, 0, 0.2, 1, 0, 0, 0, 0, 0.2].map(Math.fround);
  expect(await valuesOf(copier(['n', 2, 2, 3]), tall.path)).toEqual(pixels);
  const scaled = await valuesOf(copier(['n', 3, 1, 2]), path, { mean: [0.5, 0, 0], std: [0.5, 1, 0.1] });
  expect(scaled).toEqual([1, -1, 0, 0, 0, 2].map(Math.fround));
});

test('cut in the middle; --size is that of the shorter side', async () => {
  const { path, write } = folder();
  write('a.png', await halves(8, 4, RED, BLUE));
  const red = async (options = {}) => (await valuesOf(copier(['n', 3, 2, 2]), path, options)).slice(0, 4);
  expect(await red({ size: 4 })).toEqual([1, 0, 1, 0]);
  await expect(red({ size: 1 })).rejects.toMatchObject({ code: 'E-INPUTS' });
  // The model leaves the size open.
  expect(await valuesOf(copier(['n', 3, 'h', 'w']), path, { size: 4 })).toHaveLength(48);
  await expect(valuesOf(copier(['n', 3, 'h', 'w']), path)).rejects.toMatchObject({
    facts: expect.arrayContaining([['why', 'it leaves the size of images open: --size 224']]) as unknown,
  });
});

test('grey images for colour models, colour images for grey ones, transparent ones on white', async () => {
  const { path, write } = folder();
  write(
    'grey.png',
    await sharp(Buffer.of(0, 255), { raw: { width: 2, height: 1, channels: 1 } })
      .png()
      .toBuffer(),
  );
  expect(await valuesOf(copier(['n', 3, 1, 2]), path)).toEqual([0, 1, 0, 1, 0, 1]);
  expect(await valuesOf(copier(['n', 1, 1, 2]), path)).toEqual([0, 1]);
  const other = folder();
  other.write(
    'clear.png',
    await sharp(Buffer.of(9, 9, 9, 0), { raw: { width: 1, height: 1, channels: 4 } })
      .png()
      .toBuffer(),
  );
  expect(await valuesOf(copier(['n', 3, 1, 1]), other.path)).toEqual([1, 1, 1]);
});

test('upright, as the camera says', async () => {
  const { path, write } = folder();
  // Orientation 6: turned by 90 degrees clockwise when shown, so that left is up.
  const turned = await sharp(await halves(16, 8, RED, BLUE))
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 100 })
    .toBuffer();
  write('a.jpg', turned);
  const [first = 0, last = 1] = (await valuesOf(copier(['n', 3, 2, 1]), path)).slice(0, 2);
  // Colours of a JPEG are smeared over the border.
  expect([first > 0.7, last < 0.3]).toEqual([true, true]);
});

test('normalisation that does not fit, and arrays with options of images', async () => {
  const { path, write } = folder();
  write('a.png', await halves(2, 1, RED, BLUE));
  await expect(valuesOf(copier(['n', 3, 1, 2]), path, { mean: [1, 2] })).rejects.toMatchObject({
    code: 'E-INPUTS',
    what: '--mean has 2 numbers, and the model reads images of 3 channels',
  });
  const inputs = folder().write('x.npy', npy(FLOAT, [1, 2], [1, 2]));
  await expect(valuesOf(copier(['n', 2]), inputs, { std: [1] })).rejects.toMatchObject({ code: 'E-USAGE' });
  await expect(valuesOf(copier(['n', 2]), path)).rejects.toMatchObject({ code: 'E-INPUTS' });
});
