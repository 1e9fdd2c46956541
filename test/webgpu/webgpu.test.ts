/**
 * Compiled networks on WebGPU, on whatever driver there is: results against the CPU's, and what is
 * said of the driver. Skipped with a message where WebGPU does not work.
 */
import { expect, test } from 'vitest';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { benchModels } from '../../src/bench/benchmark.js';
import { providerProblem } from '../../src/bench/providers.js';
import { compileModel } from '../../src/compile.js';
import { benchmarkPlace } from '../../src/report/summary.js';
import { softwareDriver } from '../../src/runtime/software-driver.js';
import { verifyOnProvider } from '../../src/verify/on-provider.js';
import { needs } from '../support/needs.js';

const problem = await providerProblem('webgpu');
const WEBGPU = needs({
  present: problem === undefined,
  missing: 'WebGPU does not work here',
  remedy: 'a GPU and its driver, or SwiftShader (docs/gpu.md); then npm run test:webgpu',
});

const OPTIONS = { masks: 'mul', meaning: 'zero', choice: { kind: 'inner', fraction: 0.5 }, size: 32 } as const;

test.each(['resnet18', 'resnet50'] as const)(
  '%s, masked and compiled, computes what the CPU does',
  WEBGPU,
  async (name) => {
    const masked = resnet(name, { ...OPTIONS, width: 8 }).bytes();
    const compiled = (await compileModel(masked, { target: 'webgpu' })).encode();
    const found = await verifyOnProvider(masked, compiled, { provider: 'webgpu' });
    expect(found).toMatchObject({ equal: true, provider: 'webgpu' });
    // The provider's results and the CPU's, relative to the output's scale.
    expect(found.noise).toBeLessThan(2e-5);
    expect(found.softwareDriver).toBe(softwareDriver('webgpu'));
    // Another network is not equal.
    const other = resnet(name, { ...OPTIONS, width: 8, choice: { kind: 'inner', fraction: 0.6 } }).bytes();
    expect(await verifyOnProvider(masked, other, { provider: 'webgpu' })).toMatchObject({ equal: false });
  },
);

test('a benchmark names the driver if it is software', WEBGPU, async () => {
  const model = resnet('resnet18', { ...OPTIONS, width: 4 }).bytes();
  const contenders = ['a', 'b'].map((name) => ({ name, model }));
  const measured = await benchModels(contenders, { provider: 'webgpu', rounds: 3, warmUps: 1 });
  const driver = softwareDriver('webgpu');
  expect(measured.softwareDriver).toBe(driver);
  expect(benchmarkPlace(measured)).toBe(driver === undefined ? 'WebGPU' : `WebGPU, ${driver}: software, no GPU`);
});
