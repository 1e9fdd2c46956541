/**
 * `--evaluate CMD`: a command of the user prints how good a model is. It runs in a shell, with the
 * path of the model in the place of `{}`, or after its end.
 */
import { spawn } from 'node:child_process';
import { PruneCompileError } from '../errors.js';

/** What is told of a command that failed. */
const MOST_SHOWN = 400;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;

/** The last number that the command prints. Throws E-EVALUATE, and the signal's reason. */
export async function evaluateModel(command: string, model: string, signal?: AbortSignal): Promise<number> {
  const { code, stdout, stderr } = await runShell(withModel(command, model), signal);
  signal?.throwIfAborted();
  if (code !== 0) throw failed(command, `it ended with ${code ?? 'a signal'}`, stderr);
  const number = Number(stdout.match(NUMBER)?.at(-1) ?? Number.NaN);
  if (!Number.isFinite(number)) throw failed(command, 'it printed no number', stdout);
  return number;
}

function failed(command: string, why: string, output: string): PruneCompileError {
  const end = output.trim().slice(-MOST_SHOWN);
  return new PruneCompileError('E-EVALUATE', {
    what: 'the command of --evaluate failed',
    facts: [
      ['command', command],
      ['why', why],
      ...(end === '' ? [] : [['it said', end] as const]),
      ['for example', "--evaluate 'python accuracy.py {}', which prints 93.4"],
    ],
  });
}

function withModel(command: string, model: string): string {
  const word = `'${model.replaceAll("'", `'\\''`)}'`;
  return command.includes('{}') ? command.replaceAll('{}', () => word) : `${command} ${word}`;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runShell(command: string, signal: AbortSignal | undefined): Promise<Ended> {
  return new Promise((resolve, reject) => {
    // A group of its own: what the shell started ends with it.
    const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const end = () => {
      if (child.pid !== undefined) endGroup(child.pid);
    };
    signal?.addEventListener('abort', end, { once: true });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      signal?.removeEventListener('abort', end);
      resolve({ code, stdout, stderr });
    });
  });
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // It ended by itself.
  }
}
