/** The process that does the work of a command; supervise.ts starts it. */
import { Worker } from 'node:worker_threads';
import { beGuarded } from './guard.js';
import { main } from './main.js';

// ONNX Runtime's telemetry leaves files in the temporary folder; a command leaves nothing behind
// that was not asked for.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';

beGuarded();
const watch = new Worker(new URL('guard-watch.js', import.meta.url));
watch.unref();
// Where threads are short the work goes on; only a killed guard then leaves it to its own end.
watch.on('error', () => undefined);

process.exitCode = await main(process.argv.slice(2));
// After a signal, work that cannot be broken off would keep the process alive.
if (process.exitCode > 128) process.exit();
