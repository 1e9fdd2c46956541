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

/** Of a layer that is a native operator, or a step of one: what its weights would be without zeros. */
export interface NativeWeights {
  /** Of a step: the name that its operator had. */
  readonly name?: string;
  /** Input with the weights. */
  readonly index: number;
  /** Elements of the dense tensor. */
  readonly size: number;
  readonly outputChannels: number;
  /** Whether that input has the values that are kept and no others. */
  readonly isPacked: boolean;
}
