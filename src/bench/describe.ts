/** The outcome of a paired test in the notation of the journals: `t(30) = 41.3, p < .001`. */
import type { Comparison } from './results.js';

/** `faster: t(30) = 41.3, p < .001`, `no significant difference: t(30) = 0.4, p = .69` */
export function describeComparison(comparison: Comparison): string {
  return `${comparison.verdict}: ${describeTest(comparison)}`;
}

/** `t(30) = 41.3, p < .001` */
export function describeTest({ t, degreesOfFreedom, p }: Pick<Comparison, 't' | 'degreesOfFreedom' | 'p'>): string {
  return `t(${degreesOfFreedom}) = ${describeT(t)}, ${describeP(p)}`;
}

/** Three digits; an exponent where the times of made-up models differ by nothing but a factor. */
function describeT(t: number): string {
  if (Math.abs(t) >= 99_999.5) return t.toExponential(1);
  return t.toFixed(Math.abs(t) < 99.95 ? 1 : 0).replace(/^-0\.0$/, '0.0');
}

function describeP(p: number): string {
  if (p < 0.001) return 'p < .001';
  // Three digits where two would hide on which side of a threshold it lies.
  const digits = p < 0.1 ? 3 : 2;
  return `p = ${p.toFixed(digits).replace(/^0/, '')}`;
}
