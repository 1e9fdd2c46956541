/**
 * Images as networks read them: decoded, turned upright, scaled and cut to a size, channel by
 * channel (NCHW) or pixel by pixel (NHWC), minus a mean and divided by a deviation. The decoding and
 * scaling is that of sharp (libvips), which is an optional package.
 */
import type sharp from 'sharp';
import { messageOf, PruneCompileError } from '../errors.js';
import { FLOAT, Tensor } from '../ir/tensor.js';
import { readWhole } from './arrays.js';
import { unusable } from './samples.js';

export const IMAGE_EXTENSIONS: readonly string[] = ['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff'];

export interface ImageOptions {
  /** Of each channel, for values from 0 to 1: `value / 255 - mean`. Default 0. */
  readonly mean?: readonly number[] | undefined;
  /** What that is divided by; default 1. */
  readonly std?: readonly number[] | undefined;
  /**
   * The shorter side is scaled to it, and the middle is cut to the size of the input (torchvision's
   * Resize and CenterCrop). Without it the image is scaled so that it covers the input.
   */
  readonly size?: number | undefined;
}

/** What the model takes of one image. */
export interface ImageLayout {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly isChannelsLast: boolean;
}

export const NORMALISATIONS = { mean: 0, std: 1 } as const;

const BRIGHTEST = 255;

/** [channels, height, width] or [height, width, channels] of float32. Throws E-INPUT-… and E-INPUTS. */
export async function readImage(path: string, layout: ImageLayout, options: ImageOptions): Promise<Tensor> {
  const { channels, height, width, isChannelsLast } = layout;
  const pixels = await decode(path, layout, options);
  const [mean, std] = [perChannel('mean', layout, options), perChannel('std', layout, options)];
  const values = new Float32Array(pixels.length);
  const places = height * width;
  for (let at = 0; at < pixels.length; at++) {
    const channel = at % channels;
    const value = ((pixels[at] ?? 0) / BRIGHTEST - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    values[isChannelsLast ? at : channel * places + Math.floor(at / channels)] = value;
  }
  const dims = isChannelsLast ? [height, width, channels] : [channels, height, width];
  return Tensor.of(FLOAT, dims, new Uint8Array(values.buffer));
}

/** One number serves all channels. */
function perChannel(name: keyof typeof NORMALISATIONS, { channels }: ImageLayout, options: ImageOptions): number[] {
  const given = options[name] ?? [NORMALISATIONS[name]];
  if (given.length === channels) return [...given];
  const [only = 0] = given;
  if (given.length === 1) return Array.from({ length: channels }, () => only);
  throw new PruneCompileError('E-INPUTS', {
    what: `--${name} has ${given.length} numbers, and the model reads images of ${channels} channels`,
    facts: [['try', `one number, or ${channels}`]],
  });
}

/** Row by row, the channels of a pixel side by side. */
async function decode(
  path: string,
  { channels, height, width }: ImageLayout,
  { size }: ImageOptions,
): Promise<Uint8Array> {
  const decoder = await loadSharp();
  const bytes = readWhole(path);
  try {
    const image = decoder(bytes, { failOn: 'error' });
    const { width: ownWidth, height: ownHeight } = (await image.metadata()).autoOrient;
    const scale =
      size === undefined ? Math.max(width / ownWidth, height / ownHeight) : size / Math.min(ownWidth, ownHeight);
    const [scaledWidth, scaledHeight] = [Math.round(ownWidth * scale), Math.round(ownHeight * scale)];
    if (scaledWidth < width || scaledHeight < height)
      throw new RangeError(
        `--size ${size} leaves ${scaledWidth}x${scaledHeight} pixels, and the model reads ${width}x${height}`,
      );
    const scaled = image.autoOrient().resize(scaledWidth, scaledHeight, { fit: 'fill', kernel: 'linear' });
    const cut = { left: (scaledWidth - width) >> 1, top: (scaledHeight - height) >> 1, width, height };
    // Transparent pixels show white, as on a page.
    const opaque = scaled.extract(cut).flatten({ background: '#ffffff' });
    const { data, info } = await opaque
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new RangeError(`it was decoded to ${info.channels} channels`);
    return data;
  } catch (error) {
    throw unusable(path, messageOf(error), 'a PNG, JPEG, WebP, GIF or TIFF file', error);
  }
}

async function loadSharp(): Promise<typeof sharp> {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    throw new PruneCompileError('E-INPUTS', {
      what: 'images cannot be read here',
      facts: [
        ['why', `the package sharp does not load: ${messageOf(error)}`],
        ['try', 'npm install sharp; or give arrays (.npy, .npz)'],
      ],
      cause: error,
    });
  }
}
