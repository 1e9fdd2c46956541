#!/usr/bin/env node
import { main } from '../dist/src/cli/main.js';

// ONNX Runtime's telemetry leaves files in the temporary folder; a command leaves nothing behind that was not asked for.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

process.exitCode = await main(process.argv.slice(2));
// After a signal, a run of ONNX Runtime that cannot be broken off would keep the process alive.
if (process.exitCode > 128) process.exit();
