/** Weights in an operand that no relation reads: where these are, and what stands for 0 in them. */
import type { Tensor } from '../ir/tensor.js';

export interface StoredWeights {
  readonly index: number;
  /** Input with the zero point; absent where the operator has none. */
  readonly zeroPoint?: number;
  /** Which axis a list of zero points is for. */
  readonly axis: number;
  /** Where the elements are not one number each. */
  readonly count?: (tensor: Tensor, points: Tensor | undefined) => number | undefined;
}

/** Of a native operator: what its weights would be without zeros. */
export interface NativeWeights {
  /** Elements of the dense tensor. */
  readonly size: number;
  readonly outputChannels: number;
  /** Whether input 1 has the values that are kept and no others. */
  readonly isPacked: boolean;
}
