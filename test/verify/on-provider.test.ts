/**
 * The comparison on another provider, with sessions of the CPU in its place that compute as they
 * should, with a provider's own rounding, or wrongly.
 */
import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import type { RunSession } from '../../src/runtime/guarded-session.js';
import type { ProviderOptions } from '../../src/runtime/provider-options.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyOnProvider } from '../../src/verify/on-provider.js';

function network(outputs = 4): Uint8Array {
  const g = graphBuilder();
  const hidden = g.relu(g.conv(g.input('x', [1, 3, 8, 8]), { data: normals(1, 'w', 216), dims: [8, 3, 3, 3] }));
  g.output(g.conv(hidden, { data: normals(2, 'v', 8 * outputs), dims: [outputs, 8, 1, 1] }));
  return g.bytes();
}

const [REFERENCE, CANDIDATE] = [network(), network()];

type Change = (value: number, at: number) => number;

/** A provider that makes something of every result of the CPU. */
function provider(changes: { readonly reference?: Change; readonly candidate?: Change }) {
  return async (model: string | Uint8Array): Promise<RunSession> => {
    const session = await createSession(model);
    const change = (model === REFERENCE ? changes.reference : changes.candidate) ?? ((value: number) => value);
    return {
      outputNames: session.outputNames,
      inputMetadata: session.inputMetadata,
      outputMetadata: session.outputMetadata,
      release: () => session.release(),
      run: async (feeds) => {
        const results = Object.entries(await session.run(feeds));
        return Object.fromEntries(
          results.map(([name, { data, dims }]) => [
            name,
            new Tensor(
              'float32',
              Float32Array.from(data as Float32Array, (value, at) => change(value, at)),
              dims,
            ),
          ]),
        );
      },
    };
  };
}

const FULL: ProviderOptions = new Map([['use_tf32', '0']]);
const verify = (changes: Parameters<typeof provider>[0], providerOptions: ProviderOptions = FULL) =>
  verifyOnProvider(REFERENCE, CANDIDATE, { provider: 'cuda', providerOptions, open: provider(changes) });

/** 10 bits of mantissa, as TF32 has them. */
const rounded: Change = (value) => {
  const bits = new Uint32Array(new Float32Array([value]).buffer);
  bits[0] = ((bits[0] ?? 0) + 0x1000) & ~0x1fff;
  return new Float32Array(bits.buffer)[0] ?? 0;
};

describe('verify on a provider', () => {
  test('equal models are equal, and where they ran is told', async () => {
    expect(await verify({})).toMatchObject({ equal: true, provider: 'cuda', tf32: false, difference: 0 });
    const { boundReason, cases } = await verify({});
    expect(boundReason).toContain('the provider against the CPU');
    expect(cases.length).toBeGreaterThan(3);
  });

  test('a wrong result for the second model alone is caught', async () => {
    const wrong: Change = (value, at) => (at === 5 ? value + 1e-3 : value);
    const { equal, reason, worstOutput } = await verify({ candidate: wrong });
    expect([equal, worstOutput]).toEqual([false, expect.any(String)]);
    expect(reason).toMatch(/differs by \d\.\de-\d of its scale, \d\.\de-\d was allowed$/);
  });

  test('a wrong result for both is caught: it is no rounding of what the CPU computes', async () => {
    const wrong: Change = (value, at) => (at === 5 ? value + 0.01 : value);
    const { equal, reason, difference } = await verify({ reference: wrong, candidate: wrong });
    expect([equal, difference]).toEqual([false, 1]);
    expect(reason).toMatch(/^the provider computes something else than the CPU, for the first model already: /);
  });

  test("TF32's own rounding is the measure where TF32 is on, and too much where it is off", async () => {
    const both = { reference: rounded, candidate: rounded };
    const on = await verify(both, new Map());
    expect(on).toMatchObject({ equal: true, tf32: true });
    expect(on.noise).toBeGreaterThan(1e-5);
    expect(on.bound).toBeGreaterThanOrEqual(8 * on.noise);
    expect((await verify(both)).reason).toMatch(/computes something else than the CPU/);
    // What TF32 does not explain is still seen.
    const wrong: Change = (value, at) => rounded(value, at) * (at === 5 ? 1.2 : 1);
    expect((await verify({ reference: rounded, candidate: wrong }, new Map())).equal).toBe(false);
  });

  test('NaN is no rounding', async () => {
    const { equal, reason } = await verify({ candidate: (value, at) => (at === 0 ? Number.NaN : value) });
    expect([equal, reason]).toEqual([false, expect.stringContaining('NaN or infinity at 1 places')]);
  });

  test('a second model that does not run there is not equal; a first one is an error', async () => {
    const fails: Change = () => {
      throw new Error('no kernel');
    };
    expect(await verify({ candidate: fails })).toMatchObject({ equal: false, fails: true });
    await expect(verify({ reference: fails })).rejects.toThrow('no kernel');
  });

  test('another interface is not equal', async () => {
    const open = provider({});
    const found = await verifyOnProvider(REFERENCE, network(5), { provider: 'cuda', open });
    expect(found).toMatchObject({ equal: false, reason: expect.stringContaining('shape') });
  });
});
