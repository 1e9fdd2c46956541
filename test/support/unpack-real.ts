/**
 * Before all tests: the files of fixtures/real in a temporary folder, which goes when they are
 * done.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { unpackRealFiles } from '../../fixtures/real/real-files.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Their folder. */
    realFiles: string;
  }
}

const ARCHIVES = fileURLToPath(new URL('../../fixtures/real', import.meta.url));

export function setup({ provide }: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-real-'));
  unpackRealFiles(ARCHIVES, folder);
  provide('realFiles', folder);
  return () => rmSync(folder, { recursive: true, force: true });
}
