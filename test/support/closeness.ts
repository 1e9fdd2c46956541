/** Both models on the same random input, compared to the scale of each output. */
import { expect } from 'vitest';
import * as ort from 'onnxruntime-node';
import { normals } from '../../fixtures/networks/random.js';
import { createSession } from '../../src/runtime/session.js';

/**
 * Sums of a few thousand float32 products in another order; a wrong product shows at a thousand
 * times that.
 */
const LARGEST_DIFFERENCE = 2e-6;

/** Sizes by input; int64 inputs are token numbers. */
export async function expectClose(
  reference: Uint8Array,
  candidate: Uint8Array,
  sizes: Readonly<Record<string, readonly number[]>>,
): Promise<void> {
  const wanted = await outputsOf(reference, sizes);
  const found = await outputsOf(candidate, sizes);
  expect(Object.keys(found)).toEqual(Object.keys(wanted));
  for (const [name, right] of Object.entries(wanted)) {
    const given = found[name];
    expect(given?.dims).toEqual(right.dims);
    const [a, b] = [floats(right), floats(given)];
    const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(scale).toBeGreaterThan(0);
    const furthest = a.reduce((most, value, at) => {
      const difference = Math.abs(value - (b[at] ?? Number.NaN));
      return difference <= most ? most : difference;
    }, 0);
    if (!(furthest <= LARGEST_DIFFERENCE * scale))
      throw new Error(
        `${name}: the largest difference is ${(furthest / scale).toExponential(1)} of the output's scale`,
      );
  }
}

function floats(tensor: ort.Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error('an output is not of float32');
  return tensor.data;
}

async function outputsOf(
  model: Uint8Array,
  sizes: Readonly<Record<string, readonly number[]>>,
): Promise<Record<string, ort.Tensor>> {
  const session = await createSession(model, { optimize: false });
  try {
    const feeds: Record<string, ort.Tensor> = {};
    for (const meta of session.inputMetadata) {
      if (!meta.isTensor) throw new Error(`${meta.name} is no tensor`);
      const dims = sizes[meta.name] ?? meta.shape.map(Number);
      const size = dims.reduce((total, extent) => total * extent, 1);
      feeds[meta.name] =
        meta.type === 'int64'
          ? new ort.Tensor(
              'int64',
              BigInt64Array.from({ length: size }, (_, at) => BigInt(at % 2)),
              dims,
            )
          : new ort.Tensor('float32', Float32Array.from(normals(3, `${meta.name} of ${size}`, size, 1)), dims);
    }
    return { ...(await session.run(feeds)) };
  } finally {
    await session.release();
  }
}
