/**
 * Questions that binding asks of masks and weights: what a claim is, whose weight a reader has,
 * whether two weights are one.
 */
import type { Tensor } from '../ir/tensor.js';
import type { Candidate, Evidence } from './binding.js';
import type { Claim } from './claim.js';
import { FileTensor } from './contents.js';
import { alignedView, type Expanded, expandMask, type Layout, LAYOUTS } from './expand.js';
import type { KnownLayer } from './folded-norms.js';
import { isAttentionRow, isNameOf, parseKey, type ParsedKey, statedModule } from './names.js';
import { isExplained } from './scales.js';
import { areProportional, compareWeights, type Sameness, toleranceOf } from './same-weights.js';
import { fromTorchLayout, type WeightSlot } from './slots.js';

/**
 * In a file that holds weights too: what is called a parameter's mask, is said in words, or is a
 * module's and fits one.
 */
export function isMask(
  { name, source, isBeside, original, isListed, isOfNorm }: Claim,
  found: readonly Candidate[],
): boolean {
  if (source.kind !== 'tensor' || isOfNorm === true) return true;
  // Who sends it somewhere means it: a mask, or weights with zeros.
  if (found.some(({ evidence }) => evidence === 'map')) return isBinary(source.tensor);
  if (isListed === true) return name.part === 'mask';
  // A parameter has its weight's size; what says less of it is a mask of filters or channels.
  const isSmaller = found.length > 0 && found.every(({ slot }) => slot.tensor.size !== source.tensor.size);
  if (isSmaller && isBinary(source.tensor)) return true;
  if (isBeside === true) return false;
  if (name.part === 'mask') return name.isParameter || original !== undefined || found.length > 0;
  return !name.isParameter && found.length > 0 && isBinary(source.tensor);
}

/**
 * Even where everything else is a mask: what was masked, and a number without extent that is called
 * as nothing of the model is.
 */
export function isNoMask({ name, source, isOriginal, isDoubtful }: Claim, found: readonly Candidate[]): boolean {
  if (isDoubtful === true) return !found.some(({ evidence }) => evidence === 'map');
  const isScalar = source.kind === 'tensor' && source.tensor.dims.length === 0;
  return isOriginal === true || (isScalar && name.part !== 'mask' && found.length === 0);
}

/** Whether it is what the parameter of the mask was. */
export function isOriginalOf({ isOriginal, source }: Claim, mask: Claim): boolean {
  return isOriginal === true && source.kind === 'tensor' && mask.original === source.tensor;
}

/** A bias whose name is lost had a normalisation folded in, and is no longer the module's. */
export function mayBeBias({ parameter, value }: WeightSlot): boolean {
  return parameter !== 'bias' || parseKey(value.name)?.isParameter === true;
}

/**
 * Beside a layer's weight: not a vector of its module that a node after it adds, nor what has
 * another shape than the mask.
 */
export function mayBeMeant(claim: Claim, slot: WeightSlot): boolean {
  return slot.isLayer || (slot.tensor.dims.length > 1 && expandMask(claim, slot, 'torch') !== undefined);
}

/**
 * What the reader says of itself: the claim's module, code around it, another module, or nothing.
 */
export function relationOf(
  { name: { module } }: { readonly name: Pick<ParsedKey, 'module'> },
  { nodePaths }: Pick<WeightSlot, 'nodePaths'>,
): 'own' | 'around' | 'stranger' | 'none' {
  if (nodePaths.length === 0) return 'none';
  const paths = nodePaths.map(statedModule);
  if (paths.includes(module)) return 'own';
  return paths.some((path) => path === '' || module.startsWith(`${path}.`)) ? 'around' : 'stranger';
}

/**
 * Of several with the same values those of the module. Copies of a layer begin alike, and then the
 * nodes say whose they are: the module itself, which may be called several times, or the code right
 * around it where all others are of other modules.
 */
export function closestTo(module: string, slots: readonly WeightSlot[]): readonly WeightSlot[] {
  if (slots.length < 2) return slots;
  const relations = new Map(slots.map((slot) => [slot, relationOf({ name: { module } }, slot)]));
  const own = slots.filter((slot) => relations.get(slot) === 'own');
  if (own.length > 0) return own;
  const [first, ...others] = slots.filter((slot) => relations.get(slot) !== 'stranger');
  const parent = module.slice(0, Math.max(module.lastIndexOf('.'), 0));
  const isAround = parent !== '' && first?.nodePaths.some((path) => statedModule(path) === parent) === true;
  return isAround && others.length === 0 ? [first] : [];
}

/** So many elements that are equal are no accident. */
const ENOUGH = 16;

/** Element for element, apart from the zeros of either; `least` of them have to be compared. */
export function isEqualWhereBoth(theirs: FileTensor, ours: Tensor, least = Math.min(ENOUGH, ours.size / 2)): boolean {
  const tolerance = toleranceOf(theirs);
  const [file, model] = [theirs.toTensor().numbers(), ours.numbers()];
  let compared = 0;
  for (const [at, value] of model.entries()) {
    const other = file[at] ?? 0;
    if (value === 0 || other === 0) continue;
    if (!(Math.abs(other - value) <= Math.abs(value) * tolerance)) return false;
    compared++;
  }
  return compared >= least;
}

/**
 * Whether a tensor that no layer reads is the parameter itself, or the parameter repeated along
 * axes of extent 1, as exporters write down what is expanded to a batch. A constant of one value is
 * no evidence.
 */
export function isStoredCopy(original: FileTensor, slot: WeightSlot): boolean {
  const { tensor, isLayer, part } = slot;
  if (isLayer || part !== undefined || tensor.dims.length < 2 || original.size > tensor.size) return false;
  const whole = original.broadcast(tensor.dims) ?? alignedView(original, { name: NAMELESS }, slot, 'stored');
  if (whole === undefined || original.size === 0) return false;
  const repeats = tensor.size / original.size;
  const values = new Set(original.toTensor().numbers());
  values.delete(0);
  return values.size > 1 && isEqualWhereBoth(whole, tensor, Math.min(ENOUGH, original.size / 2) * repeats);
}

/**
 * The same numbers, also where an exporter turned them around, or scaled them by what no mask
 * changes.
 */
export function isSameParameter(
  stored: WeightSlot,
  other: WeightSlot,
  parameters: ReadonlyMap<string, FileTensor> = new Map(),
): boolean {
  if (stored.value === other.value) return true;
  const { dataType, dims } = stored.tensor;
  const own = FileTensor.contiguous(dataType, dims, () => stored.tensor.bytes());
  // A tensor under the parameter's own name is the parameter.
  const torch = stored.isAsStored ? own : own.permuted(fromTorchLayout(stored));
  const name = { name: { ...NAMELESS, parameter: stored.parameter } };
  if (other.outAxis < 0 || compareWeights(torch, name, other, 'torch') !== 'same') return false;
  return isExplained({ ...name, slot: other, original: torch, layout: 'torch', parameters });
}

const NAMELESS: ParsedKey = { module: '', parameter: 'weight', part: 'bare', isParameter: true, isKernel: false };

/**
 * Whose axes a mask has: those of the tensor that bears its very name, else the framework's; its
 * values may know better. Shapes have no say: a square matrix would fit both ways.
 */
export function layoutOf(
  claim: Claim,
  slot: WeightSlot,
  evidence: Evidence,
  original: FileTensor | undefined,
  stated?: Layout,
): { layout: Layout; values: Sameness | undefined } {
  const isTurned = slot.turnedFrom !== undefined && isNameOf(slot.turnedFrom, claim.name);
  const isNamed = evidence === 'name' && slot.isAsStored && !isTurned && (!claim.name.isKernel || claim.isOnnx);
  const layout: Layout = stated ?? (isNamed ? 'stored' : shapeAloneLayout(claim, slot, evidence));
  if (original === undefined) return { layout, values: undefined };
  const values = compareWeights(original, claim, slot, layout);
  const other: Layout = layout === 'stored' ? 'torch' : 'stored';
  // Transposed by whoever wrote the model, or the file.
  if (values !== 'same' && stated === undefined && compareWeights(original, claim, slot, other) === 'same')
    return { layout: other, values: 'same' };
  return { layout, values };
}

/** Where nothing but the shape is known, an oblong matrix tells by it which way it lies. */
function shapeAloneLayout(claim: Claim, slot: WeightSlot, evidence: Evidence): Layout {
  if (evidence !== 'shape' || expandMask(claim, slot, 'torch') !== undefined) return 'torch';
  return expandMask(claim, slot, 'stored') === undefined ? 'torch' : 'stored';
}

/** A square matrix of which no evidence says whether its rows are filters. */
export function isUnclearSquare(claim: Claim, slot: WeightSlot, evidence: Evidence, layout: Layout): boolean {
  const { dims } = slot.tensor;
  if (dims.length !== 2 || dims[0] !== dims[1] || slot.parameter === 'bias') return false;
  const { source } = claim;
  const rank = source.kind === 'tensor' ? source.tensor.dims.length : 2;
  if (evidence === 'shape') return rank === 2;
  // One number per filter, under the name of a stored matrix: its rows may be filters, or what they
  // read.
  return rank === 1 && layout === 'stored' && slot.outAxis === 1;
}

const binary = new WeakMap<FileTensor, boolean>();

export function isBinary(tensor: FileTensor): boolean {
  let known = binary.get(tensor);
  if (known === undefined) {
    known = tensor
      .toTensor()
      .numbers()
      .every((value) => value === 0 || value === 1);
    binary.set(tensor, known);
  }
  return known;
}

/** What repeats its elements is not looked at: it may say that it is of any size. */
export function isAllZero(tensor: FileTensor): boolean {
  if (!tensor.isCompact) return false;
  return tensor
    .toTensor()
    .numbers()
    .every((value) => value === 0);
}

/** Of a checkpoint without masks: matrices and kernels; vectors of zeros are how biases begin. */
export function holdsWeights({ source, name }: Claim): boolean {
  const isWeight = /weight/.test(name.parameter) || isAttentionRow(name.parameter);
  return source.kind === 'tensor' && source.tensor.dims.length >= 2 && isWeight;
}

/** Element for element, in either layout. */
export function fitsWhole({ source }: Claim, { tensor, outAxis }: WeightSlot): boolean {
  if (source.kind !== 'tensor') return false;
  const equal = (dims: readonly number[]) => dims.join() === source.tensor.dims.join();
  return equal(tensor.dims) || (outAxis === 1 && equal(tensor.dims.toReversed()));
}

/** A stored tensor that a layer's weight is computed from is that layer's parameter, not another. */
export function withoutSources(slots: readonly WeightSlot[]): readonly WeightSlot[] {
  const sources = new Set(
    slots.flatMap(({ isLayer, root, names }) => (isLayer ? names.filter((name) => name !== root.name) : [])),
  );
  return slots.filter(({ isLayer, value }) => isLayer || !sources.has(value.name));
}

export function holdSameValues(a: WeightSlot, b: WeightSlot): boolean {
  if (a.tensor === b.tensor || a.root === b.root) return true;
  if (a.tensor.dims.join() !== b.tensor.dims.join() || a.outAxis !== b.outAxis) return false;
  const [ours, theirs] = [a.tensor.numbers(), b.tensor.numbers()];
  return ours.every((value, at) => value === theirs[at]) || areProportional(ours, theirs, a) === 'same';
}

export function patternOf(mask: Expanded): Expanded {
  return { ...mask, factors: Uint8Array.from(mask.factors, (value) => (value === 0 ? 0 : 1)), odd: undefined };
}

/**
 * Whether a layer's weights are those of the file without a scale per filter, as a folded
 * normalisation leaves.
 */
export function isUnscaled({ weight, claim, original }: KnownLayer): boolean {
  const view = LAYOUTS.map((layout) =>
    expandMask({ ...claim, source: { kind: 'tensor', tensor: original } }, weight, layout),
  ).find((mask) => mask !== undefined);
  if (view === undefined) return false;
  const ours = weight.tensor.numbers();
  return ours.every((value, at) => {
    const theirs = view.factors[at] ?? 0;
    return theirs === 0 || value === 0 || Math.abs(theirs - value) <= Math.abs(value) * toleranceOf(original);
  });
}

/**
 * The dynamo exporter keeps the name of a bias that it folds a normalisation into: its layer's
 * weights are the file's up to a scale per filter. Where the file has no weights, the exporter's
 * own word counts.
 */
export function isFoldedBias(
  { name, isOnnx, ...claim }: Claim,
  bias: WeightSlot,
  slots: readonly WeightSlot[],
  parameters: ReadonlyMap<string, FileTensor> = new Map(),
): boolean {
  if (!bias.isLayer || bias.parameter !== 'bias' || name.parameter !== 'bias' || isOnnx) return false;
  const weight = slots.find((slot) => slot.node === bias.node && slot.parameter === 'weight');
  const original = parameters.get(`${name.module}.weight`);
  if (weight === undefined || original === undefined) return bias.isFolded;
  const own = { ...claim, isOnnx, name: { ...name, parameter: 'weight' } };
  const isSame = LAYOUTS.some((layout) => compareWeights(original, own, weight, layout) === 'same');
  return isSame && !isUnscaled({ weight, bias, claim: own, original });
}
