/**
 * A compiled model in Python's onnxruntime; `npm run test:kernels` makes the virtual environment
 * for it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findVenv } from '../../kernels/test/venv.mjs';
import { kernelsPath } from '../../src/runtime/kernels.js';
import { LIBRARY, needs } from '../support/needs.js';
import { compiledPair, DIMS, INPUT } from './compiled-pair.js';

/** Of the output's scale: rounding of sums in another order. */
const LIMIT = 2e-6;

interface Findings {
  readonly shapes: readonly [readonly number[], readonly number[]];
  readonly error: number;
  readonly distinct: number;
  readonly refused: string | null;
}

const python = findVenv() ?? '';
const needsPython = needs(LIBRARY, {
  present: python !== '',
  missing: 'there is no Python with onnxruntime',
  remedy: 'npm run test:kernels',
});

test('Python runs a compiled model, and says what is missing without the library', needsPython, async () => {
  const { library, dense, sparse } = await compiledPair();
  expect(library).toBe(kernelsPath());
  const script = fileURLToPath(new URL('run_pair.py', import.meta.url));
  const args = [script, library, dense, sparse, INPUT, ...DIMS.map(String)];
  const { status, stdout, stderr } = spawnSync(python, args, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const { shapes, error, distinct, refused } = JSON.parse(stdout) as Findings;
  expect(shapes[1]).toEqual(shapes[0]);
  expect(error).toBeLessThan(LIMIT);
  expect(distinct, 'results of all sessions, runs and numbers of threads').toBe(1);
  // docs/sparse.md quotes it.
  expect(refused).toMatch(/prune_compile[:.]\w+\S* .*is not a registered function\/op/);
});
