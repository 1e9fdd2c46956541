import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

// The kernels have tests of their own in C++ and Python; here they run with fewer cases.
test('native kernels agree with the reference on every instruction set', (context) => {
  const script = join(root, 'kernels', 'test.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--cases', '500'], { encoding: 'utf8' });
  if (status === 2) return context.skip(stderr.trim());
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/500 cases, \d+ runs, \d+ by emitted code, \d+ with tile-major results, 0 failures/);
});
