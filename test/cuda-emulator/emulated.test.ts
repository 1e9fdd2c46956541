/**
 * The whole command on CUDA without a card: ONNX Runtime's real provider over stand-ins for NVIDIA's
 * libraries (standin.h). Times mean nothing here; placement, results and errors are real. The
 * command is a copy with an onnxruntime-node of its own: provider files lie beside the runtime.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import type { Benchmark } from '../../src/bench/results.js';
import type { Diagnosis } from '../../src/doctor.js';
import type { CompileReport } from '../../src/report/types.js';
import { runtimeFolder } from '../../src/runtime/runtime-folder.js';
import type { Verification } from '../../src/verify/verification.js';
import { isBuilt, LIBRARY, type Need, needs } from '../support/needs.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EMULATED = join(ROOT, 'out', 'cuda-emulated');

const EMULATOR: Need = {
  present: existsSync(join(EMULATED, 'lib', 'libcudnn.so.9')) && existsSync(join(ROOT, 'dist', 'src')),
  missing: 'the CUDA provider and its stand-ins are not there',
  remedy: 'npm run test:cuda-emulated (downloads the provider, 247 MB)',
};

let folder = '';
let app = '';
const at = (name: string): string => join(folder, name);

/** Code and runtime are copies, everything else is linked. */
function makeApp(): void {
  app = at('app');
  const modules = join(app, 'node_modules');
  mkdirSync(modules, { recursive: true });
  for (const name of ['bin', 'dist', 'package.json', 'kernels/prebuilds'])
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(app, name), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((found) => found !== 'onnxruntime-node'))
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  const runtime = join(ROOT, 'node_modules', 'onnxruntime-node');
  for (const name of ['dist', 'package.json'])
    cpSync(join(runtime, name), join(modules, 'onnxruntime-node', name), { recursive: true });
  cpSync(runtimeFolder(), beside(), { recursive: true });
  linkProviders();
}

function beside(): string {
  return join(
    app,
    'node_modules',
    'onnxruntime-node',
    runtimeFolder().slice(resolve(ROOT, 'node_modules/onnxruntime-node').length),
  );
}

function linkProviders(): void {
  for (const name of ['shared', 'cuda']) {
    const file = `libonnxruntime_providers_${name}.so`;
    if (!existsSync(join(beside(), file))) symlinkSync(join(EMULATED, 'provider', file), join(beside(), file));
  }
}

function prune(words: readonly string[], env: Readonly<Record<string, string>> = {}): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [join(app, 'bin/prune-compile.js'), ...words], {
    encoding: 'utf8',
    env: { ...process.env, XDG_CACHE_HOME: at('cache'), LD_LIBRARY_PATH: join(EMULATED, 'lib'), ...env },
  });
}

/** The words of an error on one line. */
const said = ({ stderr }: SpawnSyncReturns<string>): string => stderr.replace(/\s+/g, ' ');

const FULL = isBuilt ? ['--provider-option', 'use_tf32=0'] : [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'emulated-'));
  if (EMULATOR.present) makeApp();
  const g = graphBuilder();
  g.output(
    g.conv(g.input('x', [1, 2, 4, 4]), { data: Array.from({ length: 36 }, (_, i) => i / 36), dims: [2, 2, 3, 3] }),
  );
  writeFileSync(at('conv.onnx'), g.bytes());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('with all of it', needs(EMULATOR), () => {
  test('doctor finds that CUDA works', () => {
    const { runtime, missing } = JSON.parse(prune(['doctor', '--json']).stdout) as Diagnosis;
    expect(runtime.providers.find(({ name }) => name === 'cuda')).toMatchObject({ works: true });
    expect(missing.map(({ what }) => what)).not.toContain('the execution provider cuda');
  });

  test.each(['resnet18', 'resnet50'] as const)('%s, masked: compiled, compared and measured on CUDA', (name) => {
    const [masked, compiled] = [at(`${name}.onnx`), at(`${name}.pruned.onnx`)];
    const options = { masks: 'mul', meaning: 'zero', choice: { kind: 'inner', fraction: 0.5 }, size: 32 } as const;
    writeFileSync(masked, resnet(name, options).bytes());
    const made = prune([masked, '-o', compiled, '--bench', '--runs', '3', '--providers', 'cuda', '--json', ...FULL]);
    expect(made.status, made.stderr).toBe(0);
    const { benchmarks = [] } = JSON.parse(made.stdout) as CompileReport;
    expect(benchmarks).toMatchObject([{ provider: 'cuda', tf32: !isBuilt }]);
    // No node is left to the CPU.
    expect(benchmarks[0]?.notes.filter((note) => note.includes('CPU'))).toEqual([]);

    const words = ['verify', masked, compiled, '--providers', 'cuda', '--json', ...FULL];
    const found = prune(words);
    expect(found.status, found.stderr).toBe(0);
    const [verification] = (JSON.parse(found.stdout) as { verifications: Verification[] }).verifications;
    expect(verification).toMatchObject({ equal: true, provider: 'cuda' });
    // The provider's results and the CPU's, and the two models there.
    expect(verification?.noise).toBeLessThan(2e-6);
    expect(verification?.difference).toBeLessThan(2e-6);

    const wrong = prune(words, { EMULATED_WRONG: 'conv' });
    expect(wrong.status).toBe(1);
    expect(wrong.stdout).toContain('the provider computes something else than the CPU');
  });

  test('a sum and a product that are wrong are caught, too', () => {
    for (const [fault, model] of [
      ['add', at('resnet18.onnx')],
      ['product', at('resnet18.onnx')],
    ] as const) {
      const { status } = prune(['verify', model, model, '--providers', 'cuda', '-q', ...FULL], {
        EMULATED_WRONG: fault,
      });
      expect([fault, status]).toEqual([fault, 1]);
    }
  });

  test('bench measures there alone, and the table says so', () => {
    const { status, stdout } = prune(['bench', at('conv.onnx'), '--providers', 'cuda', '--runs', '3', '-q']);
    expect([status, stdout.split(',').slice(0, 2)]).toEqual([0, ['CUDA', ' TF32 on']]);
    expect(stdout).not.toContain('CPU');
  });

  test('TF32 is measured as noise, and its bound is wider', () => {
    const words = ['verify', at('resnet18.onnx'), at('resnet18.pruned.onnx'), '--providers', 'cuda', '--json'];
    const { status, stdout } = prune(words, { EMULATED_TF32: '1' });
    const [verification] = (JSON.parse(stdout) as { verifications: Verification[] }).verifications;
    expect([status, verification?.tf32]).toEqual([0, true]);
    expect(verification?.noise).toBeGreaterThan(1e-5);
  });

  test('a kernel that is not emulated ends with its name, not with a result', () => {
    const g = graphBuilder();
    g.output(g.op('Erf', [g.input('x', [1, 4])]));
    writeFileSync(at('erf.onnx'), g.bytes());
    const found = prune(['bench', at('erf.onnx'), '--providers', 'cuda', '--runs', '3', '-q']);
    expect([found.status, found.stdout]).toEqual([2, '']);
    expect(said(found)).toMatch(/not emulated: \S*Erf\S* .*\[E-MODEL-CRASH\]/);
  });
});

describe('options', needs(EMULATOR, LIBRARY), () => {
  test('reach the provider, which refuses those that it does not know', () => {
    const bench = (option: string) =>
      prune(['bench', at('conv.onnx'), '--providers', 'cuda', '--runs', '3', '--provider-option', option, '--json']);
    const { benchmarks } = JSON.parse(bench('cudnn_conv_algo_search=DEFAULT').stdout) as { benchmarks: Benchmark[] };
    expect(benchmarks[0]?.providerOptions).toEqual([{ name: 'cudnn_conv_algo_search', value: 'DEFAULT' }]);
    const refused = bench('no_such_option=1');
    expect([refused.status, refused.stdout]).toEqual([2, '']);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: { code: 'E-USAGE', what: expect.stringContaining('unknown provider option: "no_such_option"') },
    });
  });
});

describe('each missing piece', needs(EMULATOR), () => {
  const bench = (env: Readonly<Record<string, string>> = {}) => {
    const found = prune(['bench', at('conv.onnx'), '--providers', 'cuda', '--runs', '3'], env);
    expect([found.status, found.stdout]).toEqual([2, '']);
    expect(found.stderr.match(/\[E-[A-Z]+\]/g)).toEqual(['[E-PROVIDER]']);
    return said(found);
  };
  /** The stand-ins but one. */
  const without = (library: string) => {
    const lib = at(`without-${library}`);
    cpSync(join(EMULATED, 'lib'), lib, { recursive: true });
    rmSync(join(lib, library));
    return { LD_LIBRARY_PATH: lib };
  };

  test.each([
    ['libcudart.so.13', 'CUDA 13 libraries', 'doctor --get cuda'],
    ['libcublas.so.13', 'CUDA 13 libraries', 'doctor --get cuda'],
    ['libcublasLt.so.13', 'CUDA 13 libraries', 'doctor --get cuda'],
    ['libcurand.so.10', 'CUDA 13 libraries', 'doctor --get cuda'],
    ['libcudnn.so.9', 'cuDNN 9 for CUDA 13', 'doctor --get cuda'],
    ['libcuda.so.1', 'NVIDIA driver', 'an NVIDIA driver, version 580 or newer'],
  ])('%s', (library, part, remedy) => {
    const words = bench(without(library));
    expect(words).toContain(`why missing: ${part} (${library}) bundled`);
    expect(words.split(' try ')[1]).toContain(remedy);
  });

  test.each([
    [
      { EMULATED_FAILS: '35' },
      'the NVIDIA driver is too old for CUDA 13, or not there (CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version)',
    ],
    [{ EMULATED_FAILS: '100' }, 'no NVIDIA card is visible (CUDA failure 100: no CUDA-capable device is detected)'],
    [
      { EMULATED_CUDNN_FAILS: '1001' },
      'cuDNN finds no NVIDIA driver that it can use (CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED)',
    ],
  ])('%j', (env: Readonly<Record<string, string>>, words) => {
    expect(bench(env)).toContain(`why ${words}`);
  });

  test('the provider files', () => {
    for (const name of ['shared', 'cuda']) {
      const file = `libonnxruntime_providers_${name}.so`;
      rmSync(join(beside(), file));
      expect(bench()).toContain(`why missing: provider files (${file}) bundled`);
      linkProviders();
    }
  });
});
