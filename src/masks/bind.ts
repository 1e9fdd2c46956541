/**
 * Which mask belongs to which weight, with the evidence for it. From the surest to the last resort:
 *
 *   map      the user says so (--mask-map)
 *   name     the weight is stored under the parameter's name
 *   module   the layer's node says which module it was
 *   values   the file holds the parameter before masking, and it is that weight, up to a scale per filter
 *   shape    names say nothing at all, and each mask has one weight that it fits, and that weight one mask
 *
 * A mask that fits nothing, or two weights, or two masks for one weight are errors: wrong bindings would be wrong outputs.
 */
import type { Claim } from './claims.js';
import type { FileTensor } from './contents.js';
import { type Expanded, expandMask, type Layout } from './expand.js';
import { ambiguous, contradiction, misfit, noMatch, softMask, twice, unknownTarget } from './mask-errors.js';
import { parseKey, type ParsedKey, withoutWrappers } from './names.js';
import { areProportional, compareWeights, type Sameness } from './same-weights.js';
import type { WeightSlot } from './slots.js';

export type Evidence = 'map' | 'name' | 'module' | 'values' | 'shape';

export interface Binding {
  readonly claim: Claim;
  readonly slot: WeightSlot;
  readonly evidence: Evidence;
  readonly mask: Expanded;
  /** Whether the file holds the weight's own values as well, and they agree. */
  readonly values: Sameness | undefined;
  /** The zeros of a checkpoint's weights, where pruning was made permanent before it was saved. */
  readonly isFromZeros: boolean;
}

export interface BindOptions {
  /** Mask key -> initializer or node name; null leaves the mask out. */
  readonly map?: Readonly<Record<string, string | null>>;
  readonly allowUnmatched?: boolean;
  /** What values other than 0 and 1 mean: an error, or factors of the weights. */
  readonly soft?: 'error' | 'multiply';
}

export interface Bound {
  readonly bindings: readonly Binding[];
  /** Keys of masks that fit nothing, with --allow-unmatched, or that the map leaves out. */
  readonly unmatched: readonly string[];
}

/** Binds the masks of one file. Throws E-MASK-NO-MATCH, -AMBIGUOUS, -SHAPE, -SOFT, -EMPTY, -MAP. */
export function bindMasks(claims: readonly Claim[], slots: readonly WeightSlot[], options: BindOptions = {}): Bound {
  return new Binder(slots, options).bind(claims);
}

interface Candidate {
  readonly slot: WeightSlot;
  readonly evidence: Evidence;
}

class Binder {
  readonly #slots: readonly WeightSlot[];
  readonly #options: BindOptions;
  readonly #byName = new Map<string, WeightSlot[]>();
  /** By module path, with how likely each slot's path is: 0 is the most likely. */
  readonly #byModule = new Map<string, { slot: WeightSlot; rank: number }[]>();
  /** Sizes of the model's weights: a tensor of another size is never looked into, however large it says it is. */
  readonly #sizes: ReadonlySet<number>;
  readonly #unmatched: string[] = [];

  constructor(slots: readonly WeightSlot[], options: BindOptions) {
    this.#slots = slots;
    this.#options = options;
    this.#sizes = new Set(slots.map(({ tensor }) => tensor.size));
    for (const slot of slots) {
      for (const name of slot.names) {
        const parsed = parseKey(name);
        if (parsed !== undefined && parsed.part !== 'mask') add(this.#byName, parameterOf(parsed), slot);
        add(this.#byName, name, slot);
      }
      for (const [rank, path] of slot.modulePaths.entries()) {
        const module = withoutWrappers(path.replaceAll('/', '.'));
        add(this.#byModule, `${module}.${slot.parameter}`, { slot, rank });
      }
    }
  }

  bind(claims: readonly Claim[]): Bound {
    const named = new Map(claims.map((claim) => [claim, this.#byNames(claim)]));
    const isCheckpoint = claims.some((claim) => this.#isModelsOwn(claim, named.get(claim) ?? []));
    const candidates = isCheckpoint ? new Map([...named].filter(([claim]) => holdsWeights(claim))) : named;
    if (!isCheckpoint) this.#byShape(candidates);
    const bindings: Binding[] = [];
    const open: Claim[] = [];
    for (const [claim, found] of candidates) {
      const bound = found.length === 0 ? this.#byValues(claim, bindings) : found;
      if (bound.length === 0) open.push(claim);
      for (const candidate of bound) bindings.push(this.#check(claim, candidate, isCheckpoint));
    }
    this.#leftOver(open, bindings, isCheckpoint);
    const pruned = bindings.filter(({ mask, isFromZeros }) => !isFromZeros || mask.zeros > 0);
    // Steps of a history may come back to a layer.
    onePerSlot(pruned.filter(({ claim }) => claim.isCoupled !== true));
    return { bindings: pruned, unmatched: this.#unmatched };
  }

  /** Not a mask but the parameter itself, zeros and all: its values are those of the weight that it names, or of some weight. */
  #isModelsOwn(claim: Claim, named: readonly Candidate[]): boolean {
    if (claim.name.part === 'mask' || !holdsWeights(claim)) return false;
    const original = this.#originalOf(claim);
    if (original === undefined) return false;
    const slots = named.length > 0 ? named.map(({ slot }) => slot) : this.#slots;
    return slots.some(
      (slot) =>
        compareWeights(original, claim, slot, 'torch') === 'same' ||
        compareWeights(original, claim, slot, 'stored') === 'same',
    );
  }

  /** The parameter before it was masked, if the file has it. */
  #originalOf({ original, name, source }: Claim): FileTensor | undefined {
    if (original !== undefined) return original;
    const isOwn = name.part === 'bare' && source.kind === 'tensor' && this.#sizes.has(source.tensor.size);
    return isOwn && !isBinary(source.tensor) ? source.tensor : undefined;
  }

  #byNames(claim: Claim): Candidate[] {
    const { map } = this.#options;
    if (map !== undefined && Object.hasOwn(map, claim.key)) return this.#byMap(claim, map[claim.key] ?? null);
    const named = this.#exact(claim, this.#byName.get(claim.isOnnx ? claim.key : parameterOf(claim.name)) ?? []);
    if (named.length > 0) return named.map((slot) => ({ slot, evidence: 'name' }));
    // Where names are lost a normalisation was folded in, and what its bias became is no longer the parameter.
    if (claim.name.parameter === 'bias') return [];
    const modules = this.#byModule.get(parameterOf(claim.name)) ?? [];
    const best = Math.min(...modules.map(({ rank }) => rank));
    const slots = unique(modules.filter(({ rank }) => rank === best).map(({ slot }) => slot));
    const [first, ...others] = slots;
    // A module that is called several times is several nodes with equal weights.
    if (first !== undefined && others.some((slot) => !holdSameValues(first, slot))) throw ambiguous(claim, slots);
    const calls = modules.filter(({ slot, rank }) => rank > best && first !== undefined && holdSameValues(first, slot));
    return unique([...slots, ...calls.map(({ slot }) => slot)]).map((slot) => ({ slot, evidence: 'module' }));
  }

  /** Names that only differ by a wrapper's prefix may belong to two weights: the very name decides then. */
  #exact(claim: Claim, named: readonly WeightSlot[]): WeightSlot[] {
    const plain = claim.key.replace(/[._]mask$/, '');
    const isExact = ({ names }: WeightSlot) =>
      [plain, `${plain}.${claim.name.parameter}`, `${plain}_orig`].some((name) => names.includes(name));
    const exact = named.filter(isExact);
    const [first, ...others] = exact.length > 0 ? exact : named;
    if (first === undefined) return [];
    if (others.some((slot) => !holdSameValues(first, slot))) throw ambiguous(claim, [first, ...others]);
    return [first, ...others];
  }

  #byMap(claim: Claim, wanted: string | null): Candidate[] {
    if (wanted === null) {
      this.#unmatched.push(claim.key);
      return [];
    }
    const slots = this.#slots.filter(
      ({ node, value, parameter }) =>
        value.name === wanted || (node.name === wanted && parameter === claim.name.parameter),
    );
    if (slots.length === 0) throw unknownTarget(claim, wanted, this.#slots);
    return slots.map((slot) => ({ slot, evidence: 'map' }));
  }

  /** Free slots whose values the file's original has. */
  #byValues(claim: Claim, bindings: readonly Binding[]): Candidate[] {
    const original = this.#originalOf(claim);
    if (original === undefined || this.#unmatched.includes(claim.key)) return [];
    const taken = new Set(bindings.map(({ slot }) => slot));
    const same = this.#slots.filter(
      (slot) =>
        !taken.has(slot) &&
        slot.parameter === claim.name.parameter &&
        compareWeights(original, claim, slot, 'torch') === 'same',
    );
    const [first, ...others] = same;
    if (first !== undefined && others.some((slot) => !holdSameValues(first, slot))) throw ambiguous(claim, same);
    return same.map((slot) => ({ slot, evidence: 'values' }));
  }

  /** Only when no name of the whole file means anything, and only where there is no choice for any of its masks. */
  #byShape(candidates: Map<Claim, Candidate[]>): void {
    if ([...candidates.values()].some((found) => found.length > 0)) return;
    const weights = this.#slots.filter(({ parameter, isLayer }) => isLayer && parameter === 'weight');
    const fits = (claim: Claim) =>
      claim.source.kind === 'tensor' && claim.source.tensor.dims.length >= 2 && this.#originalOf(claim) === undefined
        ? weights.filter((slot) => fitsWhole(claim, slot))
        : [];
    const fitting = new Map([...candidates.keys()].map((claim) => [claim, fits(claim)]));
    const wishes = [...fitting.values()].flat();
    const isSole = (slots: readonly WeightSlot[]) =>
      slots.length === 1 && wishes.filter((wish) => wish === slots[0]).length === 1;
    // All or none: where one mask is lost, the others fit by chance as likely as by right.
    if (![...fitting.values()].every(isSole)) return;
    for (const [claim, [slot]] of fitting) if (slot !== undefined) candidates.set(claim, [{ slot, evidence: 'shape' }]);
  }

  #check(claim: Claim, { slot, evidence }: Candidate, isCheckpoint: boolean): Binding {
    const isStoredAsNamed = evidence === 'name' && slot.value.initializer !== undefined;
    let layout: Layout = claim.isOnnx || isStoredAsNamed ? 'stored' : 'torch';
    const original = this.#originalOf(claim);
    let values = original === undefined ? undefined : compareWeights(original, claim, slot, layout);
    if (original !== undefined && values === 'different' && layout === 'stored') {
      // Square and transposed by whoever wrote the model.
      const other = compareWeights(original, claim, slot, 'torch');
      if (other === 'same') [layout, values] = ['torch', other];
    }
    if (original !== undefined && values === 'different') {
      const better = this.#slots.find(
        (other) => other !== slot && compareWeights(original, claim, other, 'torch') === 'same',
      );
      if (better !== undefined && evidence !== 'map') throw contradiction(claim, slot, better);
    }
    const mask = expandMask(claim, slot, layout);
    if (mask === undefined) throw misfit(claim, slot, this.#slots);
    if (isCheckpoint && mask.odd !== undefined && values !== 'different' && values !== undefined)
      return { claim, slot, evidence, values, isFromZeros: true, mask: patternOf(mask) };
    if (mask.odd !== undefined && this.#options.soft !== 'multiply')
      throw softMask(claim, slot, mask.odd, isCheckpoint);
    return { claim, slot, evidence, values, isFromZeros: false, mask };
  }

  #mayBePruned({ source }: Claim): boolean {
    if (source.kind !== 'tensor') return true;
    return this.#sizes.has(source.tensor.size) && source.tensor.toTensor().numbers().includes(0);
  }

  #leftOver(open: readonly Claim[], bindings: readonly Binding[], isCheckpoint: boolean): void {
    const excused = new Set(this.#unmatched);
    // Of a checkpoint everything is in the file; what is not pruned need not be found.
    const left = open.filter((claim) => !excused.has(claim.key) && (!isCheckpoint || this.#mayBePruned(claim)));
    if (left.length === 0) return;
    if (this.#options.allowUnmatched !== true || bindings.length === 0) throw noMatch(left, bindings, this.#slots);
    this.#unmatched.push(...left.map(({ key }) => key));
  }
}

function add<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else if (!list.includes(value)) list.push(value);
}

function unique<Item>(items: readonly Item[]): Item[] {
  return [...new Set(items)];
}

function parameterOf({ module, parameter }: ParsedKey): string {
  return `${module}.${parameter}`;
}

const binary = new WeakMap<FileTensor, boolean>();

function isBinary(tensor: FileTensor): boolean {
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
function holdsWeights({ source, name }: Claim): boolean {
  return source.kind === 'tensor' && source.tensor.dims.length >= 2 && name.parameter === 'weight';
}

/** Element for element, in either layout. */
function fitsWhole({ source }: Claim, { tensor, outAxis }: WeightSlot): boolean {
  if (source.kind !== 'tensor') return false;
  const equal = (dims: readonly number[]) => dims.join() === source.tensor.dims.join();
  return equal(tensor.dims) || (outAxis === 1 && equal(tensor.dims.toReversed()));
}

function holdSameValues(a: WeightSlot, b: WeightSlot): boolean {
  if (a.value === b.value || a.tensor === b.tensor) return true;
  if (a.tensor.dims.join() !== b.tensor.dims.join() || a.outAxis !== b.outAxis) return false;
  return areProportional(a.tensor.numbers(), b.tensor.numbers(), a) === 'same';
}

function patternOf(mask: Expanded): Expanded {
  return { ...mask, factors: Uint8Array.from(mask.factors, (value) => (value === 0 ? 0 : 1)), odd: undefined };
}

function onePerSlot(bindings: readonly Binding[]): void {
  const seen = new Map<WeightSlot, Binding>();
  for (const binding of bindings) {
    const other = seen.get(binding.slot);
    if (other !== undefined) throw twice(binding, other);
    seen.set(binding.slot, binding);
  }
}
