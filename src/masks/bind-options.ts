/** What binding may be told. */
import type { Tensor } from '../ir/tensor.js';
import type { FileTensor } from './contents.js';
import type { Layout } from './expand.js';
import type { TensorFate } from './fates.js';

/**
 * Mask key -> name of a parameter, an initializer or a node, or a list of such; null leaves the
 * mask out.
 */
export type MaskMap = Readonly<Record<string, string | readonly string[] | null>>;

export interface BindOptions {
  readonly map?: MaskMap;
  readonly allowUnmatched?: boolean;
  /** Modules that the file speaks of, pruned or not. */
  readonly modules?: ReadonlySet<string>;
  /** What values other than 0 and 1 mean: an error, or factors of the weights. */
  readonly soft?: 'error' | 'multiply';
  /** Whose axes the masks have, where the user says so. */
  readonly layout?: Layout;
  /** What the file holds besides claims (claims.ts). */
  readonly settled?: readonly TensorFate[];
  readonly parameters?: ReadonlyMap<string, FileTensor>;
  /** Stored tensors that subgraphs alone read, each with those who have the subgraphs. */
  readonly captured?: ReadonlyMap<string, string>;
  /** Constants of the model, whatever reads them. */
  readonly constants?: readonly Tensor[];
}
