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
