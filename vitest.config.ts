import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { NotRun } from './test/support/not-run.js';
import { TEMPORARY } from './test/support/temporary-folder.js';

/**
 * A test that hangs should end. A slow machine is no hang: on two busy cores the longest take
 * minutes.
 */
const MOST_MS = 30 * 60_000;

/** A file for the counts, as .ci/run wants them. */
const results = process.env.TEST_RESULTS;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**'],
    globalSetup: ['./test/support/temporary-folder.ts', './test/support/unpack-real.ts'],
    reporters: [
      'default',
      new NotRun(),
      ...(results === undefined ? [] : [['json', { outputFile: results }] as const]),
    ],
    // Processes, not threads: a crash inside ONNX Runtime takes one file along, not the run.
    pool: 'forks',
    maxWorkers: 2,
    // What a user measured on this machine must not decide a test. And ONNX Runtime's telemetry
    // would leave files there.
    env: { XDG_CACHE_HOME: join(TEMPORARY, 'no-cache'), ORT_DISABLE_TELEMETRY: '1', TMPDIR: TEMPORARY },
    testTimeout: MOST_MS,
    hookTimeout: MOST_MS,
  },
});
