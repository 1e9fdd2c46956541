/** Stored tensors that masks are for, and constants beside them that no mask is for. */
import type { Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Factors, MaskedWeight } from '../masks/apply.js';

/** A stored tensor that masks are for. */
export interface MaskedParameter {
  readonly value: Value;
  readonly tensor: Tensor;
  /** Undefined where its readers have different masks. */
  readonly factors: Factors | undefined;
  /** Whether some mask takes the element. */
  readonly isLost: (at: number) => boolean;
  readonly weight: MaskedWeight;
  /** Modules whose parameter it is, as the files call them. */
  readonly modules: ReadonlySet<string>;
  /** module.weight */
  readonly names: ReadonlySet<string>;
}

/** A constant that nothing masks. */
export interface OpenConstant {
  readonly value: Value;
  readonly tensor: Tensor;
}
