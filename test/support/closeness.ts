/** Both models on the same random input, compared to the scale of each output. */
import { expect } from 'vitest';
import * as ort from 'onnxruntime-node';
import { normals } from '../../fixtures/random.js';
import { createSession } from '../../src/runtime/session.js';

/** Sums of a few thousand float32 products in another order; docs/sparse.md names it. */
const LARGEST_DIFFERENCE = 2e-6;

export async function expectClose(
  reference: Uint8Array,
  candidate: Uint8Array,
  input: string,
  dims: readonly number[],
): Promise<void> {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const feeds = { [input]: new ort.Tensor('float32', Float32Array.from(normals(3, `input of ${size}`, size, 1)), dims) };
  const [wanted, found] = await Promise.all([outputsOf(reference, feeds), outputsOf(candidate, feeds)]);
  expect(Object.keys(found)).toEqual(Object.keys(wanted));
  for (const [name, right] of Object.entries(wanted)) {
    const given = found[name];
    expect(given?.dims).toEqual(right.dims);
    const [a, b] = [right.data as Float32Array, given?.data as Float32Array];
    const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? Number.NaN))), 0);
    expect(scale).toBeGreaterThan(0);
    if (!(difference <= LARGEST_DIFFERENCE * scale))
      throw new Error(`${name}: the largest difference is ${(difference / scale).toExponential(1)} of the output's scale`);
  }
}

async function outputsOf(model: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Record<string, ort.Tensor>> {
  const session = await createSession(model, { optimize: false });
  try {
    return (await session.run(feeds)) as Record<string, ort.Tensor>;
  } finally {
    await session.release();
  }
}
