/** One statement of a mask file: which parameter a mask is for, and where its values come from. */
import type { FileTensor } from './contents.js';
import type { ParsedKey } from './names.js';
import type { WeightSlot } from './slots.js';

/** The elements of a mask, or what they follow from. */
export type MaskSource =
  | { readonly kind: 'tensor'; readonly tensor: FileTensor }
  /** Whole filters (axis 0 in PyTorch's layout) or input channels (axis 1) by index. */
  | {
      readonly kind: 'indices';
      readonly axis: number;
      readonly action: 'remove' | 'keep';
      readonly indices: readonly number[];
      readonly shape?: readonly number[];
    }
  /** Lengths of runs of kept and pruned elements in turn, beginning with kept ones; row-major. */
  | { readonly kind: 'runs'; readonly shape: readonly number[]; readonly runs: readonly number[] }
  /** Of every `of` neighbours along the input channels the `keep` largest stay. */
  | { readonly kind: 'pattern'; readonly keep: number; readonly of: number };

export interface Claim {
  /** As the file says it. */
  readonly key: string;
  readonly file: string;
  readonly name: ParsedKey;
  readonly source: MaskSource;
  /**
   * The parameter before it was masked (`weight_orig`), which tells the initializer by its values.
   */
  readonly original?: FileTensor;
  /** Whether initializers are named as the model at hand names them, in ONNX's layout. */
  readonly isOnnx: boolean;
  /**
   * A parameter beside masks: one of its own only where its zeros are (pruning made permanent for
   * that layer).
   */
  readonly isBeside?: boolean;
  /**
   * A parameter before it was masked, beside its mask: zeros of an earlier round, which the mask
   * need not name.
   */
  readonly isOriginal?: boolean;
  /** A list, a number or a mapping that may prune and is not understood (doubts.ts). */
  readonly isDoubtful?: boolean;
  /** Beside a state dict, where trainers keep scores and counts. */
  readonly isOutside?: boolean;
  /**
   * A mask that is for this parameter only where the layer has it (NNCF masks a bias with its
   * filters).
   */
  readonly isOptional?: boolean;
  /** A mask of a whole BatchNormalization, scale and shift. */
  readonly isOfNorm?: boolean;
  /** One of a list: its place is no name, and it is never bound by it. */
  readonly isListed?: boolean;
  /**
   * A part of a packed parameter: where the model has it, told by the values of the whole
   * (packed-attention.ts).
   */
  readonly at?: readonly WeightSlot[];
  /** Of Torch-Pruning: what must shrink with the filters goes with them. */
  readonly isCoupled?: boolean;
}
