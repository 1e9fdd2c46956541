/**
 * Sessions in a process of their own, for sizes at which ONNX Runtime may crash: a crash is an
 * error of the run then, and the next run starts a new process. As slow as its tensors are large,
 * for all of them go from one process to the other.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import type { InferenceSession } from 'onnxruntime-node';
import { PruneCompileError } from '../errors.js';
import type { Answer, Request } from './guarded-messages.js';
import { fromPlain, plainTensors } from './guarded-messages.js';
import type { Feeds } from './feeds.js';
import { packageRoot } from './kernels.js';
import { isEndless, withinLimit } from './run-limit.js';
import type { SessionOptions } from './session.js';

/** What verification needs of a session, wherever it is. */
export type RunSession = Pick<InferenceSession, 'inputMetadata' | 'outputMetadata' | 'outputNames' | 'release'> & {
  run(feeds: Feeds): Promise<InferenceSession.ReturnType>;
};

/** None of them outlives this process, whatever it is doing. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Compiled: a new process runs no TypeScript. */
const CHILD = 'dist/src/runtime/guarded-child.js';

/** Of the process that ran the model. */
export class Crash extends Error {}

/** Throws E-MODEL-RUNTIME where the session cannot be made. */
export async function createGuarded(model: string | Uint8Array, options: SessionOptions = {}): Promise<RunSession> {
  const session = new GuardedSession(model, options);
  await session.start();
  return session;
}

/** The first run allocates what the others use again. */
const MEMORY_RUNS = 2;

/**
 * The most memory, in bytes, that loading and running a model takes: of a process of its own, beyond
 * Node and ONNX Runtime. Throws what loading and running throw.
 */
export async function peakMemoryOf(model: string, feeds: Feeds, options: SessionOptions): Promise<number> {
  const session = new GuardedSession(model, options);
  try {
    await session.start();
    for (let run = 0; run < MEMORY_RUNS; run++) await session.run(feeds);
    return await session.peakMemory();
  } finally {
    await session.release();
  }
}

class GuardedSession implements RunSession {
  inputMetadata: readonly InferenceSession.ValueMetadata[] = [];
  outputMetadata: readonly InferenceSession.ValueMetadata[] = [];
  readonly #model: string | Uint8Array;
  readonly #options: SessionOptions;
  #child: ChildProcess | undefined;

  constructor(model: string | Uint8Array, options: SessionOptions) {
    this.#model = model;
    this.#options = options;
  }

  get outputNames(): readonly string[] {
    return this.outputMetadata.map(({ name }) => name);
  }

  async start(): Promise<void> {
    const child = fork(join(packageRoot(), CHILD), { serialization: 'advanced', stdio: 'ignore', execArgv: [] });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const answer = await this.#ask(child, { kind: 'create', model: this.#model, options: this.#options });
    if (answer.kind === 'created') {
      this.inputMetadata = answer.inputs;
      this.outputMetadata = answer.outputs;
      return;
    }
    await this.release();
    throw new PruneCompileError('E-MODEL-RUNTIME', {
      what: 'ONNX Runtime cannot load the model',
      facts: [['why', answer.kind === 'failed' ? answer.message : 'it gave no session']],
    });
  }

  async run(feeds: Feeds): Promise<InferenceSession.ReturnType> {
    if (this.#child === undefined) await this.start();
    const child = this.#child;
    if (child === undefined) throw new Error('the session was released');
    const asked = this.#ask(child, { kind: 'run', feeds: plainTensors(feeds) });
    const answer = await withinLimit(asked).catch(async (error: unknown) => {
      // That the child is ended then is no crash.
      asked.catch(() => undefined);
      if (isEndless(error)) await this.release();
      throw error;
    });
    if (answer.kind === 'results') return fromPlain(answer.results);
    throw new Error(answer.kind === 'failed' ? answer.message : 'the session gave no results');
  }

  async peakMemory(): Promise<number> {
    const child = this.#child;
    const answer = child && (await this.#ask(child, { kind: 'memory' }));
    if (answer?.kind !== 'memory') throw new Error('the session was released');
    return answer.peakBytes;
  }

  release(): Promise<void> {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
    return Promise.resolve();
  }

  #ask(child: ChildProcess, request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        child.off('message', onMessage);
        child.off('exit', onExit);
        child.off('error', onError);
      };
      const onMessage = (answer: Answer) => {
        stop();
        resolve(answer);
      };
      const onExit = (code: number | null, signal: string | null) => {
        stop();
        if (this.#child === child) this.#child = undefined;
        reject(new Crash(`ONNX Runtime crashed (${signal ?? `exit code ${code}`})`));
      };
      const onError = (error: Error) => {
        stop();
        reject(error);
      };
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.on('error', onError);
      child.send(request);
    });
  }
}
