/** What a benchmark finds. */
import type { Provider } from '../runtime/providers.js';

export interface Contender {
  readonly name: string;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly sdMs: number;
  /** Bootstrap 95 % interval of the median. */
  readonly interval: readonly [low: number, high: number];
  readonly samplesMs: readonly number[];
}

/** `baseline` time / `contender` time; above 1 the contender is faster. */
export interface Comparison {
  readonly baseline: string;
  readonly contender: string;
  readonly speedup: number;
  readonly interval: readonly [low: number, high: number];
  /** Paired over rounds. */
  readonly t: number;
  readonly degreesOfFreedom: number;
  readonly p: number;
  /** 'faster', 'slower' or 'no significant difference'. */
  readonly verdict: 'faster' | 'slower' | 'no significant difference';
}

export interface Benchmark {
  readonly provider: Provider;
  /** What was set beside the provider's own defaults; absent where nothing was. */
  readonly providerOptions?: readonly { readonly name: string; readonly value: string }[];
  /**
   * Whether float32 was computed in TF32 where the card can; absent for providers without TF32.
   */
  readonly tf32?: boolean;
  readonly threads: number;
  /** Set where the models leave the batch open. */
  readonly hasOpenBatch?: true;
  readonly rounds: number;
  readonly warmUps: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
  readonly notes: readonly string[];
}
