/** Questions that binding asks of masks and weights: what a claim is, whose weight a reader has, whether two weights are one. */
import type { Binding, Candidate, Evidence } from './bind.js';
import type { Claim } from './claims.js';
import { FileTensor } from './contents.js';
import { type Expanded, expandMask, type Layout } from './expand.js';
import { parseKey, type ParsedKey, statedModule } from './names.js';
import { areProportional, compareWeights, type Sameness } from './same-weights.js';
import { fromTorchLayout, type WeightSlot } from './slots.js';

/** In a file that holds weights too: what is called a parameter's mask, is said in words, or is a module's and fits one. */
export function isMask({ name, source, isBeside, original }: Claim, found: readonly Candidate[]): boolean {
  if (source.kind !== 'tensor') return true;
  // A parameter has its weight's size; what says less of it is a mask of filters or channels.
  const isSmaller = found.length > 0 && found.every(({ slot }) => slot.tensor.size !== source.tensor.size);
  if (isSmaller && isBinary(source.tensor)) return true;
  if (isBeside === true) return false;
  if (name.part === 'mask') return name.isParameter || original !== undefined || found.length > 0;
  return !name.isParameter && found.length > 0 && isBinary(source.tensor);
}

/** A bias whose name is lost had a normalisation folded in, and is no longer the module's. */
export function mayBeBias({ parameter, value }: WeightSlot): boolean {
  return parameter !== 'bias' || parseKey(value.name)?.isParameter === true;
}

/** What the reader says of itself: the claim's module, code around it, another module, or nothing. */
export function relationOf(
  { name: { module } }: Claim,
  { nodePaths }: WeightSlot,
): 'own' | 'around' | 'stranger' | 'none' {
  if (nodePaths.length === 0) return 'none';
  const paths = nodePaths.map(statedModule);
  if (paths.includes(module)) return 'own';
  return paths.some((path) => path === '' || module.startsWith(`${path}.`)) ? 'around' : 'stranger';
}

/** The same numbers, also where an exporter turned them around. */
export function isSameParameter(stored: WeightSlot, other: WeightSlot): boolean {
  if (stored.value === other.value) return true;
  const { dataType, dims } = stored.tensor;
  const own = FileTensor.contiguous(dataType, dims, () => stored.tensor.bytes());
  // A tensor under the parameter's own name is the parameter.
  const torch = isOwnTensor(stored) ? own : own.permuted(fromTorchLayout(stored));
  const name = { name: { ...NAMELESS, parameter: stored.parameter } };
  return other.outAxis >= 0 && compareWeights(torch, name, other, 'torch') === 'same';
}

const NAMELESS: ParsedKey = { module: '', parameter: 'weight', part: 'bare', isParameter: true, isKernel: false };

function isOwnTensor({ names, value }: WeightSlot): boolean {
  return value.initializer !== undefined && names[0] === value.name;
}

/** Whose axes a mask has: those of the tensor that bears its very name, else the framework's; its values may know better. */
export function layoutOf(
  claim: Claim,
  slot: WeightSlot,
  evidence: Evidence,
  original: FileTensor | undefined,
): { layout: Layout; values: Sameness | undefined } {
  const isNamed = evidence === 'name' && isOwnTensor(slot);
  const layout: Layout = isNamed ? 'stored' : 'torch';
  if (original === undefined) return { layout, values: undefined };
  const values = compareWeights(original, claim, slot, layout);
  // Square and transposed by whoever wrote the model.
  if (values === 'different' && layout === 'stored' && compareWeights(original, claim, slot, 'torch') === 'same')
    return { layout: 'torch', values: 'same' };
  return { layout, values };
}

/** A bias that was pruned for good: equal to the model's where it is not zero, and not zero everywhere. */
export function zerosOfVector(claim: Claim, { slot, evidence }: Candidate): Binding | undefined {
  const { source } = claim;
  if (source.kind !== 'tensor' || source.tensor.size !== slot.tensor.size || evidence === 'module') return undefined;
  const theirs = source.tensor.toTensor().numbers();
  const ours = slot.tensor.numbers();
  const isEqual = theirs.every(
    (value, at) => value === 0 || Math.abs(value - (ours[at] ?? 0)) <= Math.abs(value) * 2 ** -9,
  );
  const pruned = theirs.filter((value, at) => value === 0 && ours[at] !== 0).length;
  const mask = expandMask(claim, slot, 'torch');
  if (!isEqual || pruned === 0 || pruned === theirs.length || mask === undefined) return undefined;
  return { claim, slot, evidence, values: 'same', isFromZeros: true, mask: patternOf(mask) };
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

/** Of a checkpoint without masks: matrices and kernels; vectors of zeros are how biases begin. */
export function holdsWeights({ source, name }: Claim): boolean {
  return source.kind === 'tensor' && source.tensor.dims.length >= 2 && name.parameter === 'weight';
}

/** Element for element, in either layout. */
export function fitsWhole({ source }: Claim, { tensor, outAxis }: WeightSlot): boolean {
  if (source.kind !== 'tensor') return false;
  const equal = (dims: readonly number[]) => dims.join() === source.tensor.dims.join();
  return equal(tensor.dims) || (outAxis === 1 && equal(tensor.dims.toReversed()));
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
