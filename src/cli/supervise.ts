/**
 * The command as a process that only waits: another one does the work. Signals are heard while
 * JavaScript computes there, a crash of native code becomes an error with its code, and what is
 * temporary goes in both cases.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { discardStaging } from '../files/staging.js';
import { COMPLETING } from './command-table.js';
import { startEnvironment } from './cuda-start.js';
import type { EndingSignal } from './guard.js';
import { ENDING_SIGNALS, GUARD_FD, SIGNAL_EXITS } from './guard.js';

/**
 * So long after a signal the work may end by itself. With it a busy process is gone well within a
 * second.
 */
const GRACE_MS = 500;

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));
/** Nothing of these can hang, and they are to be quick. */
const ANSWERED_HERE = ['--help', '-h', '--version', '-V', COMPLETING];

/** Runs the command and returns its exit code. */
export async function supervise(argv: readonly string[]): Promise<number> {
  if (argv.some((word) => ANSWERED_HERE.includes(word))) return (await import('./main.js')).main(argv);
  const worker = spawn(process.execPath, [...process.execArgv, WORKER, ...argv], {
    env: await startEnvironment(argv),
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  const temporary = temporaryPlaces(worker);
  const heard = passSignalsOn(worker);
  const [code, signal] = (await once(worker, 'close')) as [number | null, NodeJS.Signals | null];
  const ending = heard() ?? ENDING_SIGNALS.find((name) => name === signal);
  if (ending === undefined && code !== null) return code;
  for (const folder of temporary) discardStaging(folder);
  return ending === undefined ? crashed(signal ?? 'a crash', argv) : SIGNAL_EXITS[ending];
}

/** What the worker says is temporary; known in full once it is gone. */
function temporaryPlaces(worker: ChildProcess): ReadonlySet<string> {
  const places = new Set<string>();
  const input = worker.stdio[GUARD_FD] as Readable;
  // A worker that is killed in the middle of a word leaves a line that is none.
  createInterface({ input }).on('line', (line) => {
    if (line.endsWith('"')) places.add(JSON.parse(line) as string);
  });
  return places;
}

/** The first signal gives the work some time, a second one none. Answers which one was heard. */
function passSignalsOn(worker: ChildProcess): () => EndingSignal | undefined {
  let first: EndingSignal | undefined;
  const end = (signal: EndingSignal) => {
    if (first !== undefined) worker.kill('SIGKILL');
    else {
      first = signal;
      worker.kill(signal);
      setTimeout(() => worker.kill('SIGKILL'), GRACE_MS).unref();
    }
  };
  for (const name of ENDING_SIGNALS) process.on(name, end);
  return () => first;
}

/** Loaded when there is something to say. */
async function crashed(signal: string, argv: readonly string[]): Promise<number> {
  const [{ PruneCompileError }, { failureOf, renderFailure, renderFailureJson }, { colorsFor }, io] = await Promise.all(
    [import('../errors.js'), import('./failure.js'), import('./colors.js'), import('./io.js')],
  );
  const isMemory = signal === 'SIGKILL' || signal === 'SIGABRT';
  const error = new PruneCompileError('E-MODEL-CRASH', {
    what: `${signal} ended the work on the model`,
    facts: [
      [
        'why',
        isMemory
          ? 'memory was probably short: the system, or Node itself, then ends the process'
          : 'native code crashed on this model: ONNX Runtime, or the library of sparse operators',
      ],
      [
        'try',
        isMemory
          ? 'a machine with more memory, NODE_OPTIONS=--max-old-space-size=8192, or --no-verify'
          : 'check that the model runs at all: python -c "import onnxruntime; …"; if it does, this is a bug: please report it, with the model if you can share it',
      ],
    ],
  });
  const failure = failureOf(error, argv);
  const text = argv.includes('--json')
    ? renderFailureJson(failure)
    : renderFailure(failure, colorsFor(process.stderr, process.env));
  await io.writeDiagnostic(process.stderr, text);
  return failure.exitCode;
}
