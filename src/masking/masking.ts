/**
 * What masks are asked for and what came of them. Apart from masked-model.ts, so that a model
 * without masks does not wait until everything is loaded that reads and binds them.
 */
import type { Use } from '../ir/graph.js';
import type { MaskMap } from '../masks/bind-options.js';
import type { Model } from '../onnx/read.js';
import type { MaskPlan } from '../verify/masked-reference.js';
import type { MaskReport } from './mask-report.js';

export interface MaskOptions {
  /** Mask files of any format in docs/masks.md; several multiply. */
  masks?: readonly string[];
  /**
   * Mask key -> name of a parameter, an initializer or a node, or a list of such, for masks that do
   * not bind by themselves; null leaves the mask out.
   */
  maskMap?: MaskMap;
  /** Taken off the beginning of every key. */
  maskPrefix?: string;
  /** What values other than 0 and 1 mean. */
  maskSoft?: 'error' | 'multiply';
  /**
   * Whose axes all masks have: [out, in] as in PyTorch, or those of the model's tensors. Evidence
   * decides where it is absent.
   */
  maskLayout?: 'torch' | 'stored';
  /**
   * Masks without a weight, and zeros that nothing in the model is known to have, are left out
   * instead of an error.
   */
  allowUnmatched?: boolean;
  /**
   * zero: masked weights are zeros, exact for the model as exported. drop: a filter masked
   * altogether is gone with bias and shift.
   */
  meaning?: 'zero' | 'drop';
}

export interface Masking {
  readonly report: MaskReport | undefined;
  /** Masks the same model again, read anew. */
  apply(model: Model): void;
  /** Whether any operand has other contents now. */
  readonly changed: boolean;
  /** Operands that have masks. */
  readonly masked: readonly Pick<Use, 'node' | 'index'>[];
  /** What the masks mean, for whoever builds the reference in another way. */
  readonly plan: MaskPlan | undefined;
}

/** Without mask files and with the meaning `zero` the model is what it is. */
export function asksForMasks({ masks = [], meaning = 'zero' }: MaskOptions): boolean {
  return masks.length > 0 || meaning !== 'zero';
}

export const UNMASKED: Masking = {
  report: undefined,
  apply: () => undefined,
  changed: false,
  masked: [],
  plan: undefined,
};

/** For the line about the step. */
export function maskingText({ report }: Masking): string {
  if (report === undefined) return '';
  const { masks, meaning, droppedFilters, files, zeros } = report;
  const bound = `${masks.length} masks bound, ${zeros} zeros`;
  const dropped = `${droppedFilters} filters dropped`;
  return `${files.length === 0 ? '' : `${bound}; `}meaning ${meaning}${meaning === 'drop' ? `: ${dropped}` : ''}`;
}
