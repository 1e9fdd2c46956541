/** Models that ONNX Runtime runs only as its optimiser rearranges them. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { createSession } from '../../src/runtime/session.js';
import { randomFeeds } from '../../src/runtime/inputs.js';
import { verifyModels } from '../../src/verify/verify.js';
import { needs } from '../support/needs.js';

const SIZE = 60;

/**
 * The plain kernel of the pool computes a negative padding and refuses it; the one of the blocked
 * layout ignores that padding.
 */
function pooled(channels: number, dead = 0, shift = 0): Uint8Array {
  const g = graphBuilder();
  const weights = normals(5, 'a', channels * 27, 0.2).fill(0, 0, dead * 27);
  const bias = normals(5, 'b', channels, 0.3).map((value, at) => (at === channels - 1 ? value + shift : value));
  const first = g.conv(
    g.input('x', [1, 3, SIZE, SIZE]),
    { data: weights, dims: [channels, 3, 3, 3] },
    { pads: 1, bias: { data: bias }, name: 'first' },
  );
  const window = { kernel_shape: [1, 1], strides: [2, 2], auto_pad: 'SAME_UPPER' };
  const pool = g.op('MaxPool', [first], window, { name: 'pool' });
  g.output(g.conv(pool, { data: normals(5, 'c', 8 * channels * 9, 0.2), dims: [8, channels, 3, 3] }, { pads: 1 }));
  return g.bytes();
}

async function runs(model: Uint8Array, optimize: boolean): Promise<boolean> {
  const session = await createSession(model, { optimize });
  const inputs = session.inputMetadata.filter((input) => input.isTensor);
  try {
    await session.run(randomFeeds(inputs, { x: [1, 3, SIZE, SIZE] }, 1));
    return true;
  } catch {
    return false;
  } finally {
    await session.release();
  }
}

/**
 * Where the processor has no blocked kernels, or a later ONNX Runtime mends the plain one, there is
 * nothing to test.
 */
const needsOptimisedOnly = needs({
  present: (await runs(pooled(32), true)) && !(await runs(pooled(32), false)),
  missing: 'ONNX Runtime runs a padded pool in the same way with its optimisations and without them on this processor',
  remedy: 'run it on an x64 processor',
});
const NOTE =
  /^the reference runs with ONNX Runtime's graph optimisations only \(without them: .*padding values must be non-negative\): both models were compared with them$/;

describe('a reference that runs optimised only', needsOptimisedOnly, () => {
  test('is compared optimised, and a note says so', async () => {
    const result = await verifyModels(pooled(32), pooled(32));
    expect(result).toMatchObject({ equal: true, optimised: true });
    expect(result.notes[0]).toMatch(NOTE);
    expect(result.boundReason).not.toContain('optimised against not');
  });

  test('equals what is compiled from it', async () => {
    const made = await compileModel(pooled(32, 16), { align: 1 });
    expect(made.report.after.channels).toBeLessThan(made.report.before.channels);
    expect(await verifyModels(pooled(32, 16), made.encode())).toMatchObject({ equal: true, optimised: true });
  });

  test('does not equal a model with one bias moved by 1e-3', async () => {
    const result = await verifyModels(pooled(32), pooled(32, 0, 1e-3));
    expect(result).toMatchObject({ equal: false, optimised: true });
    expect(result.fails).toBeUndefined();
    expect(result.difference).toBeGreaterThan(4 * result.bound);
  });

  test('does not equal a compiled model that does not run, which is said with its reason', async () => {
    const made = await compileModel(pooled(32, 3), { align: 1 });
    const result = await verifyModels(pooled(32, 3), made.encode());
    expect(result).toMatchObject({ equal: false, optimised: true, fails: true });
    expect(result.reason).toMatch(
      /^the compiled model fails at x=1,3,60,60, where the reference runs: .*padding values must be non-negative$/,
    );
  });

  test('is an error where it is the reference that runs neither way', async () => {
    await expect(verifyModels(pooled(29), pooled(32))).rejects.toMatchObject({ code: 'E-MODEL-RUNTIME' });
  });
});
