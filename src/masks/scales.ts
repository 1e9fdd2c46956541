/**
 * What stands between a weight of the file and that of the model, filter by filter. A mask of the
 * one is a mask of the other only where the factors do not depend on the weight: g / |v| of a
 * weight normalisation is another number once v has zeros.
 */
import type { Evidence } from './binding.js';
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { alignedView, type Layout } from './expand.js';
import { fitsNorm, scalesBetween } from './folded-norms.js';
import { computedConstant, foldedParametrisation, unexplainedScale } from './computed-weight-errors.js';
import { isNameOf, withoutMaskSuffix } from './names.js';
import { toleranceOf } from './same-weights.js';
import type { WeightSlot } from './slots.js';

/** Of a quotient of float32 numbers, over a whole tensor. */
const EXACT = 2 ** -20;
/** Square roots of numbers of channels; further ones are too close to each other to say anything. */
const LARGEST_ROOT = 1024;

export interface ScaledWeight {
  readonly claim: Claim;
  readonly slot: WeightSlot;
  readonly evidence: Evidence;
  /** The weight in the file, if it has it. */
  readonly original: FileTensor | undefined;
  readonly layout: Layout;
  /** Of the file. */
  readonly parameters: ReadonlyMap<string, FileTensor>;
}

/** Throws E-MASK-LOST where the model's weight is the file's times what a mask may change. */
export function refuseScaled({ claim, slot, evidence, original, layout, parameters }: ScaledWeight): void {
  // What the graph computes is computed again with the mask in the parameter.
  if (!slot.isLayer || !slot.names.includes(slot.root.name)) return;
  const way = parametrisation(claim, parameters);
  if (way !== undefined && !isNamedAfter(claim, slot)) throw foldedParametrisation(claim, slot, way);
  if (original === undefined && evidence !== 'map' && !isNamedAfter(claim, slot) && isComputed(slot))
    throw computedConstant(claim, slot);
  if (original === undefined || isExplained({ name: claim.name, slot, original, layout, parameters })) return;
  throw unexplainedScale(claim, slot);
}

function isNamedAfter({ name: own }: Claim, { names }: WeightSlot): boolean {
  return names.some((name) => isNameOf(name, own));
}

/**
 * The dynamo exporter calls a constant that it computed after PyTorch's operator, and what it
 * folded a normalisation into after the parameter.
 */
function isComputed({ node, root, isFolded }: WeightSlot): boolean {
  return !isFolded && node.name.startsWith('node_') && COMPUTED.test(root.name);
}

const COMPUTED =
  /^(add|sub|rsub|mul|div|pow|square|sqrt|rsqrt|reciprocal|norm|linalg_vector_norm|std|var|mean|sum|abs|exp|log|sigmoid|tanh|softmax|_softmax|clamp|where|mm|matmul|bmm|einsum|sign|round|floor|maximum|minimum|lerp|addcmul|addmm|_weight_norm)(_\d+)?$/;

/** The operation that makes the weight of what the mask is for; undefined where nothing says so. */
function parametrisation(
  { key, name: { module, parameter } }: Claim,
  parameters: ReadonlyMap<string, FileTensor>,
): string | undefined {
  const plain = withoutMaskSuffix(key).replace(/_orig$/, '');
  if (/(^|\.)(parametrizations\.\w+\.original[01]|weight_[gv])$/.test(plain)) return 'weight_norm';
  const vectors = [
    `${module}.${parameter}_u`,
    ...PLACES.map((at) => `${module}.parametrizations.${parameter}.${at}._u`),
  ];
  return vectors.some((vector) => parameters.has(`${vector}.weight`)) ? 'spectral_norm' : undefined;
}

/** Of a parametrisation among several. */
const PLACES = [0, 1, 2, 3];

/**
 * Whether the factors are 1, one plain number for all filters, or those of a normalisation that the
 * exporter or the file speaks of.
 */
export function isExplained({
  name,
  slot,
  original,
  layout,
  parameters,
}: Pick<Claim, 'name'> &
  Pick<ScaledWeight, 'slot' | 'layout' | 'parameters'> & { readonly original: FileTensor }): boolean {
  const view = original.size === slot.tensor.size ? alignedView(original, { name }, slot, layout) : undefined;
  if (view === undefined || slot.isFolded) return true;
  const scales = scalesBetween(view, slot);
  const known = scales.filter((scale) => scale !== undefined);
  const [first] = known;
  if (first === undefined) return true;
  const isAll = (value: number, tolerance: number) =>
    known.every((scale) => Math.abs(scale - value) <= tolerance * Math.abs(value));
  if (isAll(1, toleranceOf(original)) || (isPlain(first) && isAll(first, EXACT))) return true;
  return [...parameters].some(([key, variance]) => {
    if (!key.endsWith(VARIANCE) || variance.size !== scales.length) return false;
    const scale = parameters.get(`${key.slice(0, -VARIANCE.length)}.weight`);
    const gamma = scale?.size === scales.length ? scale.toTensor().numbers() : new Float64Array(scales.length).fill(1);
    return fitsNorm(scales, { scale: gamma, variance: variance.toTensor().numbers() }, toleranceOf(original));
  });
}

const VARIANCE = '.running_var';

/**
 * A number that somebody wrote down or took from a size: a power of two, two decimal digits, a
 * square root of a whole number, or one divided by such. What is computed from weights is within a
 * millionth of one of these in fewer than one of ten thousand cases.
 */
export function isPlain(factor: number): boolean {
  const size = Math.abs(factor);
  if (!(size > 0) || !Number.isFinite(size)) return false;
  return [size, 1 / size].some((number) => {
    const isNear = (other: number) => Math.abs(number - other) <= EXACT * number;
    const square = Math.round(number * number);
    return (
      isNear(2 ** Math.round(Math.log2(number))) ||
      isNear(Number(number.toPrecision(2))) ||
      (square > 0 && square <= LARGEST_ROOT && isNear(Math.sqrt(square)))
    );
  });
}
