/** What a benchmark finds. */
import type { Provider } from '../runtime/providers.js';

export interface Contender {
  readonly name: string;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly sdMs: number;
  /** Times that 95 and 99 of 100 rounds do not exceed, interpolated between rounds. */
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Bootstrap 95 % interval of the median. */
  readonly interval: readonly [low: number, high: number];
  readonly samplesMs: readonly number[];
  /** Rows of the inputs' first axis in a second, by the median; absent where they have none. */
  readonly samplesPerSecond?: number;
  /** From the file, or from bytes, to a session that can run; measured once. */
  readonly loadMs?: number;
  /** Of the model and its external data. */
  readonly sizeBytes?: number;
  /**
   * The most memory that loading and running take, beyond Node and ONNX Runtime, in a process of its
   * own; absent where it was not asked for, and of models given as bytes.
   */
  readonly peakMemoryBytes?: number;
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
  /** The driver of WebGPU that computes on the processor, by name; absent for a GPU. */
  readonly softwareDriver?: string;
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
