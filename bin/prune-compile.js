#!/usr/bin/env node
import { existsSync } from 'node:fs';

// A checkout that was not built, or a package that was packed without its scripts.
if (!existsSync(new URL('../dist/src/cli/supervise.js', import.meta.url))) {
  console.error('prune-compile: its code is not compiled: there is no folder dist');
  console.error('  try   npm run build in a checkout; npm pack with scripts allowed makes a complete package');
  process.exit(70);
}
const { supervise } = await import('../dist/src/cli/supervise.js');

process.exitCode = await supervise(process.argv.slice(2));
