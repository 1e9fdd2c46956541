/** What a close comparison compares, and what came of it. */
import type { Tensor } from 'onnxruntime-node';
import { type Bound, boundFor } from './bound.js';
import type { Pair } from './decisions.js';
import type { Steepness } from './steep.js';

/** Something that is compared: an output, or what a decision reads. */
export interface Entry {
  readonly name: string;
  /** The decision that reads it; undefined for outputs. */
  readonly readBy: string | undefined;
  /** By case, divided by the scale of what is compared. */
  readonly differences: number[];
  type: Tensor.Type;
  optimised: number | undefined;
  nudged: number;
  /** Why unequal whatever the bound. */
  reason?: string;
  steep?: Steepness;
}

export interface CloseComparison {
  readonly pairs: readonly Pair[];
  readonly entries: readonly Entry[];
  /** Outputs that a decision gives. */
  readonly chosen: ReadonlySet<string>;
  /** Values that the candidate chooses otherwise, of all chosen. */
  differing: number;
  of: number;
}

/** What rounding alone allows. */
export function boundOf({ type, optimised, nudged }: Entry): Bound {
  return boundFor(type, { optimised, nudged });
}
