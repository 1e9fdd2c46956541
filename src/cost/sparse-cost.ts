/**
 * When sparse operators pay: a table per kind of machine says how much faster than ONNX Runtime's
 * dense kernels a layer is at a share of zeros, and what moving data into and out of the operators'
 * layout costs. Tables are data (sparse-tables.ts, or a file that `prune-compile doctor
 * --calibrate` wrote); this file reads between their points, forwards and backwards.
 */

/**
 * What differs in speed: a 1x1 convolution reads its input in place, larger kernels read it several
 * times, a matrix product turns its tiles.
 */
export type LayerKind = 'conv1x1' | 'conv' | 'matmul';

export const LAYER_KINDS: readonly LayerKind[] = ['conv1x1', 'conv', 'matmul'];

/** The speed-up over the dense kernel at a share of zeros. */
export type SpeedupPoint = readonly [zeros: number, speedup: number];

export interface KindCosts {
  /** Multiply-accumulates a second of the dense kernel, one thread. */
  readonly denseMacsPerSecond: number;
  /**
   * Shares of zeros ascending, speed-ups not descending. Below the first share nothing is known:
   * such layers stay dense.
   */
  readonly speedups: readonly SpeedupPoint[];
}

export interface CostTable {
  /** That of a shipped table (sparse-tables.ts), or `calibrated on …`. */
  readonly name: string;
  /**
   * Of a value that passes between dense and sparse operators, either way: out of one layout and
   * into the other.
   */
  readonly secondsPerMovedElement: number;
  readonly layers: Readonly<Record<LayerKind, KindCosts>>;
  /**
   * Images of a batch from which on chains are faster than convolutions of their own. Absent: 1.
   */
  readonly chainsFromBatch?: number;
}

/** Undefined below the first point of the table; above the last one as there. */
export function speedupAt({ speedups }: KindCosts, zeros: number): number | undefined {
  const after = speedups.findIndex(([share]) => zeros <= share);
  const [high, low] = [speedups[after], speedups[after - 1]];
  if (high === undefined) return speedups.at(-1)?.[1];
  if (low === undefined) return zeros === high[0] ? high[1] : undefined;
  return 1 / between(low[0], 1 / low[1], high[0], 1 / high[1], zeros);
}

/**
 * The least share of zeros with that speed-up: speedupAt, backwards. Undefined where the table does
 * not reach it.
 */
export function zerosFor({ speedups }: KindCosts, speedup: number): number | undefined {
  const at = speedups.findIndex(([, reached]) => reached >= speedup);
  const [high, low] = [speedups[at], speedups[at - 1]];
  if (high === undefined || low === undefined) return high?.[0];
  return between(1 / low[1], low[0], 1 / high[1], high[0], 1 / speedup);
}

/**
 * y at x on the line through two points. Of two speed-ups the times are on a line, not the
 * speed-ups themselves: a sparse operator's time is a constant and a part for every weight that is
 * kept.
 */
function between(x0: number, y0: number, x1: number, y1: number, x: number): number {
  return x0 === x1 ? y1 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

/**
 * Of a layer's dense time, what must be won at least: a table is not the layer itself. With
 * ResNet-50 at 50 % zeros, layers that should have won a tenth of their time by the table of AVX2
 * came out as slow as dense ones, and slower in batches.
 */
const LEAST_GAIN = 0.1;

/**
 * Seconds won by running a layer sparse that needs so many seconds dense; negative where it is
 * lost.
 */
export function secondsWon(denseSeconds: number, speedup: number): number {
  return denseSeconds * (1 - LEAST_GAIN - 1 / speedup);
}

/**
 * The least speed-up that wins so many seconds. Undefined where no speed-up does: the layer takes
 * less than that altogether.
 */
export function speedupToWin(denseSeconds: number, seconds: number): number | undefined {
  const rest = 1 - LEAST_GAIN - seconds / denseSeconds;
  return rest > 0 ? 1 / rest : undefined;
}
