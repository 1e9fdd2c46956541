/**
 * Execution providers by name, and whether one works here. A provider is tried in a child process:
 * a broken driver may end the process that loads it, and the libraries say which file they miss on
 * stderr only.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { PruneCompileError } from '../errors.js';
import { librariesOf, problemOf, type ProviderProblem } from '../runtime/provider-needs.js';
import { type Provider, PROVIDERS } from '../runtime/providers.js';
import { providerError } from '../runtime/session.js';
import { PROBE_RESULT, PROBE_SHAPE, probeModel } from './probe-model.js';

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

/**
 * Builds and runs a session on that provider alone; a node left to the CPU is a failure. Where it
 * fails, the loader is asked for each library: the provider's own error names the first one that is
 * missing. Node's loader expects addons, and of other libraries says that they did not register.
 */
const PROBE_SCRIPT = `
const [runtime, provider, model, wanted] = process.argv.slice(1);
const { shape, result, libraries } = JSON.parse(wanted);
const ort = require(runtime);
const answer = (said) => process.stdout.write(JSON.stringify(said));
const isMissing = (library) => {
  try { process.dlopen({ exports: {} }, library); } catch ({ message }) {
    return message.startsWith(library + ': cannot open shared object file');
  }
  return false;
};
const options = { executionProviders: [provider], logSeverityLevel: 3, extra: { session: { disable_cpu_ep_fallback: '1' } } };
const size = shape.reduce((product, extent) => product * extent, 1);
ort.InferenceSession.create(Buffer.from(model, 'base64'), options)
  .then((session) => session.run({ x: new ort.Tensor('float32', new Float32Array(size).fill(1), shape) }))
  .then(({ y }) => y.getData())
  .then((data) => answer(data[0] === result ? {} : { error: 'its result is ' + data[0] + ' instead of ' + result }))
  .catch((error) => answer({ error: error.message, missing: libraries.filter(isMissing) }));
`;

interface Answer {
  readonly error?: string;
  readonly missing?: readonly string[];
}

const probes = new Map<Provider, Promise<ProviderProblem | undefined>>();

/** Why the provider does not work here; undefined when it does. Tried once per process. */
export function providerProblem(provider: Provider): Promise<ProviderProblem | undefined> {
  if (provider === 'cpu') return Promise.resolve(undefined);
  const known = probes.get(provider);
  if (known !== undefined) return known;
  const probe = tryProvider(provider);
  probes.set(provider, probe);
  return probe;
}

/** Throws E-PROVIDER with the reason when the provider does not work here. */
export async function requireProvider(provider: Provider): Promise<void> {
  const problem = await providerProblem(provider);
  if (problem !== undefined) throw providerError(provider, problem);
}

/** The same, tried anew: in another environment, which a process has from its start. */
export async function tryProvider(
  provider: Provider,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProviderProblem | undefined> {
  const runtime = createRequire(import.meta.url).resolve('onnxruntime-node');
  const model = Buffer.from(probeModel()).toString('base64');
  const wanted = JSON.stringify({ shape: PROBE_SHAPE, result: PROBE_RESULT, libraries: librariesOf(provider) });
  const child = spawn(process.execPath, ['-e', PROBE_SCRIPT, runtime, provider, model, wanted], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    timeout: PROBE_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const [said, log] = [collect(child.stdout), collect(child.stderr)];
  const ended = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`no process could be started for it: ${error.message}`));
    child.on('close', (code, signal) =>
      resolve(`the process that tried it ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  // A driver that crashes while the process ends has done its work before; one may also talk first.
  const [answer] = /\{.*\}$/s.exec(said.join('')) ?? [];
  const { error, missing = [] } = answer === undefined ? { error: ended } : (JSON.parse(answer) as Answer);
  if (error === undefined) return undefined;
  return problemOf(provider, error.replaceAll(/\s*\n\s*/g, ' ').trim(), { log: log.join(''), missing });
}

function collect(stream: NodeJS.ReadableStream): string[] {
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString('utf8')));
  return chunks;
}
