/** A comparison in one sentence, in the notation of the journals: `t(30) = 41.3, p < .001`. */
import type { Comparison } from '../report/types.js';

/**
 * `2.09x faster [2.05, 2.12], t(30) = 41.3, p < .001`, `1.31x slower […]` (how many times the baseline's time it takes) or
 * `no significant difference: 1.01x [0.98, 1.03], t(30) = 0.8, p = .41`; the bracket is the 95 % interval of that number.
 */
export function describeComparison(comparison: Comparison): string {
  const { verdict, speedup, interval } = comparison;
  const [low, high] = interval;
  const test = describeTest(comparison);
  if (verdict === 'faster') return `${times(speedup)} faster ${range(low, high)}, ${test}`;
  if (verdict === 'slower') return `${times(1 / speedup)} slower ${range(1 / high, 1 / low)}, ${test}`;
  return `${verdict}: ${times(speedup)} ${range(low, high)}, ${test}`;
}

/** `t(30) = 41.3, p < .001` */
export function describeTest({ t, degreesOfFreedom, p }: Pick<Comparison, 't' | 'degreesOfFreedom' | 'p'>): string {
  return `t(${degreesOfFreedom}) = ${Math.abs(t) < 1000 ? t.toFixed(1) : t.toPrecision(2)}, ${describeP(p)}`;
}

function describeP(p: number): string {
  if (p < 0.001) return 'p < .001';
  // Three digits where two would hide on which side of a threshold it lies.
  const digits = p < 0.1 ? 3 : 2;
  return `p = ${p.toFixed(digits).replace(/^0/, '')}`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}x`;
}

function range(low: number, high: number): string {
  return `[${low.toFixed(2)}, ${high.toFixed(2)}]`;
}
