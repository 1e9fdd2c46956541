/** The outside world of the command: streams, environment, interruption. Tests bring their own. */
import { createInterface } from 'node:readline/promises';
import { messageOf, PruneCompileError } from '../errors.js';
import { ENDING_SIGNALS, type EndingSignal, SIGNAL_EXITS } from './guard.js';

export interface Output {
  write(chunk: string | Uint8Array, done: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks the person at the terminal for a line; absent where there is none. */
  readonly ask?: (question: string) => Promise<string>;
  /** Aborted by Ctrl-C and other signals that end the command; its reason is an Interruption. */
  readonly signal: AbortSignal;
}

export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly exitCode: number;

  constructor(signal: EndingSignal) {
    super(`interrupted by ${signal}`);
    this.exitCode = SIGNAL_EXITS[signal];
  }
}

/**
 * The reader of standard output went away (`| head`): nothing is left to say, and nobody to say it
 * to.
 */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

export function processIo(): Io {
  const controller = new AbortController();
  for (const signal of ENDING_SIGNALS) process.on(signal, () => controller.abort(new Interruption(signal)));
  // Failed writes come back to their callers; without a listener they would also end the process
  // with a stack trace.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    ...(process.stdin.isTTY && process.stderr.isTTY && { ask: askTerminal }),
    signal: controller.signal,
  };
}

async function askTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}

/** Resolves once the chunk is taken; throws BrokenPipe when nobody reads any more. */
export function writeTo(output: Output, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(chunk, (error) => {
      if (error === undefined || error === null) resolve();
      else if ('code' in error && error.code === 'EPIPE')
        reject(new BrokenPipe('standard output was closed', { cause: error }));
      else
        reject(
          new PruneCompileError('E-OUTPUT-UNWRITABLE', {
            what: 'cannot write standard output',
            facts: [
              ['why', messageOf(error)],
              ['try', '--output with a path, or space where standard output goes'],
            ],
            cause: error,
          }),
        );
    });
  });
}

/** Diagnostics: when nobody can read them, the work goes on. */
export async function writeDiagnostic(output: Output, text: string): Promise<void> {
  try {
    await writeTo(output, text);
  } catch {
    // There is no better place to say that stderr is gone.
  }
}

export async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}
