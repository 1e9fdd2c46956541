/** What a comparison of two models finds. */
import type { Provider } from '../runtime/providers.js';

export interface VerificationCase {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly seed: number;
  /** Largest |a - b| over all outputs, divided by the largest |a| of that output. */
  readonly difference: number;
}

/** One output over all cases; differences are divided by the output's largest absolute value. */
export interface OutputVerification {
  readonly name: string;
  readonly difference: number;
  readonly bound: number;
  readonly noise: number;
  /** Set where the reference's own output holds NaN or infinities. */
  readonly hasNonFinite?: true;
}

export interface Verification {
  /** Where both models ran, unless that is the CPU. */
  readonly provider?: Provider;
  /** Whether float32 was computed in TF32 there where the card can; absent without TF32. */
  readonly tf32?: boolean;
  /** The driver of WebGPU that computes on the processor, by name; absent for a GPU. */
  readonly softwareDriver?: string;
  readonly equal: boolean;
  /**
   * Of the output that is closest to its bound: its largest difference of all cases. 1 where
   * outputs cannot be compared.
   */
  readonly difference: number;
  /** What was allowed that output, and from what it follows. */
  readonly bound: number;
  readonly noise: number;
  readonly boundReason: string;
  readonly cases: readonly VerificationCase[];
  /** Node or output where the worst difference was, when not equal. */
  readonly worstOutput?: string;
  /** Why not equal, in a sentence. */
  readonly reason?: string;
  readonly outputs?: readonly OutputVerification[];
  /**
   * Set where both models ran with graph optimisations, because the reference runs with them only.
   */
  readonly optimised?: true;
  /**
   * Set where outputs, or what they follow from, may be chosen otherwise where values are tied
   * within rounding.
   */
  readonly upToTies?: true;
  /** Set where the candidate cannot be loaded or run. */
  readonly fails?: true;
  readonly notes: readonly string[];
}
