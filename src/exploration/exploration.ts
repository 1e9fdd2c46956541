/** What an exploration finds: plain data, and the contents of its file. */
import type { Comparison } from '../bench/results.js';
import type { ErrorCode } from '../errors.js';
import type { MakeMasksOptions } from '../mask-maker/choice.js';
import type { describeMachine } from '../runtime/machine.js';
import type { Grid, Place, Shard, Way } from './grid.js';

export const EXPLORATION_FORMAT = 'prune-compile exploration';
export const EXPLORATION_SCHEMA = 1;

/** Against the dense model, both measured in the same interleaved rounds. */
export interface Timing extends Pick<Comparison, 'speedup' | 'interval' | 'p' | 'verdict'> {
  readonly denseMs: number;
  /** Medians. */
  readonly ms: number;
  readonly rounds: number;
  /** The larger standard deviation of the two, as a share of its median. */
  readonly spread: number;
}

export interface Point extends Place {
  readonly way: Way;
  /** What it was measured on. */
  readonly cpu: string;
  /** All that it took. */
  readonly seconds: number;
  /** Share of the weights of masked layers that is zero; absent where no masks could be made. */
  readonly zeros?: number;
  /** Of the compiled model, as the next ones. */
  readonly parameters?: number;
  readonly macs?: number;
  readonly sizeBytes?: number;
  /** Layers that became sparse operators. */
  readonly sparseLayers?: number;
  /** Whether the compiled model computes what the masked one does; times of others are not taken. */
  readonly equal?: boolean;
  readonly difference?: number;
  readonly timing?: Timing;
  /** As the command of --evaluate printed it. */
  readonly accuracy?: number;
  /** Why there are no figures. */
  readonly problem?: { readonly code: ErrorCode; readonly what: string };
}

/** What all points have in common: points of other settings do not belong together. */
export interface ExploreSettings extends Required<
  Pick<MakeMasksOptions, 'scope' | 'groups' | 'widthMultiple' | 'exclude' | 'seed' | 'meaning'>
> {
  readonly align: number | 'auto';
  readonly sparseTarget: string | null;
  readonly tune: boolean;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly threads: number;
  readonly batch: number | null;
  readonly rounds: number | null;
  readonly evaluate: string | null;
}

export interface DenseFigures {
  readonly parameters: number;
  /** Null where the shapes stay unknown. */
  readonly macs: number | null;
  readonly sizeBytes: number;
  readonly accuracy?: number;
}

/** The dense model in codes of eight bits, against the same in float32. Its outputs are others. */
export type Int8 =
  { readonly timing: Timing; readonly sizeBytes: number; readonly cpu: string } | { readonly problem: string };

export interface Gain {
  readonly ratio: number;
  readonly speedup: number;
  readonly interval: readonly [low: number, high: number];
}

/** Of one granularity under one criterion. */
export interface Payoff {
  readonly granularity: string;
  readonly criterion: string;
  /** Ratios that were measured, ascending. */
  readonly measured: readonly number[];
  /** The lowest from which on every measured point is significantly faster than the dense model. */
  readonly from?: Gain;
  /** The fastest of all, where that is faster than the dense model. */
  readonly best?: Gain;
  /** Faster points below `from`, or without any. */
  readonly scattered: readonly number[];
  /** The lowest from which on every point is faster than dense int8, intervals apart. */
  readonly aboveInt8?: number;
}

export interface Fastest extends Gain, Pick<Place, 'granularity' | 'criterion'> {}

export interface Conclusions {
  readonly payoffs: readonly Payoff[];
  /** At each ratio that was measured: what is faster than dense, and the fastest of it. */
  readonly fastest: readonly Fastest[];
  /** Not dominated in speed and accuracy: `dense`, or points. Empty without accuracies. */
  readonly front: readonly FrontPoint[];
}

export interface FrontPoint {
  readonly speedup: number;
  readonly accuracy: number;
  /** Absent: the dense model. */
  readonly place?: Place;
}

export interface Exploration {
  readonly format: typeof EXPLORATION_FORMAT;
  readonly schema: typeof EXPLORATION_SCHEMA;
  readonly tool: { readonly name: string; readonly version: string };
  readonly date: string;
  readonly machine: ReturnType<typeof describeMachine>;
  readonly model: { readonly name: string; readonly sha256: string };
  readonly settings: ExploreSettings;
  readonly grid: Grid;
  /** Absent where the file has all parts. */
  readonly shard?: Shard;
  /** Absent until the first point is there. */
  readonly dense?: DenseFigures;
  /** Absent until it was tried. */
  readonly int8?: Int8;
  /** By granularity, criterion and ratio. */
  readonly points: readonly Point[];
  readonly notes: readonly string[];
  readonly conclusions: Conclusions;
}
