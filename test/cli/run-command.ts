/** The command in this process: streams that collect, an engine that answers from a sample. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Channels } from '../../src/retraining/channels.js';
import type { Engine } from '../../src/cli/engine.js';
import type { Io, Output } from '../../src/cli/io.js';
import { main } from '../../src/cli/main.js';
import { Graph } from '../../src/ir/graph.js';
import { BENCHMARK, MACHINE, REPORT, VERIFICATION } from '../report/sample.js';

/** With the mark by which an earlier output is known. */
export const COMPILED_BYTES = Buffer.from('the compiled model\n\u0015prune-compile.version\u0012');
export const STATE_DICT = Buffer.from('the small weights');
export const CHANNELS: Channels = {
  schema: 1,
  weights: [
    {
      parameter: 'conv.weight',
      initializer: 'onnx::Conv_1',
      node: '/conv/Conv',
      input: 1,
      shape: [4, 3, 3, 3],
      transposed: false,
      removed: false,
      kept: [[0, 2], null, null, null],
      keptByGroup: null,
      rewritten: false,
      groups: 1,
    },
  ],
  addedBiases: [],
  unheld: [{ node: '/conv/Conv', what: 'adds the constants of removed channels' }],
};

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class Collector implements Output {
  readonly chunks: Buffer[] = [];
  constructor(
    readonly isTTY: boolean,
    readonly failure?: Error,
  ) {}

  write(chunk: string | Uint8Array, done: (error?: Error | null) => void): void {
    if (this.failure === undefined) this.chunks.push(Buffer.from(chunk));
    done(this.failure);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

export interface Setting {
  readonly engine?: Partial<Engine>;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
  readonly isTTY?: boolean;
  readonly brokenStdout?: boolean;
  readonly signal?: AbortSignal;
  /** Answers the question of a command. */
  readonly ask?: (question: string) => Promise<string>;
}

export function fakeEngine(parts: Partial<Engine> = {}): Engine {
  return {
    compileModel: (source, options) => {
      options?.onStep?.({ step: 'load', ms: 12, detail: '4 nodes' });
      return Promise.resolve({
        input: {
          path: typeof source === 'string' ? source : undefined,
          sizeBytes: 5,
          proto: {},
          graph: new Graph(17),
          hasExternalData: false,
          externalBytes: 0,
          externalFiles: [],
        },
        report: { ...REPORT, input: String(source), output: undefined },
        encode: () => COMPILED_BYTES,
        write: (path) => {
          writeFileSync(path, COMPILED_BYTES);
          return COMPILED_BYTES.length;
        },
        maskPlan: undefined,
        masked: () => source,
        channels: () => CHANNELS,
        stateDict: () => STATE_DICT,
      });
    },
    inspectModel: () => Promise.reject(new Error('inspect is not part of this test')),
    explainNode: () => Promise.reject(new Error('why is not part of this test')),
    makeMasks: () => Promise.reject(new Error('mask is not part of this test')),
    verifyModels: () => Promise.resolve(VERIFICATION),
    verifyOnProvider: (_reference, _candidate, { provider }) => Promise.resolve({ ...VERIFICATION, provider }),
    traceModels: () => Promise.reject(new Error('tracing is not part of this test')),
    readGiven: () => Promise.reject(new Error('given data is not part of this test')),
    measureAccuracy: () => Promise.reject(new Error('accuracy is not part of this test')),
    maskedReference: () => Promise.resolve(Buffer.from('reference')),
    benchModels: () => Promise.resolve(BENCHMARK),
    denseModel: () => Promise.resolve(Buffer.from('dense')),
    explore: () => Promise.reject(new Error('explore is not part of this test')),
    planExploration: () => Promise.reject(new Error('explore is not part of this test')),
    readExploration: () => Promise.reject(new Error('explore is not part of this test')),
    combineExplorations: () => Promise.reject(new Error('explore is not part of this test')),
    countMissing: () => Promise.reject(new Error('explore is not part of this test')),
    checkProviders: () => Promise.resolve(),
    checkKernels: () => Promise.resolve(),
    describeMachine: () => Promise.resolve(MACHINE),
    diagnose: () => Promise.reject(new Error('doctor is not part of this test')),
    calibrate: () => Promise.reject(new Error('doctor is not part of this test')),
    planCuda: () => Promise.reject(new Error('doctor is not part of this test')),
    getCuda: () => Promise.reject(new Error('doctor is not part of this test')),
    tryCuda: () => Promise.reject(new Error('doctor is not part of this test')),
    removeCuda: () => Promise.reject(new Error('doctor is not part of this test')),
    timer: () => () => Promise.reject(new Error('timing is not part of this test')),
    ...parts,
  };
}

export async function run(argv: readonly string[], setting: Setting = {}): Promise<Result> {
  const broken = setting.brokenStdout === true ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : undefined;
  const stdout = new Collector(setting.isTTY ?? false, broken);
  const stderr = new Collector(setting.isTTY ?? false);
  const io: Io = {
    stdout,
    stderr,
    stdin: (async function* () {
      if (setting.stdin !== undefined) yield setting.stdin;
    })(),
    env: setting.env ?? {},
    ...(setting.ask !== undefined && { ask: setting.ask }),
    signal: setting.signal ?? new AbortController().signal,
  };
  const code = await main(argv, io, fakeEngine(setting.engine));
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** A folder with a file model.onnx; it is removed when the test ends. */
export function modelFolder(): { folder: string; model: string; at: (name: string) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  writeFileSync(at('model.onnx'), 'input');
  return { folder, model: at('model.onnx'), at };
}

/** Times vary; everything else of a step's line does not. */
export function withoutTimes(stderr: string): string[] {
  return stderr.split('\n').map((line) => line.replace(/ +\d[\d.]*(?: \d{3})* ms/, ' T'));
}
