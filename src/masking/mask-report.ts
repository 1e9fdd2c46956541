/** What became of mask files. */
import type { TensorFate } from '../masks/fates.js';

/** One mask and the weight it is for. */
export interface BoundMask {
  readonly file: string;
  /** As the file says it. */
  readonly key: string;
  /** Initializer, or layer where the weight is computed. */
  readonly weight: string;
  readonly node: string;
  /** Of the weight, in the model's layout. */
  readonly shape: readonly number[];
  /**
   * By what it was bound: the user's map, the name, the module in the node's name, the weight's
   * values, the shape alone.
   */
  readonly evidence: 'map' | 'name' | 'module' | 'values' | 'shape';
  readonly granularity: 'element' | 'kernel' | 'filter' | 'channel' | 'pattern';
  /** Elements of the weight that it prunes. */
  readonly zeros: number;
  /** Whether it is made of the zeros in a checkpoint's weights. */
  readonly isFromZeros: boolean;
  /**
   * Whether the file's own copy of the weight is the model's, up to a scale per filter; absent when
   * it has none.
   */
  readonly values?: 'same' | 'different' | 'unknown';
}

export interface MaskFileReport {
  readonly path: string;
  readonly format: string;
  readonly sha256: string;
  /** Every tensor of the file, and what became of it. */
  readonly tensors: readonly TensorFate[];
}

export interface MaskReport {
  readonly meaning: 'zero' | 'drop';
  readonly files: readonly MaskFileReport[];
  readonly masks: readonly BoundMask[];
  /** Elements that are pruned, of all weights: what several masks prune counts once. */
  readonly zeros: number;
  /** Keys that were left out: no weight, and --allow-unmatched or the map said so. */
  readonly unmatched: readonly string[];
  /** Layers without a mask. */
  readonly unmaskedLayers: readonly string[];
  /** With `drop`: filters without a weight, whose bias and shift went too. */
  readonly droppedFilters: number;
}
