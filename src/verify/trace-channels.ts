/** A value of which the candidate has fewer channels: are its channels among the reference's? */
import type { Tensor } from 'onnxruntime-node';
import { floatValues, scaleOf } from './compare.js';

export interface Narrowed {
  readonly difference: number;
  readonly narrowed: { readonly axis: number; readonly from: number; readonly to: number };
}

type Values = Float32Array | Float64Array;

/**
 * Undefined where the two do not differ in one extent alone. Compiled models keep the order of
 * channels, so that each is looked for behind the last that was found; the first that is found
 * serves, for what follows has the most left to choose from.
 */
export function compareChannels(a: Tensor, b: Tensor, bound: number): Narrowed | undefined {
  const axis = narrowerAxis(a.dims, b.dims);
  const [ours, theirs] = [floatValues(a), floatValues(b)];
  if (axis === undefined || ours === undefined || theirs === undefined || a.type !== b.type) return undefined;
  const [from, to] = [a.dims[axis] ?? 0, b.dims[axis] ?? 0];
  const inner = a.dims.slice(axis + 1).reduce((total, extent) => total * extent, 1);
  const outer = a.dims.slice(0, axis).reduce((total, extent) => total * extent, 1);
  const scale = scaleOf(ours) || 1;
  const distance = (channel: number, other: number, most: number) =>
    distanceBetween(
      { values: ours, channel, of: from },
      { values: theirs, channel: other, of: to },
      { inner, outer, most: most * scale },
    ) / scale;
  let [next, difference] = [0, 0];
  for (let other = 0; other < to; other++) {
    let nearest = Number.POSITIVE_INFINITY;
    let at = next;
    for (; at < from && nearest > bound; at++) nearest = Math.min(nearest, distance(at, other, nearest));
    difference = Math.max(difference, Number.isFinite(nearest) ? nearest : 1);
    if (nearest > bound) break;
    next = at;
  }
  return { difference, narrowed: { axis, from, to } };
}

function narrowerAxis(ours: readonly number[], theirs: readonly number[]): number | undefined {
  if (ours.length !== theirs.length) return undefined;
  const axes = ours.flatMap((extent, axis) => (extent === theirs[axis] ? [] : [axis]));
  const [axis] = axes;
  return axes.length === 1 && axis !== undefined && (theirs[axis] ?? 0) < (ours[axis] ?? 0) ? axis : undefined;
}

interface Channel {
  readonly values: Values;
  readonly channel: number;
  /** How many channels there are. */
  readonly of: number;
}

/** Largest difference; ends where it is known to be more than `most`. NaN equals NaN alone. */
function distanceBetween(
  a: Channel,
  b: Channel,
  { inner, outer, most }: { readonly inner: number; readonly outer: number; readonly most: number },
): number {
  let largest = 0;
  for (let block = 0; block < outer; block++) {
    const [start, other] = [(block * a.of + a.channel) * inner, (block * b.of + b.channel) * inner];
    for (let at = 0; at < inner; at++) {
      const [x = 0, y = 0] = [a.values[start + at], b.values[other + at]];
      if (Object.is(x, y)) continue;
      const difference = Math.abs(x - y);
      if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
      if (largest > most) return largest;
    }
  }
  return largest;
}
