/**
 * Options of the providers for NVIDIA cards. onnxruntime-node hands on a device number alone; the
 * native library adds the others, for the whole process, so sessions with other options are made
 * one after the other.
 */
import { messageOf, PruneCompileError } from '../errors.js';
import { buildCommand, loadKernels } from './kernels.js';
import type { Provider } from './providers.js';

/** By name, as ONNX Runtime spells them: use_tf32 -> 0. */
export type ProviderOptions = ReadonlyMap<string, string>;

/** Providers that take options. */
const TAKERS: readonly Provider[] = ['cuda', 'tensorrt'];

/** Options of TensorRT begin so, those of CUDA do not. */
const TENSORRT_PREFIX = 'trt_';

/** Those of them that are for the provider. */
export function optionsFor(provider: Provider, options: ProviderOptions = new Map()): ProviderOptions {
  const wanted = [...options].filter(
    ([key]) => (provider === 'tensorrt') === key.startsWith(TENSORRT_PREFIX) && TAKERS.includes(provider),
  );
  return new Map(wanted);
}

/** Throws E-USAGE for options that none of the providers takes. */
export function checkOptions(providers: readonly Provider[], options: ProviderOptions = new Map()): void {
  const taken = new Set(providers.flatMap((provider) => [...optionsFor(provider, options).keys()]));
  const lost = [...options.keys()].find((key) => !taken.has(key));
  if (lost === undefined) return;
  const owner = lost.startsWith(TENSORRT_PREFIX) ? 'tensorrt' : 'cuda';
  throw new PruneCompileError('E-USAGE', {
    what: `the provider option ${lost} is for ${owner}, and the providers are ${providers.join(', ')}`,
    facts: [['try', `--providers ${owner} --provider-option ${lost}=${options.get(lost) ?? ''}`]],
  });
}

/**
 * Whether float32 is computed in TF32 (10 bits of mantissa) where the card can: Ampere and newer.
 * Both providers do so unless told otherwise, by an option or by NVIDIA's variable. Undefined for
 * providers that have no TF32.
 */
export function usesTf32(
  provider: Provider,
  options: ProviderOptions = new Map(),
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean | undefined {
  if (!TAKERS.includes(provider)) return undefined;
  if (env['NVIDIA_TF32_OVERRIDE'] === '0') return false;
  return !['0', 'false', 'False'].includes(optionsFor(provider, options).get('use_tf32') ?? '1');
}

/** What the native library was told last. */
const told = new Map<Provider, string>();
let turn: Promise<unknown> = Promise.resolve();

/**
 * Makes a session that gets these options, while no other one is made. Throws E-KERNELS where there
 * are options and no library that sets them.
 */
export function withProviderOptions<T>(
  provider: Provider,
  options: ProviderOptions | undefined,
  make: () => Promise<T>,
): Promise<T> {
  const lines = [...optionsFor(provider, options)].map(([key, value]) => `${key}=${value}`).join('\n');
  if (lines === '' && told.size === 0) return make();
  const made = turn.then(() => {
    tell(provider, lines);
    return make();
  });
  turn = made.catch(() => undefined);
  return made;
}

function tell(provider: Provider, lines: string): void {
  if ((told.get(provider) ?? '') === lines) return;
  const { setProviderOptions } = loadKernels();
  if (setProviderOptions === undefined)
    throw new PruneCompileError('E-KERNELS', {
      what: 'the native library cannot set options of providers',
      facts: [['try', buildCommand()]],
    });
  setProviderOptions(provider, lines);
  told.set(provider, lines);
}

/** What is wrong with an option, where a provider refused one. */
export function refusedOption(error: unknown): PruneCompileError | undefined {
  const said = /(?:Unknown provider option: "[^"]*"|Failed to parse provider option "[^"]*")/.exec(messageOf(error));
  if (said === null) return undefined;
  return new PruneCompileError('E-USAGE', {
    what: `ONNX Runtime refuses an option of the provider: ${said[0].charAt(0).toLowerCase()}${said[0].slice(1)}`,
    facts: [['try', 'the names and values of ONNX Runtime, as in --provider-option use_tf32=0 (docs/gpu.md)']],
    cause: error,
  });
}
