/**
 * Single values that rounding moves far: sums that cancel, roots near zero. The noise of an output
 * (bound.ts) does not show them where the same sums cancel in every order that was tried, so the
 * reference is run again with everything moved that rounds (probe-models.ts), and each value that
 * is further off than the bound is held to a multiple of how far it moved itself. All other values
 * are held to the bound.
 */
import type * as ort from 'onnxruntime-node';
import { MOST_BOUND, NOISE_MULTIPLE } from './bound.js';
import { floatValues, sameList, scaleOf } from './compare.js';

/**
 * Runs with everything moved. A difference and the samples are draws of one bell-shaped error: that
 * all of 8 stay below an eighth of a difference of two standard deviations, which 5 % of
 * differences pass, has a probability of 0.2^8 = 3e-6 a value.
 */
export const STEEP_RUNS = 8;

export interface Steepness {
  /** How many of the values were further off than the bound. */
  readonly places: number;
  readonly of: number;
  /** Largest that a value was allowed, and that it moved by, divided by the output's scale. */
  readonly allowed: number;
  readonly noise: number;
}

/**
 * Undefined where a value differs by more than its own movement explains. `bound`: divided by the
 * scale, as are the results.
 */
export function steepnessOf(
  expected: ort.Tensor,
  found: ort.Tensor,
  moved: readonly ort.Tensor[],
  bound: number,
): Steepness | undefined {
  const [a, b] = [floatValues(expected), floatValues(found)];
  if (a === undefined || b === undefined || !sameList(expected.dims, found.dims)) return undefined;
  const samples = moved.map((tensor) => (sameList(tensor.dims, expected.dims) ? floatValues(tensor) : undefined));
  const scale = scaleOf(a) || 1;
  let places = 0;
  let lost = 0;
  let allowed = bound;
  let noise = 0;
  for (const [index, x] of a.entries()) {
    const y = b[index] ?? Number.NaN;
    if (Object.is(x, y)) continue;
    const difference = Math.abs(x - y) / scale;
    if (difference <= bound) continue;
    let own = 0;
    for (const sample of samples) {
      if (sample === undefined) return undefined;
      const movement = Math.abs((sample[index] ?? x) - x) / scale;
      if (Number.isFinite(movement)) own = Math.max(own, movement);
    }
    // NaN on one side fails here too.
    if (!(difference <= NOISE_MULTIPLE * own)) return undefined;
    places++;
    if (own > MOST_BOUND) lost++;
    allowed = Math.max(allowed, NOISE_MULTIPLE * own);
    noise = Math.max(noise, own);
  }
  // An output of which rounding leaves nothing is equal to any other.
  if (2 * lost > a.length) return undefined;
  return { places, of: a.length, allowed, noise };
}
