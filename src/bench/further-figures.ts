/** What is told of a contender besides its times: throughput, loading, size, memory. */
import { statSync } from 'node:fs';
import { readModel } from '../onnx/read.js';
import type { Feeds } from '../runtime/feeds.js';
import { peakMemoryOf } from '../runtime/guarded-session.js';
import type { ProviderOptions } from '../runtime/provider-options.js';
import type { Provider } from '../runtime/providers.js';
import type { Runner } from './bench-inputs.js';
import type { Contender } from './results.js';

type Further = Pick<Contender, 'samplesPerSecond' | 'loadMs' | 'sizeBytes' | 'peakMemoryBytes'>;

/** Throws the signal's reason; what cannot be found out is left out. */
export async function furtherFigures(
  { model, loadMs }: Runner,
  medianMs: number,
  feeds: Feeds,
  options: {
    readonly memory?: boolean | undefined;
    readonly provider?: Provider | undefined;
    readonly providerOptions?: ProviderOptions | undefined;
    readonly threads?: number | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Further> {
  const rows = rowsOf(feeds);
  const peakMemoryBytes =
    options.memory === true && typeof model === 'string' ? await peakMemory(model, feeds, options) : undefined;
  return {
    ...(rows !== undefined && medianMs > 0 && { samplesPerSecond: (rows * 1000) / medianMs }),
    loadMs,
    ...sizeOf(model),
    ...(peakMemoryBytes !== undefined && { peakMemoryBytes }),
  };
}

/** Where all inputs have as many rows along their first axis, these are the samples of a run. */
function rowsOf(feeds: Feeds): number | undefined {
  const counts = new Set(Object.values(feeds).map(({ dims }) => dims[0]));
  const [count] = counts;
  return counts.size === 1 ? count : undefined;
}

function sizeOf(model: string | Uint8Array): { sizeBytes?: number } {
  if (typeof model !== 'string') return { sizeBytes: model.length };
  try {
    return { sizeBytes: readModel(model).sizeBytes };
  } catch {
    // An opset that ONNX Runtime runs and no rule describes.
    return { sizeBytes: statSync(model).size };
  }
}

async function peakMemory(
  model: string,
  feeds: Feeds,
  { provider, providerOptions, threads, signal }: Parameters<typeof furtherFigures>[3],
): Promise<number | undefined> {
  try {
    return await peakMemoryOf(model, feeds, {
      ...(provider !== undefined && { provider }),
      providerOptions,
      ...(threads !== undefined && { threads }),
    });
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
