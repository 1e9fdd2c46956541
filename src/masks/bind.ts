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
import {
  fitsWhole,
  holdSameValues,
  holdsWeights,
  isBinary,
  isMask,
  isSameParameter,
  layoutOf,
  mayBeBias,
  mayBeMeant,
  patternOf,
  relationOf,
  zerosOfVector,
} from './evidence.js';
import { type Expanded, expandMask } from './expand.js';
import { ambiguous, contradiction, misfit, noMatch, softMask, twice, unknownTarget } from './mask-errors.js';
import { parseKey, type ParsedKey, statedModule, withoutMaskSuffix } from './names.js';
import { compareWeights, type Sameness } from './same-weights.js';
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
  /** Modules that the file speaks of, pruned or not. */
  readonly modules?: ReadonlySet<string>;
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

export interface Candidate {
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
        const module = statedModule(path);
        add(this.#byModule, `${module}.${slot.parameter}`, { slot, rank });
      }
    }
  }

  bind(claims: readonly Claim[]): Bound {
    const named = new Map(claims.map((claim) => [claim, this.#byNames(claim)]));
    const isCheckpoint = claims.some((claim) => this.#isModelsOwn(claim, named.get(claim) ?? []));
    const isBesideWeights = isCheckpoint || claims.some(({ isBeside }) => isBeside === true);
    const masks = new Map([...named].filter(([claim, found]) => !isBesideWeights || isMask(claim, found)));
    if (!isBesideWeights) this.#byShape(masks);
    const bindings: Binding[] = [];
    const open: Claim[] = [];
    for (const [claim, found] of masks) {
      const bound = this.#fitting(claim, found, bindings);
      if (bound.length === 0) open.push(claim);
      for (const candidate of bound) bindings.push(this.#check(claim, candidate));
    }
    if (isBesideWeights) {
      const parameters = claims.filter((claim) => !masks.has(claim) && claim.name.isParameter);
      bindings.push(...this.#fromZeros(parameters, named, bindings, isCheckpoint));
    }
    this.#leftOver(open, bindings);
    // Steps of a history may come back to a layer.
    onePerSlot(bindings.filter(({ claim }) => claim.isCoupled !== true));
    return { bindings, unmatched: this.#unmatched };
  }

  /** Candidates by name, or by value where there are none or they do not have the mask's shape. */
  #fitting(claim: Claim, found: readonly Candidate[], bindings: readonly Binding[]): readonly Candidate[] {
    const isFit = found.some(({ slot }) => expandMask(claim, slot, 'torch') !== undefined);
    if (isFit || found.some(({ evidence }) => evidence === 'map')) return found;
    const valued = this.#byValues(claim, bindings);
    return valued.length > 0 ? valued : found;
  }

  /** Pruning that was made permanent: the zeros of parameters that are else the model's own. */
  #fromZeros(
    parameters: readonly Claim[],
    named: ReadonlyMap<Claim, readonly Candidate[]>,
    bindings: readonly Binding[],
    isCheckpoint: boolean,
  ): Binding[] {
    const masked = new Set(bindings.map(({ slot }) => slot));
    const found: Binding[] = [];
    for (const claim of parameters) {
      const candidates = named.get(claim) ?? [];
      const isWeight = holdsWeights(claim);
      const all = candidates.length === 0 && isWeight ? this.#byValues(claim, [...bindings, ...found]) : candidates;
      if (all.length === 0 && isCheckpoint && isWeight && this.#mayBePruned(claim))
        this.#leftOver([claim], [...bindings, ...found]);
      for (const candidate of all) {
        if (masked.has(candidate.slot)) continue;
        const binding = isWeight ? this.#zerosOf(claim, candidate, isCheckpoint) : zerosOfVector(claim, candidate);
        if (binding !== undefined && binding.mask.zeros > 0) found.push(binding);
      }
    }
    return found;
  }

  #zerosOf(claim: Claim, { slot, evidence }: Candidate, isCheckpoint: boolean): Binding | undefined {
    // Nothing but zeros is left of a weight that was pruned altogether: there is no value to compare.
    const { layout, values } = layoutOf(claim, slot, evidence, this.#originalOf(claim));
    const mask = expandMask(claim, slot, layout);
    if (values !== 'different' && mask !== undefined)
      return { claim, slot, evidence, values, isFromZeros: true, mask: patternOf(mask) };
    // Beside masks it is a layer that was trained on; alone it is taken for a mask, and is none.
    if (!isCheckpoint || mask?.odd === undefined) return undefined;
    throw softMask(claim, slot, mask.odd, true);
  }

  /** Not a mask but the parameter itself, zeros and all: its values are those of the weight that it names, or of some weight. */
  #isModelsOwn(claim: Claim, named: readonly Candidate[]): boolean {
    if (claim.name.part === 'mask' || claim.isBeside === true || !holdsWeights(claim)) return false;
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
    const exact = this.#exact(claim, this.#byName.get(claim.isOnnx ? claim.key : parameterOf(claim.name)) ?? []);
    const readers = this.#readers(claim, exact);
    if (readers.length > 0)
      return readers.map((slot) => ({ slot, evidence: exact.includes(slot) ? 'name' : 'values' }));
    const inModule = this.#byModule.get(parameterOf(claim.name)) ?? [];
    const hasLayer = inModule.some(({ slot }) => slot.isLayer);
    const modules = inModule.filter(({ slot }) => mayBeBias(slot) && (!hasLayer || mayBeMeant(claim, slot)));
    const best = Math.min(...modules.map(({ rank }) => rank));
    const slots = unique(modules.filter(({ rank }) => rank === best).map(({ slot }) => slot));
    const [first, ...others] = slots;
    // A module that is called several times is several nodes with equal weights.
    if (first !== undefined && others.some((slot) => !holdSameValues(first, slot))) throw ambiguous(claim, slots);
    const weaker = unique(modules.filter(({ rank }) => rank > best).map(({ slot }) => slot)).filter(
      (slot) => !slots.includes(slot),
    );
    const calls = weaker.filter((slot) => first !== undefined && holdSameValues(first, slot));
    // `/conv_1/Conv` may be the module conv_1, or conv under a name that another one took first; the file may know.
    const strangers = weaker.filter(
      (slot) => !calls.includes(slot) && !this.#knowsModuleOf(slot) && expandMask(claim, slot, 'torch') !== undefined,
    );
    if (first !== undefined && strangers.length > 0 && claim.original === undefined)
      throw ambiguous(claim, [...slots, ...strangers]);
    return unique([...slots, ...calls]).map((slot) => ({ slot, evidence: 'module' }));
  }

  #knowsModuleOf({ nodePaths: [path] }: WeightSlot): boolean {
    const { modules } = this.#options;
    return path !== undefined && modules?.has(statedModule(path)) === true;
  }

  /**
   * Exporters merge equal weights under the name of one, and write a parameter down twice where it is read in two ways. The mask is for
   * whoever reads it as that module, or in the code around it: other modules have parameters of their own.
   */
  #readers(claim: Claim, named: readonly WeightSlot[]): readonly WeightSlot[] {
    const [first] = named;
    if (first === undefined || claim.isOnnx) return named;
    const copies = this.#slots.filter(
      (slot) =>
        !named.includes(slot) &&
        slot.parameter === claim.name.parameter &&
        slot.tensor.size === first.tensor.size &&
        relationOf(claim, slot) !== 'none' &&
        relationOf(claim, slot) !== 'stranger' &&
        !slot.names.some((name) => parseKey(name)?.isParameter === true) &&
        isSameParameter(first, slot),
    );
    const all = [...named, ...copies];
    const own = all.filter((slot) => ['own', 'around'].includes(relationOf(claim, slot)));
    const silent = all.filter((slot) => relationOf(claim, slot) === 'none');
    // Where nobody says he is that module, the tensor's name is all there is to know.
    return own.length > 0 ? own : silent.length > 0 ? silent : named;
  }

  /** Names that only differ by a wrapper's prefix may belong to two weights: the very name decides then. */
  #exact(claim: Claim, named: readonly WeightSlot[]): WeightSlot[] {
    const plain = withoutMaskSuffix(claim.key);
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
    if (same.length > 1) throw ambiguous(claim, same);
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

  #check(claim: Claim, { slot, evidence }: Candidate): Binding {
    const original = this.#originalOf(claim);
    const { layout, values } = layoutOf(claim, slot, evidence, original);
    if (original !== undefined && values === 'different') {
      const better = this.#slots.find(
        (other) => other !== slot && compareWeights(original, claim, other, 'torch') === 'same',
      );
      if (better !== undefined && evidence !== 'map') throw contradiction(claim, slot, better);
    }
    const mask = expandMask(claim, slot, layout);
    if (mask === undefined) throw misfit(claim, slot, this.#slots);
    // Factors are shares of a weight; what is beyond them is a weight itself.
    const isWeight = mask.odd !== undefined && mask.factors.some((factor) => !(factor >= 0 && factor <= 1));
    if (mask.odd !== undefined && (this.#options.soft !== 'multiply' || isWeight))
      throw softMask(claim, slot, mask.odd, isWeight);
    return { claim, slot, evidence, values, isFromZeros: false, mask };
  }

  #mayBePruned({ source }: Claim): boolean {
    if (source.kind !== 'tensor') return true;
    return this.#sizes.has(source.tensor.size) && source.tensor.toTensor().numbers().includes(0);
  }

  #leftOver(open: readonly Claim[], bindings: readonly Binding[]): void {
    const excused = new Set(this.#unmatched);
    const left = open.filter((claim) => !excused.has(claim.key));
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

function onePerSlot(bindings: readonly Binding[]): void {
  const seen = new Map<WeightSlot, Binding>();
  for (const binding of bindings) {
    const other = seen.get(binding.slot);
    if (other !== undefined) throw twice(binding, other);
    seen.set(binding.slot, binding);
  }
}
