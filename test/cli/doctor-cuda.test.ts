/**
 * `doctor --get cuda` and `--remove cuda` as a user sees them: what is asked first, what is said,
 * and that the command then starts with the libraries.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { mayAskForCuda, startEnvironment } from '../../src/cli/cuda-start.js';
import type { Engine } from '../../src/cli/engine.js';
import { CATALOGUE, downloadBytes, pipArguments, unpackedBytes } from '../../src/cuda/catalogue.js';
import type { GetPlan, Gotten } from '../../src/cuda/get.js';
import type { Diagnosis } from '../../src/doctor.js';
import { run, type Setting } from './run-command.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));

const PLAN: GetPlan = {
  catalogue: CATALOGUE,
  folder: '/cache/cuda/1.30.0',
  isThere: false,
  downloadBytes: downloadBytes(CATALOGUE),
  unpackedBytes: unpackedBytes(CATALOGUE),
  pip: ['python3', ...pipArguments(CATALOGUE, 'wheels')],
};

const GOTTEN: Gotten = {
  folder: PLAN.folder,
  wasThere: false,
  files: [{ path: 'lib/libcudart.so.13', sizeBytes: 2_000_000 }],
  linked: ['/app/bin/libonnxruntime_providers_cuda.so'],
  kept: [],
};

const NO_DRIVER = { why: 'missing: NVIDIA driver (libcuda.so.1)', get: 'an NVIDIA driver' };

function engine(parts: Partial<Engine> = {}) {
  const asked: unknown[] = [];
  const got: Partial<Engine> = {
    planCuda: () => Promise.resolve(PLAN),
    getCuda: (options) => {
      asked.push(options?.wheels ?? 'download');
      return Promise.resolve(GOTTEN);
    },
    tryCuda: () => Promise.resolve(NO_DRIVER),
    ...parts,
  };
  return { asked, engine: got };
}

describe('--get cuda', () => {
  test('prints sizes, terms and the line for pip, and without consent does nothing', async () => {
    const { asked, engine: own } = engine();
    const { code, stdout, stderr } = await run(['doctor', '--get', 'cuda'], { engine: own });
    expect([code, asked]).toEqual([2, []]);
    expect(stdout.split('\n').slice(0, 9)).toEqual([
      'CUDA 13 and cuDNN 9 for ONNX Runtime 1.30.0, from PyPI',
      '',
      'wheel                        download  of it used',
      'onnxruntime-gpu 1.30.0       246.7 MB    273.1 MB',
      'nvidia-cuda-runtime 13.5.37    2.5 MB    806.7 kB',
      'nvidia-cublas 13.10.0.20     444.3 MB    608.9 MB',
      'nvidia-curand 10.4.5.25       77.1 MB    104.9 MB',
      'nvidia-cudnn-cu13 9.28.1.4   516.8 MB    940.1 MB',
      'together                       1.3 GB      1.9 GB',
    ]);
    expect(stdout).toContain("licence: NVIDIA's libraries are under NVIDIA's own terms");
    expect(stdout).toMatch(/ {2}python3 -m pip download --no-deps .* nvidia-cudnn-cu13==9\.28\.1\.4\n/);
    expect(stdout).toContain('prune-compile doctor --get cuda --wheels wheels');
    expect(stderr).toBe(
      'prune-compile: nothing was downloaded, because nobody agreed to it    [E-USAGE]\n  why   the libraries are 1.3 GB, under terms of NVIDIA\n  try   prune-compile doctor --get cuda --yes\n',
    );
  });

  test.each([
    ['y', ['download'], /now in \/cache\/cuda\/1\.30\.0: 1 file, 2\.0 MB\n/],
    ['', [], /^CUDA 13[^]*wheels\n$/],
    ['no', [], /^CUDA 13[^]*wheels\n$/],
  ])('a person is asked; the answer %j', async (answer, done, printed) => {
    const { asked, engine: own } = engine();
    const questions: string[] = [];
    const ask: Setting['ask'] = (question) => {
      questions.push(question);
      return Promise.resolve(answer);
    };
    const { code, stdout } = await run(['doctor', '--get', 'cuda', '-q'], { engine: own, ask });
    expect([code, asked, questions]).toEqual([0, done, ['Download them? [y/N] ']]);
    expect(stdout).toMatch(printed);
  });

  test('--yes is consent; what works afterwards is told, with the next step', async () => {
    const { asked, engine: own } = engine();
    const { code, stdout } = await run(['doctor', '--get', 'cuda', '--yes', '-q'], { engine: own });
    expect([code, asked]).toEqual([0, ['download']]);
    expect(stdout).toBe(
      [
        'now in /cache/cuda/1.30.0: 1 file, 2.0 MB',
        'linked in /app/bin: libonnxruntime_providers_cuda.so',
        'cuda: missing: NVIDIA driver (libcuda.so.1); next: an NVIDIA driver',
        '',
      ].join('\n'),
    );
  });

  test('wheels of a folder need no consent: nothing is downloaded', async () => {
    const { asked, engine: own } = engine({ tryCuda: () => Promise.resolve(undefined) });
    const { code, stdout } = await run(['doctor', '--get', 'cuda', '--wheels', 'w', '--json'], { engine: own });
    expect([code, asked]).toEqual([0, ['w']]);
    expect(JSON.parse(stdout)).toEqual({ schema: 1, ...GOTTEN, works: true });
  });

  test('--json never asks', async () => {
    const { engine: own } = engine();
    const ask = () => Promise.reject(new Error('it was asked'));
    const { code, stdout, stderr } = await run(['doctor', '--get', 'cuda', '--json'], { engine: own, ask });
    expect([code, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'E-USAGE' } });
  });
});

test('--remove cuda', async () => {
  const removed = { folder: '/cache/cuda', wasThere: true, unlinked: GOTTEN.linked };
  const of = (found: typeof removed) => ({ engine: { removeCuda: () => Promise.resolve(found) } });
  expect((await run(['doctor', '--remove', 'cuda'], of(removed))).stdout).toBe(
    'removed: /cache/cuda\nlinks removed in /app/bin: libonnxruntime_providers_cuda.so\n',
  );
  expect((await run(['doctor', '--remove', 'cuda'], of({ ...removed, wasThere: false, unlinked: [] }))).stdout).toBe(
    'nothing to remove: there is no /cache/cuda\n',
  );
  expect(JSON.parse((await run(['doctor', '--remove', 'cuda', '--json'], of(removed))).stdout)).toEqual({
    schema: 1,
    ...removed,
  });
});

test.each([
  [['--get', 'cuda', '--remove', 'cuda'], 'asked for --get and --remove'],
  [['--calibrate', '--get', 'cuda'], 'asked for --calibrate and --get'],
  [['--wheels', 'w'], '--wheels belongs to --get'],
  [['--yes'], '--yes belongs to --get'],
  [['--get', 'webgpu'], '--get takes one of cuda, not "webgpu"'],
])('%j is refused', async (words, said) => {
  const { code, stderr } = await run(['doctor', ...words]);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
});

describe('the command starts with the libraries', () => {
  /** A cache that has them: one is a file of that name, which the loader finds and cannot load. */
  function cache(): string {
    const root = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const folder = join(root, 'prune-compile/cuda/1.30.0');
    for (const name of ['lib', 'provider']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'lib/libcudart.so.13'), 'no library');
    writeFileSync(join(folder, 'contents.json'), '{"files":[]}');
    return root;
  }

  test('where CUDA may be asked for, after the folders that the user names', async () => {
    const env = { XDG_CACHE_HOME: cache(), LD_LIBRARY_PATH: '/mine' };
    const own = `${env.XDG_CACHE_HOME}/prune-compile/cuda/1.30.0/lib`;
    const started = await startEnvironment(['bench', 'a.onnx', '--providers', 'cuda'], env);
    expect(started).toEqual({ ...env, LD_LIBRARY_PATH: `/mine:${own}` });
    // Once more adds nothing.
    expect(await startEnvironment(['doctor'], started)).toEqual(started);
    expect(await startEnvironment(['bench', 'a.onnx'], env)).toBe(env);
    expect(await startEnvironment(['doctor'], { XDG_CACHE_HOME: '/nowhere' })).toEqual({ XDG_CACHE_HOME: '/nowhere' });
  });

  test.each([
    [['bench', 'a.onnx', '--providers=cpu,CUDA'], {}, true],
    [['a.onnx', '--bench', '--providers', 'tensorrt'], {}, true],
    [['bench', 'a.onnx'], { PRUNE_COMPILE_PROVIDERS: 'cuda' }, true],
    [['a.onnx', '--config', 'x.json'], {}, true],
    [['a.onnx'], { PRUNE_COMPILE_CONFIG: 'x.json' }, true],
    [['doctor'], {}, true],
    [['a.onnx', '--bench', '--providers', 'webgpu'], {}, false],
  ])('%j %j: %s', (argv, env, asks) => {
    expect(mayAskForCuda(argv, env)).toBe(asks);
  });

  test('as a process', () => {
    const doctor = (root: string) => {
      const env = { ...process.env, XDG_CACHE_HOME: root, LD_LIBRARY_PATH: '' };
      const { stdout } = spawnSync(process.execPath, [COMMAND, 'doctor', '--json'], { env, encoding: 'utf8' });
      const { runtime } = JSON.parse(stdout) as Diagnosis;
      return { folder: runtime.cudaFolder, cuda: runtime.providers.find(({ name }) => name === 'cuda') };
    };
    const [without, root] = [doctor('/nowhere'), cache()];
    const found = doctor(root);
    expect([without.folder, found.folder]).toEqual([undefined, join(root, 'prune-compile/cuda/1.30.0')]);
    // The loader finds the file that stands for one of them, and still misses the others.
    if (without.cuda?.works === false && without.cuda.why?.includes('libcudart') === true) {
      expect(found.cuda?.why).not.toContain('libcudart');
      expect(found.cuda?.why).toContain('libcublas.so.13');
    }
  });
});
