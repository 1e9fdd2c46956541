/** A model and what was made of it, run at all small image sizes. */
import * as ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import { createSession } from '../../src/runtime/session.js';

/** Sums of some hundred products of size 1: 16 epsilons of the output's scale. */
export const TOLERANCE = { float32: 16 * 2 ** -23, float16: 16 * 2 ** -10 };

/** Extents of the largest image along each axis, by rank. */
const LARGEST: readonly number[] = [1, 9, 7, 3];

async function run(session: ort.InferenceSession, dims: readonly number[]) {
  const count = dims.reduce((total, dim) => total * dim, 1);
  const [y] = Object.values(await session.run({ x: new ort.Tensor(normals(3, 'x', count), [...dims]) }));
  if (y === undefined) throw new Error('no output');
  return { dims: y.dims, values: Array.from(y.data as Float32Array, Number) };
}

/**
 * How many sizes both agree at, x being [2, 2, spatial…]; those that the first cannot be run at are
 * left out.
 */
export async function agreeingSizes(
  model: Uint8Array,
  made: Uint8Array,
  { rank = 2, tolerance = TOLERANCE.float32 }: { rank?: number; tolerance?: number } = {},
): Promise<number> {
  const [reference, candidate] = [await createSession(model), await createSession(made)];
  const largest = LARGEST[rank] ?? 1;
  let agreeing = 0;
  for (let index = 0; index < largest ** rank; index++) {
    const spatial = Array.from({ length: rank }, (_, axis) => 1 + (Math.floor(index / largest ** axis) % largest));
    const dims = [2, 2, ...spatial];
    const wanted = await run(reference, dims).catch(() => undefined);
    if (wanted === undefined) continue;
    const found = await run(candidate, dims);
    expect(found.dims).toEqual(wanted.dims);
    const scale = Math.max(...wanted.values.map(Math.abs));
    const worst = Math.max(...wanted.values.map((value, at) => Math.abs(value - (found.values[at] ?? Number.NaN))));
    expect(worst).toBeLessThanOrEqual(tolerance * scale);
    agreeing += 1;
  }
  for (const session of [reference, candidate]) await session.release();
  return agreeing;
}
