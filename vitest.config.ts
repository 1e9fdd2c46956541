import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**'],
    // Processes, not threads: a crash inside ONNX Runtime takes one file along, not the run.
    pool: 'forks',
    maxWorkers: 2,
    // What a user measured on this machine must not decide a test.
    env: { XDG_CACHE_HOME: join(tmpdir(), `prune-compile-no-cache-${process.pid}`) },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
