/** The Python package as its wheel has it, installed into a folder of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { findVenv } from '../../kernels/test/venv.mjs';
import { LIBRARY, needs } from '../support/needs.js';
import { compiledPair, DIMS, INPUT } from './compiled-pair.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const python = findVenv() ?? '';
const needsPython = needs(LIBRARY, {
  present: python !== '',
  missing: 'there is no Python with onnxruntime',
  remedy: 'npm run test:kernels',
});

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-wheel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function runPython(...argv: readonly string[]) {
  const env = { ...process.env, PYTHONPATH: join(folder, 'site'), PYTHONDONTWRITEBYTECODE: '1' };
  return spawnSync(python, argv, { encoding: 'utf8', env, cwd: folder });
}

test('the wheel registers its own library, compiles by the command, and says what failed', needsPython, async () => {
  const made = runPython(join(root, 'python', 'make_wheel.py'), folder);
  expect(made.stderr).toBe('');
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', '--disable-pip-version-check'];
  const installed = runPython(...pip, '--target', join(folder, 'site'), made.stdout.trim());
  expect(installed.status, installed.stderr).toBe(0);
  const { dense, sparse } = await compiledPair();
  const script = join(root, 'test', 'languages', 'use_wheel.py');
  const command = [process.execPath, join(root, 'bin', 'prune-compile.js')];
  const used = runPython(script, dense, sparse, INPUT, DIMS.join(','), folder, ...command);
  expect(used.status, used.stderr).toBe(0);
  const found = JSON.parse(used.stdout) as { library: string; error: number };
  expect(found).toMatchObject({ equal: true, failure: ['E-INPUT-MISSING', 2], sizes: [true, true] });
  // Not the one of this checkout.
  expect(found.library.startsWith(join(folder, 'site'))).toBe(true);
  expect(found.error).toBeLessThan(2e-6);
});
