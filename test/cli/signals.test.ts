/**
 * Signals, crashes and a killed guard: the command as a process, at a time when nothing in it can
 * listen.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { INT64 } from '../../src/ir/tensor.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));
const BOOL = 9;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prune-compile-signals-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const staged = () => readdirSync(folder).filter((name) => name.startsWith('.'));

/** The working process does this once the output is staged, in the middle of its check. */
function whenStaged(action: string): string[] {
  const code = `
    import { readdirSync, writeFileSync } from 'node:fs';
    if (process.argv[1]?.endsWith('worker.js')) {
      const isStaged = () => readdirSync(${JSON.stringify(folder)}).some((name) => name.startsWith('.'));
      setInterval(() => { if (isStaged()) { writeFileSync(${JSON.stringify(at('pid'))}, String(process.pid)); ${action} } }, 1).unref();
    }`;
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
}

const BUSY = 'for (;;);';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(nodeOptions: readonly string[], model: Uint8Array): { command: ChildProcess; ended: Promise<Ended> } {
  writeFileSync(at('model.onnx'), model);
  const command = spawn(process.execPath, [...nodeOptions, COMMAND, at('model.onnx'), '-o', at('o.onnx')], {
    stdio: 'pipe',
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    command[name]?.on('data', (chunk: Buffer) => (texts[name] += chunk.toString()));
  const ended = once(command, 'close').then(([code]) => ({ code: code as number | null, ...texts }));
  return { command, ended };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10);
}

function network(): Uint8Array {
  const g = graphBuilder();
  g.output(g.relu(g.input('x', [1, 4])));
  return g.bytes();
}

/** A loop of 2^62 turns: ONNX Runtime is inside of it when the signal comes. */
function endless(): Uint8Array {
  const body = graphBuilder({ name: 'body' });
  body.input('turn', [], INT64);
  const go = body.input('go', [], BOOL);
  const state = body.input('state', [1, 4]);
  body.output(body.op('Identity', [go]), [], BOOL);
  body.output(body.op('Neg', [state]), [1, 4]);
  const g = graphBuilder();
  const x = g.input('x', [1, 4]);
  const turns = { data: BigInt64Array.of(2n ** 62n), dims: [] };
  g.output(
    g.op('Loop', [turns, { data: Uint8Array.of(1), dims: [], dataType: BOOL }, x], { body: { graph: body.graph() } }),
  );
  return g.bytes();
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s while JavaScript is busy: %d, and nothing is left', async (signal, exitCode) => {
  const { command, ended } = start(whenStaged(BUSY), network());
  await until(() => existsSync(at('pid')));
  expect(staged()).toHaveLength(1);
  command.kill(signal);
  expect(await ended).toMatchObject({ code: exitCode, stdout: '' });
  expect(readdirSync(folder).toSorted()).toEqual(['model.onnx', 'pid']);
});

test('SIGTERM inside a run of ONNX Runtime', async () => {
  const { command, ended } = start([], endless());
  await until(() => staged().length > 0);
  await sleep(300);
  command.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 143, stdout: '' });
  expect(readdirSync(folder)).toEqual(['model.onnx']);
});

test('a signal that only the working process got', async () => {
  const { ended } = start(
    whenStaged("process.removeAllListeners('SIGTERM'); process.kill(process.pid, 'SIGTERM');"),
    network(),
  );
  expect((await ended).code).toBe(143);
  expect(staged()).toEqual([]);
});

test.each([
  ['SIGSEGV', 'native code crashed'],
  ['SIGKILL', 'memory was probably short'],
])('a crash (%s) is an error with its code, and nothing is left', async (signal, why) => {
  const { ended } = start(whenStaged(`process.kill(process.pid, '${signal}');`), network());
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`${signal} ended the work on the model    [E-MODEL-CRASH]`),
  ]);
  expect(stderr).toContain(why);
  expect(readdirSync(folder).toSorted()).toEqual(['model.onnx', 'pid']);
});

test('a busy process does not outlive its guard', async () => {
  const { command, ended } = start(whenStaged(BUSY), network());
  await until(() => existsSync(at('pid')));
  const worker = Number(readFileSync(at('pid'), 'utf8'));
  command.kill('SIGKILL');
  await ended;
  await until(() => !isAlive(worker));
  expect(isAlive(worker)).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
