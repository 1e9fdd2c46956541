/**
 * ONNX Runtime sessions: the only file that creates them. Execution providers are asked for by name
 * and never swapped.
 */
import * as ort from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import { SPARSE_DOMAIN } from '../ir/graph.js';
import { dataTypeName } from '../ir/tensor.js';
import { hasKernels, lacksOperator, loadKernels } from './kernels.js';
import { withOddOutputs } from './odd-outputs.js';
import { type ProviderOptions, refusedOption, withProviderOptions } from './provider-options.js';
import { problemOf, type ProviderProblem } from './provider-needs.js';
import type { Provider } from './providers.js';

export interface SessionOptions {
  /** Default cpu. */
  provider?: Provider;
  /** Intra-op threads; default 1. */
  threads?: number;
  /** Of cuda and tensorrt; those of other providers are left out. */
  providerOptions?: ProviderOptions | undefined;
  /** Graph optimisations of ONNX Runtime; default true. */
  optimize?: boolean;
  /** Further `session.` entries of ONNX Runtime's configuration, without that prefix. */
  config?: Readonly<Record<string, string>>;
}

/** Of ONNX Runtime: 1.30.0. */
export function runtimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common;
}

/**
 * Providers that onnxruntime-node says are bundled; others may still load when their files lie
 * beside it.
 */
export function bundledProviders(): string[] {
  return ort.listSupportedBackends().flatMap(({ name, bundled }) => (bundled ? [name] : []));
}

/** A model file by path (external data is found beside it) or a whole model as bytes. */
export async function createSession(
  model: string | Uint8Array,
  options: SessionOptions = {},
): Promise<ort.InferenceSession> {
  const provider = options.provider ?? 'cpu';
  const sessionOptions: ort.InferenceSession.SessionOptions = {
    executionProviders: [provider],
    graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    // Without it two sessions with threads in one process disturb each other: their workers spin
    // while the other runs.
    extra: { session: { force_spinning_stop: '1', ...options.config } },
  };
  try {
    const session = await withProviderOptions(provider, options.providerOptions, () =>
      createPlain(model, sessionOptions),
    );
    return await withOddOutputs(session, model, (renamed) => createPlain(renamed, sessionOptions));
  } catch (error) {
    if (error instanceof PruneCompileError) throw error;
    if (provider !== 'cpu')
      throw refusedOption(error) ?? providerError(provider, problemOf(provider, messageOf(error)), error);
    const odd = /^Unsupported data type: (\d+)$/.exec(messageOf(error));
    if (odd !== null)
      throw new PruneCompileError('E-MODEL-RUNTIME', {
        what: `an input or output of the model has the data type ${dataTypeName(Number(odd[1]))}`,
        facts: [
          ['why', 'onnxruntime-node has no tensors of this type'],
          ['try', 'export the model with inputs and outputs in float32 or float16, and a Cast where they are used'],
        ],
        cause: error,
      });
    throw new PruneCompileError('E-MODEL-RUNTIME', {
      what: 'ONNX Runtime cannot load the model',
      facts: [
        ['why', messageOf(error)],
        [
          'try',
          'check that the model runs at all: python -c "import onnxruntime; onnxruntime.InferenceSession(\'model.onnx\')"',
        ],
      ],
      cause: error,
    });
  }
}

/**
 * `InferenceSession.create`; where that refuses the model because it has sparse operators, once
 * more with their library. So nothing has to be known of a model beforehand, and one without such
 * operators needs no library. Throws E-KERNELS besides ONNX Runtime's own errors: also for an
 * operator that is newer than the library.
 */
export async function createPlain(
  model: string | Uint8Array,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  try {
    return await create(model, options);
  } catch (error) {
    const operator = sparseOperatorIn(error);
    if (operator === undefined) throw error;
    if (hasKernels()) throw isUnknown(error) ? lacksOperator(operator, error) : error;
    loadKernels();
    return createPlain(model, options);
  }
}

/**
 * As in `prune_compile:SparseConv(-1) is not a registered function/op`; the name of a file begins
 * otherwise.
 */
function sparseOperatorIn(error: unknown): string | undefined {
  return new RegExp(`\\b${SPARSE_DOMAIN}[:.]([A-Z]\\w*)`).exec(messageOf(error))?.[1];
}

function isUnknown(error: unknown): boolean {
  return messageOf(error).includes('is not a registered function/op');
}

/** Two overloads of one function, which want to be told apart. */
function create(
  model: string | Uint8Array,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}

export function providerError(provider: Provider, { why, get }: ProviderProblem, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-PROVIDER', {
    what: `the requested execution provider ${provider} cannot be used`,
    facts: [
      ['why', why],
      ['bundled', bundledProviders().join(', ')],
      ['try', get],
    ],
    cause,
  });
}
