#!/usr/bin/env node
import { existsSync } from 'node:fs';

// A checkout that was not built, or a package that was packed without its scripts.
if (!existsSync(new URL('../dist/src/cli/main.js', import.meta.url))) {
  console.error('prune-compile: its code is not compiled: there is no folder dist');
  console.error('  try   npm run build in a checkout; npm pack with scripts allowed makes a complete package');
  process.exit(70);
}
const { main } = await import('../dist/src/cli/main.js');

// ONNX Runtime's telemetry leaves files in the temporary folder; a command leaves nothing behind that was not asked for.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

process.exitCode = await main(process.argv.slice(2));
// After a signal, a run of ONNX Runtime that cannot be broken off would keep the process alive.
if (process.exitCode > 128) process.exit();
