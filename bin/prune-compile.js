#!/usr/bin/env node
import { main } from '../dist/src/cli/main.js';

process.exitCode = await main(process.argv.slice(2));
// After a signal, a run of ONNX Runtime that cannot be broken off would keep the process alive.
if (process.exitCode > 128) process.exit();
