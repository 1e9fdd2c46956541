/**
 * The package as npm packs it, put somewhere else: the command with and without the native library
 * of sparse operators.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompileReport } from '../../src/report/types.js';
import { kernelsPath } from '../../src/runtime/kernels.js';
import { TOOL } from '../../src/version.js';
import { COMPILER, isBuilt, needs, needsLibrary } from '../support/needs.js';
import { sparseModel } from '../support/scattered-model.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-package-'));
const unpacked = join(folder, 'package');
const model = join(folder, 'model.onnx');
const library = join(unpacked, relative(root, kernelsPath()));

const output = join(folder, 'out.onnx');
function command(...args: string[]) {
  rmSync(output, { force: true });
  const script = join(unpacked, 'bin', 'prune-compile.js');
  return spawnSync(process.execPath, [script, model, '-o', output, ...args], { encoding: 'utf8' });
}

beforeAll(() => {
  const options = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const packed = spawnSync('npm', options, { cwd: root, encoding: 'utf8' });
  const [{ files }] = JSON.parse(packed.stdout) as [{ files: readonly { path: string }[] }];
  for (const { path } of files) cpSync(join(root, path), join(unpacked, path));
  // Installed without a network: its dependencies are those of this checkout.
  symlinkSync(join(root, 'node_modules'), join(unpacked, 'node_modules'), 'dir');
  writeFileSync(model, sparseModel());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A target named, so that what becomes sparse does not depend on the machine. */
const SPARSE = ['--sparse', '--sparse-target', 'avx512'];

describe('the package', () => {
  test('holds what builds the library, and no tests', () => {
    for (const file of [
      'kernels/build.mjs',
      'kernels/CMakeLists.txt',
      'kernels/src/operators/conv.cc',
      'kernels/include/ort_abi.h',
    ])
      expect(existsSync(join(unpacked, file)), file).toBe(true);
    for (const file of ['kernels/test', 'kernels/test.mjs', 'test', 'fixtures', 'dist/fixtures'])
      expect(existsSync(join(unpacked, file)), file).toBe(false);
  });

  test('holds the library, and runs sparse operators with it', needsLibrary, () => {
    const { status, stdout, stderr } = command(...SPARSE, '--json');
    expect(status, stderr).toBe(0);
    const report = JSON.parse(stdout) as CompileReport;
    expect(report).toMatchObject({ sparse: { layers: 1, library, libraryFound: true }, verification: { equal: true } });
  });

  test('refuses a library of another version', needsLibrary, () => {
    const kept = readFileSync(library);
    const other = Buffer.from(kept);
    const marker = other.indexOf(`version=${TOOL.version};operators=`);
    other.write('9', marker + 'version='.length);
    writeFileSync(library, other);
    try {
      const { status, stderr } = command(...SPARSE);
      expect(status).toBe(2);
      expect(stderr).toContain('[E-KERNELS]');
      expect(stderr.replace(/\s+/g, ' ')).toContain(`it was built for version 9${TOOL.version.slice(1)}`);
    } finally {
      writeFileSync(library, kept);
    }
  });

  test('without the library: says which file and how to make it; all else works', () => {
    const kept = join(folder, 'kept.so');
    if (isBuilt) cpSync(library, kept);
    rmSync(library, { force: true });
    try {
      const { status, stdout, stderr } = command(...SPARSE);
      expect(status).toBe(2);
      expect(stdout).toBe('');
      const text = stderr.replace(/\s+/g, ' ');
      expect(text).toContain('[E-KERNELS]');
      expect(text).toContain(`file ${library}`);
      expect(text).toContain(`try node ${join(unpacked, 'kernels', 'build.mjs')}`);
      expect(existsSync(output)).toBe(false);
      expect(command('--structured').status).toBe(0);
      const unverified = command(...SPARSE, '--no-verify', '--json');
      expect(unverified.status, unverified.stderr).toBe(0);
      expect(JSON.parse(unverified.stdout)).toMatchObject({ sparse: { layers: 1, library, libraryFound: false } });
    } finally {
      if (isBuilt) cpSync(kept, library);
    }
  });

  test('builds the library from what it holds', needs(COMPILER), () => {
    rmSync(library, { force: true });
    const build = join(unpacked, 'kernels', 'build.mjs');
    // With one command of the compiler: the tests of the kernels build with CMake.
    const { status, stdout, stderr } = spawnSync(process.execPath, [build, '--without-cmake'], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(stdout.trim()).toBe(library);
    const run = command(...SPARSE);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toContain(`  path    ${library}\n`);
  });

  test('without a compiler its build says what to install, and packing goes on', () => {
    const build = join(unpacked, 'kernels', 'build.mjs');
    const environment = { ...process.env, PATH: folder, CXX: '' };
    const required = spawnSync(process.execPath, [build], { env: environment, encoding: 'utf8' });
    expect(required).toMatchObject({ status: 2, stdout: '' });
    expect(required.stderr).toMatch(/^No C\+\+ compiler was found: install .*\n$/);
    const optional = spawnSync(process.execPath, [build, '--optional'], { env: environment, encoding: 'utf8' });
    expect(optional.status).toBe(0);
    expect(optional.stderr).toContain('The package will have no native library for this platform.');
  });
});
