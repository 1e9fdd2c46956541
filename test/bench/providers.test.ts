import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { benchModels } from '../../src/bench/benchmark.js';
import { parseProviders, providerProblem, requireProvider } from '../../src/bench/providers.js';

describe('parseProviders', () => {
  test('takes a comma-separated list or an array', () => {
    expect(parseProviders('cpu, WebGPU,cpu')).toEqual(['cpu', 'webgpu']);
    expect(parseProviders(['cuda', 'tensorrt'])).toEqual(['cuda', 'tensorrt']);
  });

  test.each(['gpu', 'cpu,cudnn', ''])('refuses %j and names those that exist', (text) => {
    expect(() => parseProviders(text)).toThrow(
      expect.objectContaining({ code: 'E-USAGE', facts: [['allowed', 'cpu, webgpu, cuda, tensorrt']] }),
    );
  });
});

describe('a provider that was asked for', () => {
  test('always works where it is the CPU', async () => {
    expect(await providerProblem('cpu')).toBeUndefined();
  });

  test.each(['webgpu', 'cuda', 'tensorrt'] as const)('is used or is an error with a reason: %s', async (provider) => {
    const g = graphBuilder();
    g.output(g.relu(g.input('x', [1, 4])));
    const bench = benchModels([{ name: 'relu', model: g.bytes() }], { provider, rounds: 2, warmUps: 1 });
    const problem = await providerProblem(provider);
    if (problem === undefined) {
      expect((await bench).provider).toBe(provider);
      return;
    }
    expect(problem).toMatch(/\w/);
    await expect(bench).rejects.toMatchObject({ code: 'E-PROVIDER', exitCode: 2 });
    await expect(requireProvider(provider)).rejects.toMatchObject({
      facts: expect.arrayContaining([['why', problem]]),
    });
  });
});
