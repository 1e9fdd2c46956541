/**
 * What is said of masks that were made: what they take, and beforehand what of it the compiler will
 * be able to remove.
 */
import type { Remark } from '../../passes/pass.js';
import type { Choice } from './choice.js';

/** Counts of the model as it is, and as the compiler would leave it. */
export interface PredictedFigures {
  readonly parameters: number;
  readonly macs: number | undefined;
  readonly channels: number;
}

export interface MadeLayer {
  readonly node: string;
  readonly opType: string;
  /** What its mask is called in the file. */
  readonly mask: string;
  /** Of the weight, in the model's layout. */
  readonly shape: readonly number[];
  /** Filters, channels, kernels, blocks or elements, and how many of them are masked. */
  readonly units: number;
  readonly masked: number;
  /** Elements that the mask makes zero. */
  readonly zeros: number;
  readonly outputChannels: number;
  /** Output channels that the compiler can remove. */
  readonly removable: number;
}

export interface MaskMakingReport {
  readonly model: string;
  readonly options: Omit<Choice, 'granularity' | 'granularityName'> & { readonly granularity: string };
  /** What one unit is: filter, channel, kernel, block, element. */
  readonly unit: string;
  readonly layers: readonly MadeLayer[];
  /** Layers without a mask. */
  readonly skipped: readonly { readonly node: string; readonly why: string }[];
  readonly weights: number;
  readonly zeros: number;
  readonly before: PredictedFigures;
  readonly after: PredictedFigures;
  /** With the compiler's defaults and the meaning in `options`. */
  readonly removableChannels: number;
  /** Why dead channels stay, most first. */
  readonly stays: readonly { readonly kind: Remark['kind']; readonly message: string; readonly channels: number }[];
}
