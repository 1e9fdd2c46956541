/** How --tune measures (src/tuning.ts): a dense and a sparse model in turns. */
import { benchModels } from './benchmark.js';

export interface TimedPair {
  readonly denseMs: number;
  readonly sparseMs: number;
  readonly isFaster: boolean;
}

/** Threads of ONNX Runtime; default 1. */
export function sparseTimer(threads?: number) {
  return async (
    dense: Uint8Array,
    sparse: Uint8Array,
    request: {
      rounds: number;
      budgetMs: number;
      shapes: Readonly<Record<string, readonly number[]>>;
      signal?: AbortSignal;
    },
  ): Promise<TimedPair> => {
    const contenders = [
      { name: 'dense', model: dense },
      { name: 'sparse', model: sparse },
    ];
    const { contenders: results, comparisons } = await benchModels(contenders, {
      ...request,
      threads,
      baseline: 'dense',
    });
    const [{ medianMs: denseMs } = { medianMs: Number.NaN }, { medianMs: sparseMs } = { medianMs: Number.NaN }] =
      results;
    return { denseMs, sparseMs, isFaster: comparisons[0]?.verdict === 'faster' };
  };
}
