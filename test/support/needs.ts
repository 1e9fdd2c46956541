/**
 * What a machine may lack. Tests that need it are skipped there, and the end of the run says so,
 * with the command that makes them run (not-run.ts): `test('…', needsLibrary, () => …)`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { TestOptions } from 'vitest';
import { kernelsPath } from '../../src/runtime/kernels.js';

export interface Lack {
  /** What it is: "the native library is not built". */
  readonly missing: string;
  /** A command, or words. */
  readonly remedy: string;
}

export interface Need extends Lack {
  readonly present: boolean;
}

declare module 'vitest' {
  interface TaskMeta {
    /** Why the test was skipped. */
    lacks?: readonly Lack[];
  }
}

export function needs(...all: readonly Need[]): TestOptions {
  const lacks = all.filter(({ present }) => !present).map(({ missing, remedy }) => ({ missing, remedy }));
  return { skip: lacks.length > 0, meta: { lacks } };
}

export const isBuilt = existsSync(kernelsPath());

export const LIBRARY: Need = {
  present: isBuilt,
  missing: 'the native library of sparse operators is not built',
  remedy: 'npm run build:kernels',
};

/** Empty where there is none. */
export const compiler = ['g++', 'clang++'].find((name) => spawnSync(name, ['--version']).status === 0) ?? '';

export const COMPILER: Need = {
  present: compiler !== '',
  missing: 'there is no C++ compiler',
  remedy: 'install g++ or clang++ (C++20)',
};

export const needsLibrary = needs(LIBRARY);
