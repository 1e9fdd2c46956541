/** The outcome of a paired test in the notation of the journals: `t(30) = 41.3, p < .001`. */
import type { Comparison } from './results.js';
import { SIGNIFICANCE } from './statistics.js';

/**
 * `faster: t(30) = 41.3, p < .001`, `no significant difference: t(30) = 0.4, p = .69`. Where the
 * test and the interval disagree, no difference is claimed, and the text says which says what.
 */
export function describeComparison(comparison: Comparison): string {
  const test = describeTest(comparison);
  if (!disagrees(comparison)) return `${comparison.verdict}: ${test}`;
  const [low, high] = comparison.interval.map((end) => end.toFixed(2));
  const contains = comparison.interval[0] <= 1 && comparison.interval[1] >= 1 ? 'contains 1' : 'does not contain 1';
  return `no difference is claimed: the test says ${test}, and the interval of the medians' ratio, [${low}, ${high}], ${contains}`;
}

/** The verdict alone, for a column of its own. */
export function describeVerdict(comparison: Comparison): string {
  return disagrees(comparison) ? 'none: the test and the interval disagree' : comparison.verdict;
}

/** Whether exactly one of the two finds a difference, or both find opposite ones. */
function disagrees({ verdict, p, interval: [low, high] }: Comparison): boolean {
  const excludesOne = low > 1 || high < 1;
  return verdict === 'no significant difference' && (p < SIGNIFICANCE || excludesOne);
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
