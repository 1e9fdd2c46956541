import { writeFileSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { benchModels } from '../../src/bench/benchmark.js';
import { PROBE_RESULT, PROBE_SHAPE, probeModel } from '../../src/bench/probe-model.js';
import { parseProviders, providerProblem, requireProvider } from '../../src/bench/providers.js';
import { ENGINE } from '../../src/cli/engine.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { modelFolder, run } from '../cli/run-command.js';

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
    expect([problem.why, problem.get]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
    await expect(bench).rejects.toMatchObject({ code: 'E-PROVIDER', exitCode: 2 });
    await expect(requireProvider(provider)).rejects.toMatchObject({
      facts: expect.arrayContaining([
        ['why', problem.why],
        ['try', problem.get],
      ]),
    });
  });
});

describe('the model that a provider is tried with', () => {
  test('has a convolution and a product, and the result that is expected', async () => {
    const session = await createSession(probeModel());
    const data = new Float32Array(PROBE_SHAPE.reduce((product, extent) => product * extent, 1)).fill(1);
    const { y } = await session.run({ x: new Tensor('float32', data, PROBE_SHAPE) });
    expect([...(y?.data ?? [])]).toEqual([...data].map(() => PROBE_RESULT));
    expect(readModel(probeModel()).graph.nodes.map(({ opType }) => opType)).toEqual(['Conv', 'MatMul']);
  });
});

test('without it bench stops before anything is measured: one error, the next step, never the CPU', async () => {
  const problem = await providerProblem('cuda');
  const { model } = modelFolder();
  writeFileSync(model, probeModel());
  const argv = ['bench', model, '--providers', 'cpu,cuda', '--runs', '3', '-q'];
  const { code, stdout, stderr } = await run(argv, { engine: ENGINE });
  // Where a card is at hand it is measured, and told apart from the processor.
  if (problem === undefined) expect([code, stdout]).toEqual([0, expect.stringMatching(/CUDA/)]);
  else {
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.match(/\[E-[A-Z]+\]/g)).toEqual(['[E-PROVIDER]']);
    expect(stderr).toMatch(/\n {2}why {7}\S[^]*\n {2}try {7}\S/);
  }
});
