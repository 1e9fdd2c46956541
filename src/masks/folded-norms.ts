/**
 * Normalisations that the exporter folded into the layer before them: the file has their
 * parameters, the model has not.
 *
 *   W' = s W,  b' = beta + s (b - mean),  s = gamma / sqrt(var + epsilon)      per filter (ONNX BatchNormalization-15)
 *
 * The file has W, b, gamma, beta, mean and var, the model W' and b'. The equations tell whether the
 * layer is the one, and what it holds when gamma, beta or b are pruned: with gamma 0 the filter is
 * zero and its bias is beta.
 */
import { product } from '../ir/tensor.js';
import type { FileTensor } from './contents.js';
import { alignedView } from './expand.js';
import type { Claim } from './claim.js';
import { toleranceOf } from './same-weights.js';
import type { WeightSlot } from './slots.js';

/** Sums that cancel: differences this small, as a share of the largest bias, are rounding. */
const ROUNDING = 2 ** -18;

/** A layer of the model, and the file's tensor that its weights are, up to a scale per filter. */
export interface KnownLayer {
  readonly weight: WeightSlot;
  /** Absent where the layer has none: exporters leave a bias of zeros out. */
  readonly bias: WeightSlot | undefined;
  readonly claim: Claim;
  readonly original: FileTensor;
}

/** One number per channel: 0 where a mask prunes the parameter. */
type Kept = ArrayLike<number> | undefined;

export interface FoldedNorm {
  readonly scale: ArrayLike<number>;
  /** Absent where the normalisation has none. */
  readonly shift: ArrayLike<number> | undefined;
  readonly mean: ArrayLike<number>;
  readonly variance: ArrayLike<number>;
  /** The layer's own bias, if it has one. */
  readonly bias: ArrayLike<number> | undefined;
  readonly kept: { readonly scale: Kept; readonly shift: Kept; readonly mean: Kept; readonly bias: Kept };
}

/** What is another one in the model when the file's zeros and masks are put in. */
export interface Refolded {
  /** Filters without weights. */
  readonly filters: readonly number[];
  /** Elements of the layer's bias, with their new values. */
  readonly bias: ReadonlyMap<number, number>;
  /**
   * Whether most biases say nothing, because a parameter is zero there, and the scales say whose
   * layer it is.
   */
  readonly isByScales: boolean;
}

/**
 * Undefined where the layer is not that of the normalisation. Arrays have one number per filter of
 * the layer.
 */
export function refold(layer: KnownLayer, norm: FoldedNorm): Refolded | undefined {
  const count = layer.weight.tensor.dims[layer.weight.outAxis] ?? 0;
  const folded = layer.bias?.tensor.numbers() ?? new Float32Array(count);
  const all = [norm.scale, norm.shift ?? folded, norm.mean, norm.variance, folded, norm.bias ?? folded];
  if (count === 0 || all.some(({ length }) => length !== count)) return undefined;
  const scales = scalesOf(layer);
  if (scales.length !== count) return undefined;
  // The parameters of a file are of one type: each is as exact as the weight.
  const tolerance = toleranceOf(layer.original);
  // Without any scale the biases alone say whose layer it is: no epsilon is asked for.
  const isScaleless = isZero(norm.scale);
  const epsilon = isScaleless ? 0 : epsilonOf(scales, norm, tolerance);
  if (epsilon === undefined) return undefined;

  let largest = 0;
  for (const value of folded) largest = Math.max(largest, Math.abs(value));
  const filters: number[] = [];
  const bias = new Map<number, number>();
  let sure = 0;
  let unsure = 0;
  for (let channel = 0; channel < count; channel++) {
    const at = (values: ArrayLike<number>) => values[channel] ?? 0;
    const [own, mean, shift, now] = [
      norm.bias === undefined ? 0 : at(norm.bias),
      at(norm.mean),
      norm.shift === undefined ? 0 : at(norm.shift),
      at(folded),
    ];
    const scale = scales[channel] ?? at(norm.scale) / Math.sqrt(at(norm.variance) + epsilon);
    const before = shift + scale * (own - mean);
    const size = Math.abs(shift) + Math.abs(scale) * (Math.abs(own) + Math.abs(mean));
    const isEqual = Math.abs(now - before) <= tolerance * size + ROUNDING * largest;
    // Where the weights tell the scale, gamma is no part of the equation.
    const isScaleUnknown = scales[channel] === undefined && at(norm.scale) === 0;
    const isPruned = (value: number, of: ArrayLike<number> | undefined) => of !== undefined && value === 0;
    const isZeroInFile = isScaleUnknown || mean === 0 || isPruned(shift, norm.shift) || isPruned(own, norm.bias);
    if (isEqual && size > 0) sure++;
    // Another normalisation's, unless a zero of the file is the difference.
    if (!isEqual && !isZeroInFile) return undefined;
    if (!isEqual) unsure++;

    const keeps = (kept: Kept) => (kept?.[channel] ?? 1) !== 0;
    const isScaled = at(norm.scale) !== 0 && keeps(norm.kept.scale);
    if (!isScaled) filters.push(channel);
    const { kept } = norm;
    const centred = (keeps(kept.bias) ? own : 0) - (keeps(kept.mean) ? mean : 0);
    const left = (keeps(kept.shift) ? shift : 0) + (isScaled ? scale * centred : 0);
    const isMasked = !isScaled || ![kept.shift, kept.bias, kept.mean].every(keeps);
    if ((isMasked || !isEqual) && left !== now) bias.set(channel, left);
  }
  if (layer.bias === undefined && bias.size > 0) return undefined;
  if (isScaleless) return unsure === 0 && sure >= LEAST_BIASES ? { filters, bias, isByScales: false } : undefined;
  const isByScales = unsure > 0 && sure < unsure;
  // A few biases that are computed to the digit are no accident, beside scales that differ.
  const isLikely = isOneGone(norm) || sure >= LEAST_BIASES;
  if (isByScales && !(isLikely && saysMuch(scales, norm))) return undefined;
  return { filters, bias, isByScales };
}

const LEAST_BIASES = 2;
const LEAST_SCALES = 4;

function isZero(values: ArrayLike<number>): boolean {
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) return false;
  return true;
}

/** Exactly one of the parameters that the biases are computed from is zero in all channels. */
function isOneGone({ shift, mean, bias }: FoldedNorm): boolean {
  return [shift, mean, bias].filter((values) => values !== undefined && isZero(values)).length === 1;
}

/**
 * Scales that follow variances which differ: those of a normalisation that was not trained yet fit
 * any other such.
 */
function saysMuch(scales: readonly (number | undefined)[], { scale, variance }: FoldedNorm): boolean {
  const known = scales.flatMap((s, channel) =>
    s === undefined || scale[channel] === 0 ? [] : (variance[channel] ?? []),
  );
  return known.length >= LEAST_SCALES && Math.max(...known) > Math.min(...known) * 1.01;
}

/** Every normalisation of a file may be tried on every layer. */
const scalesByLayer = new WeakMap<KnownLayer, readonly (number | undefined)[]>();

/**
 * s per filter, as the weights of model and file have it; undefined where a filter is zero in
 * either.
 */
function scalesOf(layer: KnownLayer): readonly (number | undefined)[] {
  const known = scalesByLayer.get(layer) ?? measureScales(layer);
  scalesByLayer.set(layer, known);
  return known;
}

function measureScales({ weight, claim, original }: KnownLayer): (number | undefined)[] {
  const view = alignedView(original, claim, weight, 'torch') ?? alignedView(original, claim, weight, 'stored');
  return view === undefined ? [] : scalesBetween(view, weight);
}

/** Per filter, what the file's weight is multiplied with; `view` has the operand's layout. */
export function scalesBetween(
  view: FileTensor,
  { tensor, outAxis }: Pick<WeightSlot, 'tensor' | 'outAxis'>,
): (number | undefined)[] {
  const [theirs, ours] = [view.toTensor().numbers(), tensor.numbers()];
  const { dims } = tensor;
  const filters = dims[outAxis] ?? 0;
  const inner = product(dims.slice(outAxis + 1));
  const dot = new Float64Array(filters);
  const square = new Float64Array(filters);
  for (let at = 0; at < ours.length; at++) {
    const [a, b] = [theirs[at] ?? 0, ours[at] ?? 0];
    if (a === 0 || b === 0) continue;
    const filter = Math.floor(at / inner) % filters;
    dot[filter] = (dot[filter] ?? 0) + a * b;
    square[filter] = (square[filter] ?? 0) + a * a;
  }
  return Array.from(square, (sum, filter) => (sum === 0 ? undefined : (dot[filter] ?? 0) / sum));
}

/** Whether the scales are gamma / sqrt(var + epsilon), up to a share of gamma. */
export function fitsNorm(
  scales: readonly (number | undefined)[],
  norm: Pick<FoldedNorm, 'scale' | 'variance'>,
  tolerance: number,
): boolean {
  return epsilonOf(scales, norm, tolerance) !== undefined;
}

/** What makes gamma^2 = s^2 (var + epsilon) in every filter; undefined where no number does. */
function epsilonOf(
  scales: readonly (number | undefined)[],
  { scale, variance }: Pick<FoldedNorm, 'scale' | 'variance'>,
  tolerance: number,
): number | undefined {
  const known = scales.flatMap((s, channel) => {
    const gamma = scale[channel] ?? 0;
    return s === undefined || s === 0 || gamma === 0 ? [] : [{ gamma, s, variance: variance[channel] ?? 0 }];
  });
  if (known.length === 0) return undefined;
  const each = known
    .map(({ gamma, s, variance: v }) => ({ v, epsilon: Math.max((gamma / s) ** 2 - v, 0) }))
    .toSorted((a, b) => a.epsilon - b.epsilon);
  const isFit = (epsilon: number) =>
    known.every(
      ({ gamma, s, variance: v }) =>
        Math.sign(gamma) === Math.sign(s) &&
        Math.abs(Math.abs(s) * Math.sqrt(v + epsilon) - Math.abs(gamma)) <= tolerance * Math.abs(gamma),
    );
  // The smaller the variance, the less of the difference is rounding: of a dead channel it is all
  // epsilon.
  const middle = each[Math.floor(each.length / 2)];
  const sharpest = each.reduce((best, next) => (next.v < best.v ? next : best));
  return [middle, sharpest].map((one) => one?.epsilon ?? 0).find(isFit);
}
