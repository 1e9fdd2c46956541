/** Which units go: those with the lowest scores, ties in order. A pool keeps at least one. */
import type { Choice } from './choice.js';
import type { MaskLayer, Matrix } from './layers.js';
import type { Pool } from './pools.js';

/** Products of a ratio in binary may fall short of a whole number by rounding: 0.29 * 100. */
const ROUNDING = 1e-9;

export interface ScoredPool extends Pool {
  readonly scores: Float64Array;
}

/** Per pool one byte per unit: 1 goes. The ratio counts units, whatever their size. */
export function choosePruned(
  pools: readonly ScoredPool[],
  { ratio, scope }: Pick<Choice, 'ratio' | 'scope'>,
): Uint8Array[] {
  const share = (count: number) => Math.floor(ratio * count + ROUNDING);
  const quotas =
    scope === 'layer'
      ? pools.map(({ count }) => share(count))
      : globalQuotas(pools, share(pools.reduce((total, { count }) => total + count, 0)));
  return pools.map(({ scores, count, step, cells }, index) => {
    const kept = Math.max(count - (quotas[index] ?? 0), 1);
    const gone = count - Math.min(Math.ceil(kept / step) * step, count);
    return cells === undefined ? lowest(scores, gone) : lowestOfEach(scores, gone / cells.length, cells);
  });
}

/** The `count` lowest of each cell. */
function lowestOfEach(scores: Float64Array, count: number, cells: readonly (readonly number[])[]): Uint8Array {
  const pruned = new Uint8Array(scores.length);
  for (const cell of cells) {
    const own = lowest(
      Float64Array.from(cell, (unit) => scores[unit] ?? 0),
      count,
    );
    for (const [at, unit] of cell.entries()) pruned[unit] = own[at] ?? 0;
  }
  return pruned;
}

/**
 * How many of each pool are among the lowest of all. What a pool may not give, because one has to
 * stay, the others give.
 */
function globalQuotas(pools: readonly ScoredPool[], total: number): number[] {
  const capped = new Map<ScoredPool, number>();
  for (;;) {
    const open = pools.filter((pool) => !capped.has(pool));
    const rest = total - [...capped.values()].reduce((sum, quota) => sum + quota, 0);
    const quotas = shareOut(open, rest);
    const exceeding = open.filter((pool) => (quotas.get(pool) ?? 0) > pool.count - 1);
    if (exceeding.length === 0) return pools.map((pool) => capped.get(pool) ?? quotas.get(pool) ?? 0);
    for (const pool of exceeding) capped.set(pool, pool.count - 1);
  }
}

function shareOut(pools: readonly ScoredPool[], total: number): Map<ScoredPool, number> {
  const all = new Float64Array(pools.reduce((sum, { count }) => sum + count, 0));
  let at = 0;
  for (const { scores } of pools) {
    all.set(scores, at);
    at += scores.length;
  }
  const count = Math.min(Math.max(total, 0), all.length);
  const threshold = count === 0 ? Number.NEGATIVE_INFINITY : (all.toSorted()[count - 1] ?? 0);
  const quotas = new Map<ScoredPool, number>();
  let left = count;
  for (const pool of pools) {
    const below = countWhere(pool.scores, (score) => score < threshold);
    quotas.set(pool, below);
    left -= below;
  }
  for (const pool of pools) {
    const ties = Math.min(left, count === 0 ? 0 : countWhere(pool.scores, (score) => score === threshold));
    quotas.set(pool, (quotas.get(pool) ?? 0) + ties);
    left -= ties;
  }
  return quotas;
}

function countWhere(scores: Float64Array, holds: (score: number) => boolean): number {
  let count = 0;
  for (const score of scores) if (holds(score)) count++;
  return count;
}

/** The `count` lowest; of equal ones the first. */
function lowest(scores: Float64Array, count: number): Uint8Array {
  const pruned = new Uint8Array(scores.length);
  if (count <= 0) return pruned;
  const threshold = scores.toSorted()[count - 1] ?? Number.NEGATIVE_INFINITY;
  let ties = count - countWhere(scores, (score) => score < threshold);
  for (const [unit, score] of scores.entries()) {
    if (score < threshold) pruned[unit] = 1;
    else if (score === threshold && ties > 0) {
      pruned[unit] = 1;
      ties--;
    }
  }
  return pruned;
}

/**
 * A score per unit of a pool: the mean of its members' scores, each counting as much as `weightOf`
 * its layer.
 */
export function scorePool(
  pool: Pool,
  scoresOf: (layer: MaskLayer) => Float64Array,
  weightOf: (matrix: Matrix) => number,
): ScoredPool {
  const [only] = pool.parts;
  if (pool.parts.length === 1 && only?.locals === undefined && only !== undefined)
    return { ...pool, scores: scoresOf(only.layer) };
  const scores = new Float64Array(pool.count);
  let total = 0;
  for (const { layer, perUnit, locals } of pool.parts) {
    const own = scoresOf(layer);
    const weight = weightOf(layer.matrix);
    total += weight * perUnit;
    for (const [at, local] of (locals ?? []).entries()) {
      const unit = Math.floor(at / perUnit);
      scores[unit] = (scores[unit] ?? 0) + weight * (own[local] ?? 0);
    }
  }
  return { ...pool, scores: scores.map((sum) => sum / total) };
}

/**
 * Of every `of` neighbours along the input channels, per filter and tap, the `keep` highest stay,
 * ties to the first; a rest stays.
 */
export function choosePattern(
  { outputs, inputs, taps }: Matrix,
  scores: Float64Array,
  { keep, of }: { readonly keep: number; readonly of: number },
): Uint8Array {
  const pruned = new Uint8Array(scores.length);
  for (let output = 0; output < outputs; output++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let start = 0; start + of <= inputs; start += of) {
        const group = Array.from({ length: of }, (_, index) => (output * inputs + start + index) * taps + tap);
        group.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
        for (const unit of group.slice(keep)) pruned[unit] = 1;
      }
    }
  }
  return pruned;
}
