/**
 * How much two exactly equal models may differ: a multiple of the rounding noise that the reference
 * itself shows.
 *
 * Two orders of the same floating-point sums differ by a random amount whose size depends on the
 * network: its depth, its cancellations, its width. So that amount is measured, on the same inputs,
 * as the larger of
 *  (a) the reference with ONNX Runtime's graph optimisations (fused, reordered, blocked sums) against without them;
 *  (b) the reference with every input value moved by one unit in its last place against not moved.
 */
import type { Tensor } from 'onnxruntime-node';

/**
 * Both the noise and the difference are maxima of samples of one bell-shaped rounding error. An
 * output of a single value gives 2 x 6 noise samples; all 12 stay below half a standard deviation
 * with probability 0.383^12 = 1e-5, and no difference of 6 samples passes 4 standard deviations
 * (6e-5 each): 4 / 0.5 = 8. Larger outputs give more samples, and maxima closer together.
 *
 * What this cannot see: an edit whose effect on the output stays below the bound, a few millionths
 * of the output's scale in float32. A dropped bias, column or swapped channel is mostly 1e-4 and
 * up, but not every wrong edit is: of a trained ResNet-20 (bound 3.3e-6) single taps of the last
 * convolution can be zeroed unseen, at 2.2e-6. So equality here means that the outputs agree to
 * that size on the inputs that were run; that edits are exact is for their rules to show.
 */
export const NOISE_MULTIPLE = 8;

/**
 * The floor in machine epsilons where a kernel accumulates in the output's own type (float32,
 * float64). A sum of K terms, each rounded by at most half an epsilon, drifts by about sqrt(K) / 2
 * epsilons between two orders: 16 for the K = 1024 of a usual layer. It matters where neither (a)
 * nor (b) disturbs anything, as in a single MatMul.
 */
const FLOOR_EPSILONS_WIDE = 16;
/**
 * float16 is accumulated in float32 and rounded once: the result moves to a neighbour, one epsilon,
 * from each model.
 */
const FLOOR_EPSILONS_HALF = 2;

/** Distance from 1 to the next larger number of the type. */
const EPSILON: Readonly<Partial<Record<Tensor.Type, number>>> = {
  float16: 2 ** -10,
  float32: 2 ** -23,
  float64: 2 ** -52,
};

/**
 * Above it the verification cannot see errors that matter, and says so. One part in a thousand of
 * the output's scale.
 */
export const LOUD_NOISE = 1e-3;

/**
 * The most that an output is ever allowed: a tenth of its scale. Where rounding alone moves an
 * output by more than an eighth of that, agreement says nothing, and a difference beyond it is not
 * explained by rounding to whoever uses the model.
 */
export const MOST_BOUND = 0.1;

/** The parts of an output's noise, each divided by the output's scale. */
export interface Noise {
  /** Undefined where only one of the two runs. */
  readonly optimised: number | undefined;
  readonly nudged: number;
}

export interface Bound {
  readonly bound: number;
  readonly noise: number;
  readonly reason: string;
}

/** The bound for an output of that type; 0 for types that must be equal exactly. */
export function boundFor(type: Tensor.Type, parts: Noise): Bound {
  const { optimised, nudged } = parts;
  const noise = Math.max(optimised ?? 0, nudged);
  const epsilon = EPSILON[type];
  if (epsilon === undefined) return { bound: 0, noise, reason: `${type} values must be equal exactly` };
  const epsilons = type === 'float16' ? FLOOR_EPSILONS_HALF : FLOOR_EPSILONS_WIDE;
  const floor = epsilons * epsilon;
  const measured =
    `the reference's own rounding noise, ${formatDifference(noise)} of the output's scale: ` +
    (optimised === undefined ? '' : `optimised against not ${formatDifference(optimised)}, `) +
    `inputs moved by one unit in the last place ${formatDifference(nudged)}`;
  if (NOISE_MULTIPLE * noise >= floor)
    return { bound: NOISE_MULTIPLE * noise, noise, reason: `${NOISE_MULTIPLE} x ${measured}` };
  return { bound: floor, noise, reason: `${epsilons} ${type} epsilons, more than ${NOISE_MULTIPLE} x ${measured}` };
}

/** That of an output of the model, which is never allowed more than MOST_BOUND. */
export function outputBoundFor(type: Tensor.Type, parts: Noise): Bound {
  const bound = boundFor(type, parts);
  if (bound.bound <= MOST_BOUND) return bound;
  return { ...bound, bound: MOST_BOUND, reason: `never more than a tenth; ${bound.reason}` };
}

/** Two significant digits: `3.1e-7`, `0`. */
export function formatDifference(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}
