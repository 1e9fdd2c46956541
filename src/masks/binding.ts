/** A mask and the weight that it was found to be for. */
import type { Claim } from './claim.js';
import type { Expanded } from './expand.js';
import { statedModule } from './names.js';
import type { Sameness } from './same-weights.js';
import type { WeightSlot } from './slots.js';

export type Evidence = 'map' | 'name' | 'module' | 'values' | 'shape';

export interface Binding {
  readonly claim: Claim;
  readonly slot: WeightSlot;
  readonly evidence: Evidence;
  readonly mask: Expanded;
  /** Whether the file holds the weight's own values as well, and they agree. */
  readonly values: Sameness | undefined;
  /** The zeros of a checkpoint's weights, where pruning was made permanent before it was saved. */
  readonly isFromZeros: boolean;
  /**
   * What the pruned parameters of a folded normalisation mean for the layer, beside masks of its
   * own.
   */
  readonly isFolded?: boolean;
}

/**
 * Whose parameter the mask is for, as the file calls the module; of a mask that --mask-map sends
 * somewhere, as the readers there do, and '' where they say nothing.
 */
export function modulesOf({ claim, slot, evidence }: Binding): readonly string[] {
  if (evidence !== 'map') return [claim.name.module];
  return slot.nodePaths.length === 0 ? [''] : slot.nodePaths.map(statedModule);
}

export interface Candidate {
  readonly slot: WeightSlot;
  readonly evidence: Evidence;
}
