/**
 * Execution providers by name, and whether one works here. A provider is tried in a child process:
 * a broken driver may end the process that loads it, and the libraries say which file they miss on
 * stderr only.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { PruneCompileError } from '../errors.js';
import { FLOAT } from '../ir/tensor.js';
import { encodeProto } from '../onnx/encode.js';
import { firstLine } from '../runtime/inputs.js';
import { type Provider, PROVIDERS, providerError } from '../runtime/session.js';

/**
 * `cpu,webgpu` or a list -> providers in the order given, each once. Throws E-USAGE for names that
 * are none.
 */
export function parseProviders(text: string | readonly string[]): Provider[] {
  const names = (typeof text === 'string' ? text.split(',') : text)
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  const unknown = names.find((name) => !isProvider(name));
  if (unknown !== undefined || names.length === 0) {
    throw new PruneCompileError('E-USAGE', {
      what: unknown === undefined ? 'no execution provider was named' : `there is no execution provider ${unknown}`,
      facts: [['allowed', PROVIDERS.join(', ')]],
    });
  }
  return [...new Set(names.filter(isProvider))];
}

function isProvider(name: string): name is Provider {
  return (PROVIDERS as readonly string[]).includes(name);
}

/**
 * A GPU driver's first start compiles its shaders; a software driver has been seen to take 3 s for
 * that.
 */
const PROBE_TIMEOUT_MS = 60_000;

/** Builds and runs a session on that provider alone; a node left to the CPU is a failure. */
const PROBE_SCRIPT = `
const [runtime, provider, model] = process.argv.slice(1);
const ort = require(runtime);
const options = { executionProviders: [provider], logSeverityLevel: 4, extra: { session: { disable_cpu_ep_fallback: '1' } } };
ort.InferenceSession.create(Buffer.from(model, 'base64'), options)
  .then((session) => session.run({ x: new ort.Tensor('float32', new Float32Array(16).fill(1), [4, 4]) }))
  .then(({ y }) => y.getData())
  .then((data) => process.stdout.write(data[0] === 4 ? 'ok' : 'the result of 4 x 1 is ' + data[0]))
  .catch((error) => process.stdout.write('failed: ' + error.message));
`;

const probes = new Map<Provider, Promise<string | undefined>>();

/** Why the provider does not work here; undefined when it does. Tried once per process. */
export function providerProblem(provider: Provider): Promise<string | undefined> {
  if (provider === 'cpu') return Promise.resolve(undefined);
  const known = probes.get(provider);
  if (known !== undefined) return known;
  const probe = runProbe(provider);
  probes.set(provider, probe);
  return probe;
}

/** Throws E-PROVIDER with the reason when the provider does not work here. */
export async function requireProvider(provider: Provider): Promise<void> {
  const problem = await providerProblem(provider);
  if (problem !== undefined) throw providerError(provider, new Error(problem));
}

async function runProbe(provider: Provider): Promise<string | undefined> {
  const runtime = createRequire(import.meta.url).resolve('onnxruntime-node');
  const model = Buffer.from(probeModel()).toString('base64');
  const child = spawn(process.execPath, ['-e', PROBE_SCRIPT, runtime, provider, model], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PROBE_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const [answer, log] = [collect(child.stdout), collect(child.stderr)];
  const ended = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`no process could be started for it: ${error.message}`));
    child.on('close', (code, signal) =>
      resolve(`the process that tried it ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  const said = answer.join('').trim();
  // A driver that crashes while the process ends has done its work before.
  if (said === 'ok') return undefined;
  const reason = said === '' ? ended : withoutSource(firstLine(said.replace(/^failed: /, '')));
  const detail = missingFile(log.join(''));
  return detail === undefined ? reason : `${reason} (${detail})`;
}

/**
 * `/onnxruntime_src/…/webgpu_context.cc:136 …::Initialize(…) … was false. Failed to …` -> `Failed
 * to …`
 */
function withoutSource(message: string): string {
  return message.replace(/^\/onnxruntime_src\/\S+:\d+ .*? was false\. /, '');
}

function collect(stream: NodeJS.ReadableStream): string[] {
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString('utf8')));
  return chunks;
}

/** The loader's or the driver's sentence in what a library wrote to stderr. */
function missingFile(log: string): string | undefined {
  const loader = /([^\s/:]+): cannot open shared object file/.exec(log)?.[1];
  if (loader !== undefined) return `${loader} is missing`;
  return /Warning: (.*(?:no drivers|Couldn't load).*)/i.exec(log)?.[1];
}

/** y = x times x, both [4, 4]: an operator that every provider has. */
function probeModel(): Uint8Array {
  const type = { tensorType: { elemType: FLOAT, shape: { dim: [{ dimValue: 4 }, { dimValue: 4 }] } } };
  return encodeProto({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'probe',
      node: [{ name: 'product', opType: 'MatMul', input: ['x', 'x'], output: ['y'] }],
      input: [{ name: 'x', type }],
      output: [{ name: 'y', type }],
    },
  });
}
