/**
 * The package as somebody makes and uses it: a clone, npm ci, npm pack, an installation in an empty
 * folder; there the command, the functions with their types, and the native library. Needs git and
 * the npm registry (or npm's cache of it).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import type { CompileReport } from '../../src/report/types.js';
import { COMPILER, needs } from '../support/needs.js';
import { sparseModel } from '../support/scattered-model.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prune-compile-clone-'));
const clone = join(folder, 'clone');
const user = join(folder, 'user');
const installed = join(user, 'node_modules', 'prune-compile');
const packed = () => readdirSync(clone).filter((name) => name.endsWith('.tgz'));

/**
 * Tracked files, and new ones that git does not ignore, as they are now: what a clone will have.
 */
const listing = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
});
const needsGit = needs({
  present: listing.status === 0,
  missing: 'this folder is no git checkout, or there is no git',
  remedy: 'clone the repository',
});

/**
 * As typed into a shell: without what the npm that runs these tests hands down about its own
 * project.
 */
function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|config_(local_prefix|loglevel|ignore_scripts|global|prefix)$)/i.test(name),
  );
  const folders = (process.env.PATH ?? '').split(delimiter).filter((path) => !path.includes('node_modules'));
  return { ...Object.fromEntries(own), PATH: folders.join(delimiter), npm_config_loglevel: 'error', ...more };
}

function npm(cwd: string, args: readonly string[], more?: Readonly<Record<string, string>>) {
  const options = { cwd, encoding: 'utf8', env: environment(more), shell: process.platform === 'win32' } as const;
  return spawnSync('npm', args, options);
}

/** Codes of npm for a registry that is not reached. */
const NO_REGISTRY =
  /npm error code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT)/;
let unreached: string | undefined;

function withRegistry(cwd: string, args: readonly string[], more?: Readonly<Record<string, string>>): void {
  const { status, stderr } = npm(cwd, [...args, '--prefer-offline', '--no-audit', '--no-fund'], more);
  const [, code] = NO_REGISTRY.exec(stderr) ?? [];
  if (code !== undefined) unreached = `npm ${args[0]} does not reach the registry (${code})`;
  else if (status !== 0) throw new Error(stderr);
}

interface Attempt {
  readonly status: number | null;
  readonly stderr: string;
  readonly made: readonly string[];
}
let early: Attempt = { status: 0, stderr: '', made: [] };

/** Two of four filters are zero. */
function maskedModel(): Uint8Array {
  const g = graphBuilder();
  const first = { data: normals(1, 'a', 4 * 3 * 9).map((value, at) => (at < 54 ? 0 : value)), dims: [4, 3, 3, 3] };
  const second = { data: normals(1, 'b', 2 * 4 * 9), dims: [2, 4, 3, 3] };
  g.output(g.conv(g.relu(g.conv(g.input('x', [1, 3, 8, 8]), first, {})), second, {}));
  return g.bytes();
}

beforeAll(() => {
  if (listing.status !== 0) return;
  for (const path of listing.stdout.split('\0'))
    if (path !== '' && existsSync(join(root, path))) cpSync(join(root, path), join(clone, path));
  const { status, stderr } = npm(clone, ['pack']);
  early = { status, stderr, made: packed() };
  withRegistry(clone, ['ci']);
  if (unreached !== undefined) return;
  const made = npm(clone, ['pack']);
  if (made.status !== 0) throw new Error(made.stderr);
  mkdirSync(user);
  writeFileSync(join(user, 'package.json'), '{ "name": "user", "version": "1.0.0", "type": "module" }');
  // What README.md says for machines that onnxruntime-node's own download does not work on.
  withRegistry(user, ['install', join(clone, packed()[0] ?? '')], { ONNXRUNTIME_NODE_INSTALL: 'skip' });
  writeFileSync(join(user, 'model.onnx'), maskedModel());
  writeFileSync(join(user, 'sparse.onnx'), sparseModel());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (cwd: string, args: readonly string[]) =>
  spawnSync(process.execPath, args, { cwd, encoding: 'utf8', env: environment() });

describe('a clone', needsGit, () => {
  test('that has no dependencies yet is not packed, and says why', () => {
    expect(early.status).not.toBe(0);
    expect(early.made).toEqual([]);
    expect(early.stderr).toMatch(/tsc/);
    const { status, stderr } = node(root, [join(clone, 'bin/prune-compile.js'), '--version']);
    if (existsSync(join(clone, 'dist'))) expect(status).toBe(0);
    else expect([status, stderr]).toEqual([70, expect.stringContaining('npm run build in a checkout')]);
  });
});

describe('a package from a clone', needsGit, () => {
  beforeEach((context) => context.skip(unreached !== undefined, unreached));

  test('is one file, and has code, documents and what builds the library; no tests, no fixtures', () => {
    expect(packed()).toEqual(['prune-compile-0.1.0.tgz']);
    const has = (path: string) => existsSync(join(installed, path));
    for (const path of ['README.md', 'LICENSE', 'docs/errors.md', 'dist/src/cli/main.js', 'dist/src/index.d.ts'])
      expect(has(path), path).toBe(true);
    for (const path of [
      'kernels/build.mjs',
      'kernels/CMakeLists.txt',
      'kernels/src/operators/conv.cc',
      'kernels/include',
    ])
      expect(has(path), path).toBe(true);
    for (const path of ['test', 'fixtures', 'dist/fixtures', 'dist/test', 'kernels/test', 'kernels/test.mjs', 'src'])
      expect(has(path), path).toBe(false);
  });

  test('the command compiles a model, and shows its version', () => {
    const command = join(user, 'node_modules', '.bin', 'prune-compile');
    const shell = { cwd: user, encoding: 'utf8', env: environment(), shell: process.platform === 'win32' } as const;
    const { status, stdout, stderr } = spawnSync(command, ['model.onnx', '--align', '1', '--json'], shell);
    expect(status, stderr).toBe(0);
    const report = JSON.parse(stdout) as CompileReport;
    expect(report.verification).toMatchObject({ equal: true });
    expect(report.before.channels - report.after.channels).toBe(2);
    expect(existsSync(join(user, 'model.pruned.onnx'))).toBe(true);
    expect(spawnSync(command, ['--version'], shell).stdout.trim()).toBe('0.1.0');
  });

  test('the functions can be imported, as README.md shows them', () => {
    const script = `
      import { compile, verify } from 'prune-compile';
      const compiled = await compile('model.onnx', { align: 1 });
      compiled.write('written.onnx');
      console.log(compiled.report.after.channels, (await verify('model.onnx', 'written.onnx')).equal);`;
    writeFileSync(join(user, 'use.mjs'), script);
    const { status, stdout, stderr } = node(user, ['use.mjs']);
    expect(status, stderr).toBe(0);
    expect(stdout).toBe('4 true\n');
  });

  test('its types are those of the functions', () => {
    const script = `
      import { compile, type CompileOptions, PruneCompileError, verify } from 'prune-compile';
      const options: CompileOptions = { align: 'auto' };
      const { report } = await compile('model.onnx', options);
      const channels: number = report.after.channels;
      const equal: boolean = (await verify('model.onnx', 'written.onnx')).equal;
      // @ts-expect-error: align is a number or 'auto'
      await compile('model.onnx', { align: 'wide' });
      export { channels, equal, PruneCompileError };`;
    writeFileSync(join(user, 'use.ts'), script);
    const settings = {
      compilerOptions: {
        module: 'nodenext',
        target: 'es2023',
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: ['node'],
        typeRoots: [join(clone, 'node_modules', '@types')],
      },
      files: ['use.ts'],
    };
    writeFileSync(join(user, 'tsconfig.json'), JSON.stringify(settings));
    const { status, stdout } = node(user, [join(clone, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
    expect(status, stdout).toBe(0);
  });

  test('the native library was built by packing, is found and runs', needs(COMPILER), () => {
    const args = ['sparse.onnx', '--sparse', '--sparse-target', 'avx512', '--json'];
    const { status, stdout, stderr } = node(user, [join(installed, 'bin/prune-compile.js'), ...args]);
    expect(status, stderr).toBe(0);
    const { sparse, verification } = JSON.parse(stdout) as CompileReport;
    expect(sparse).toMatchObject({ layers: 1, libraryFound: true });
    expect(sparse?.library).toContain(join('node_modules', 'prune-compile', 'kernels', 'prebuilds'));
    expect(verification).toMatchObject({ equal: true });
  });
});
