/**
 * Which mask belongs to which weight, with the evidence for it. From the surest to the last resort:
 *
 *   map      the user says so (--mask-map)
 *   name     the weight is stored under the parameter's name
 *   module   the layer's node says which module it was
 *   values   the file holds the parameter before masking, and it is that weight, up to a scale per filter
 *   shape    names say nothing at all, and each mask has one weight that it fits, and that weight one mask
 *
 * A mask that fits nothing, or two weights, or two masks for one weight are errors: wrong bindings
 * would be wrong outputs. What is no mask is accounted for as well (parameters.ts).
 */
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import {
  closestTo,
  holdSameValues,
  holdsWeights,
  isBinary,
  isFoldedBias,
  isMask,
  isNoMask,
  isOriginalOf,
  isSameParameter,
  isStoredCopy,
  isUnclearSquare,
  layoutOf,
  mayBeBias,
  mayBeMeant,
  relationOf,
  withoutSources,
} from './evidence.js';
import { expandMask, LAYOUTS } from './expand.js';
import { onePerKey, type TensorFate } from './fates.js';
import { ambiguous, contradiction, lostZeros, misfit, noMatch, softMask, unclearLayout } from './mask-errors.js';
import { isSameKind, PACKED_ATTENTION, parameterOf, parseKey, statedModule, withoutMaskSuffix } from './names.js';
import { onePerSlot } from './one-per-slot.js';
import { attentionParts } from './packed-attention.js';
import { withoutOthers } from './module-constants.js';
import { mapTargets } from './map-targets.js';
import { accountFor } from './parameters.js';
import { compareWeights } from './same-weights.js';
import { refuseScaled } from './scales.js';
import { bindByShape } from './shape-alone.js';
import type { WeightSlot } from './slots.js';
import type { Binding, Candidate } from './binding.js';
import type { BindOptions, MaskMap } from './bind-options.js';

export interface Bound {
  readonly bindings: readonly Binding[];
  /** Keys of masks that fit nothing, with --allow-unmatched, or that the map leaves out. */
  readonly unmatched: readonly string[];
  /** What became of each tensor of the file. */
  readonly fates: readonly TensorFate[];
}

/**
 * Binds the masks of one file. Throws E-MASK-NO-MATCH, -AMBIGUOUS, -LOST, -SHAPE, -SOFT, -EMPTY,
 * -MAP.
 */
export function bindMasks(claims: readonly Claim[], slots: readonly WeightSlot[], options: BindOptions = {}): Bound {
  return new Binder(slots, options).bind(claims);
}

class Binder {
  readonly #slots: readonly WeightSlot[];
  readonly #options: BindOptions;
  readonly #byName = new Map<string, WeightSlot[]>();
  /** By module path, with how likely each slot's path is: 0 is the most likely. */
  readonly #byModule = new Map<string, { slot: WeightSlot; rank: number }[]>();
  /**
   * Sizes of the model's weights: a tensor of another size is never looked into, however large it
   * says it is.
   */
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

  bind(given: readonly Claim[]): Bound {
    const { map = {} } = this.#options;
    // Who says where a tensor goes means all of it.
    const claims = given.flatMap((claim) =>
      Object.hasOwn(map, claim.key) ? [claim] : attentionParts(claim, this.#slots, this.#options.parameters),
    );
    const named = new Map(claims.map((claim) => [claim, this.#isOfMask(claim) ? [] : this.#byNames(claim)]));
    const isCheckpoint = claims.some((claim) => this.#isModelsOwn(claim, named.get(claim) ?? []));
    const isBesideWeights =
      isCheckpoint || claims.some((claim) => claim.isBeside === true && claim.isDoubtful !== true);
    const masks = new Map(
      [...named].filter(([claim, found]) => !isNoMask(claim, found) && (!isBesideWeights || isMask(claim, found))),
    );
    if (!isBesideWeights) bindByShape(masks, this.#slots, (claim) => this.#originalOf(claim) !== undefined);
    const bindings: Binding[] = [];
    const open: Claim[] = [];
    for (const [claim, found] of masks) {
      const bound = this.#fitting(claim, found, bindings);
      if (bound.length === 0 && !this.#isIdle(claim)) open.push(claim);
      for (const candidate of bound) bindings.push(this.#check(claim, candidate));
    }
    const others = claims.filter((claim) => !masks.has(claim) && !this.#unmatched.includes(claim.key));
    const { parameters = new Map<string, FileTensor>(), constants = [], settled = [], layout } = this.#options;
    const accounts = accountFor(others, open, {
      slots: this.#slots,
      masks: bindings,
      isCheckpoint,
      parameters,
      constants,
      layout,
      candidates: (claim, taken) => {
        const own = this.#isOfMask(claim) ? taken.filter((binding) => isOriginalOf(claim, binding.claim)) : [];
        if (own.length > 0) return own;
        const found = this.#isOfMask(claim) ? this.#byNames(claim) : (named.get(claim) ?? []);
        return found.length === 0 && holdsWeights(claim) ? this.#byValues(claim, taken) : found;
      },
    });
    const fates = [...settled, ...accounts.fates];
    const all = [...accounts.masks, ...accounts.bindings];
    const known = new Set(bindings.map(({ claim }) => claim.key));
    for (const key of known) fates.push({ key, fate: 'mask' });
    this.#leftOver(
      open.filter((claim) => !accounts.settledMasks.has(claim)),
      all,
    );
    this.#loseNothing(accounts.lost, all, fates);
    // Steps of a history may come back to a layer.
    onePerSlot(all.filter(({ claim, isFolded }) => claim.isCoupled !== true && isFolded !== true));
    for (const key of this.#unmatched) fates.push({ key, fate: 'left-out' });
    return { bindings: all, unmatched: this.#unmatched, fates: onePerKey(fates) };
  }

  /**
   * What was masked is where its mask is bound; parts are told by values, as those of the mask are,
   * and who says where means it.
   */
  #isOfMask({ isOriginal, at, key }: Claim): boolean {
    return isOriginal === true && at === undefined && !Object.hasOwn(this.#options.map ?? {}, key);
  }

  /** A mask of a bias that the layer has not. */
  #isIdle({ isOptional, name: { module } }: Claim): boolean {
    return isOptional === true && this.#options.parameters?.has(`${module}.bias`) !== true;
  }

  /** Candidates by name, or by value where there are none or they do not have the mask's shape. */
  #fitting(claim: Claim, found: readonly Candidate[], bindings: readonly Binding[]): readonly Candidate[] {
    const { layout } = this.#options;
    const isFit = found.some(({ slot, evidence }) => {
      const { layout: own } = layoutOf(claim, slot, evidence, this.#originalOf(claim), layout);
      return expandMask(claim, slot, own) !== undefined;
    });
    if (isFit || found.some(({ evidence }) => evidence === 'map')) return found;
    const valued = this.#byValues(claim, bindings);
    return valued.length > 0 ? valued : found;
  }

  /**
   * Not a mask but the parameter itself, zeros and all: its values are those of the weight that it
   * names, or of some weight.
   */
  #isModelsOwn(claim: Claim, named: readonly Candidate[]): boolean {
    if (claim.name.part === 'mask' || claim.isBeside === true || !holdsWeights(claim)) return false;
    const original = this.#originalOf(claim);
    if (original === undefined) return false;
    const slots = named.length > 0 ? named.map(({ slot }) => slot) : this.#slots;
    return slots.some((slot) => this.#holds(slot, original, claim));
  }

  #holds(slot: WeightSlot, original: FileTensor, claim: Claim): boolean {
    if (isStoredCopy(original, slot)) return true;
    return LAYOUTS.some((layout) => compareWeights(original, claim, slot, layout) === 'same');
  }

  /** The parameter before it was masked, if the file has it. */
  #originalOf({ original, name, source }: Claim): FileTensor | undefined {
    if (original !== undefined) return original;
    const isOwn = name.part === 'bare' && source.kind === 'tensor' && this.#isOfSize(source.tensor);
    return isOwn && !isBinary(source.tensor) ? source.tensor : undefined;
  }

  /** That of a weight, or of a row that exporters may have repeated for each of a batch. */
  #isOfSize({ dims, size }: FileTensor): boolean {
    const isRow = dims.length === 3 && dims[0] === 1 && size > 1;
    return this.#sizes.has(size) || (isRow && [...this.#sizes].some((whole) => whole % size === 0));
  }

  #byNames(claim: Claim): Candidate[] {
    const { map } = this.#options;
    if (map !== undefined && Object.hasOwn(map, claim.key)) return this.#byMap(claim, map[claim.key]);
    if (claim.at !== undefined) return claim.at.map((slot) => ({ slot, evidence: 'values' }));
    const named = this.#byName.get(claim.isOnnx ? claim.key : parameterOf(claim.name)) ?? [];
    const isFolded = (slot: WeightSlot) => isFoldedBias(claim, slot, this.#slots, this.#options.parameters);
    const own = named.filter((slot) => !isFolded(slot));
    const exact = this.#exact(claim, own);
    const readers = this.#readers(claim, exact);
    if (readers.length > 0)
      return readers.map((slot) => ({ slot, evidence: exact.includes(slot) ? 'name' : 'values' }));
    const inModule = this.#inModule(claim).filter(({ slot }) => !isFolded(slot));
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
    // `/conv_1/Conv` may be the module conv_1, or conv under a name that another one took first;
    // the file may know.
    const strangers = weaker.filter(
      (slot) => !calls.includes(slot) && !this.#knowsModuleOf(slot) && expandMask(claim, slot, 'torch') !== undefined,
    );
    if (first !== undefined && strangers.length > 0 && claim.original === undefined)
      throw ambiguous(claim, [...slots, ...strangers]);
    return unique([...slots, ...calls]).map((slot) => ({ slot, evidence: 'module' }));
  }

  /**
   * A packed matrix is the one product of its module that it fits: exporters call that a weight.
   */
  #inModule(claim: Claim): readonly { slot: WeightSlot; rank: number }[] {
    const { module, parameter } = claim.name;
    const named = this.#byModule.get(`${module}.${parameter}`) ?? [];
    const weights = this.#byModule.get(`${module}.weight`) ?? [];
    const found = withoutOthers(claim, named, weights, this.#originalOf(claim));
    if (found.length > 0 || parameter !== PACKED_ATTENTION) return found;
    const fitting = (this.#byModule.get(`${module}.weight`) ?? []).filter(
      ({ slot }) => slot.isLayer && expandMask(claim, slot, 'torch') !== undefined,
    );
    return new Set(fitting.map(({ slot }) => slot)).size === 1 ? fitting.slice(0, 1) : [];
  }

  #knowsModuleOf({ nodePaths: [path] }: WeightSlot): boolean {
    const { modules } = this.#options;
    return path !== undefined && modules?.has(statedModule(path)) === true;
  }

  /**
   * Exporters merge equal weights under the name of one, and write a parameter down twice where it
   * is read in two ways. The mask is for whoever reads it as that module, or in the code around it:
   * other modules have parameters of their own.
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
        isSameParameter(first, slot, this.#options.parameters),
    );
    const all = [...named, ...copies];
    const own = all.filter((slot) => ['own', 'around'].includes(relationOf(claim, slot)));
    const silent = all.filter((slot) => relationOf(claim, slot) === 'none');
    // Where nobody says he is that module, the tensor's name is all there is to know.
    return own.length > 0 ? own : silent.length > 0 ? silent : named;
  }

  /**
   * Names that only differ by a wrapper's prefix may belong to two weights: the very name decides
   * then.
   */
  #exact(claim: Claim, named: readonly WeightSlot[]): WeightSlot[] {
    const plain = withoutMaskSuffix(claim.key);
    const isExact = ({ names }: WeightSlot) =>
      [plain, `${plain}.${claim.name.parameter}`, `${plain}_orig`].some((name) => names.includes(name));
    const exact = named.filter(isExact);
    const [first, ...others] = withoutSources(exact.length > 0 ? exact : named);
    if (first === undefined) return [];
    if (others.some((slot) => !holdSameValues(first, slot))) throw ambiguous(claim, [first, ...others]);
    return [first, ...others];
  }

  #byMap(claim: Claim, wanted: MaskMap[string] | undefined): Candidate[] {
    if (wanted === null || wanted === undefined) {
      this.#unmatched.push(claim.key);
      return [];
    }
    const names = typeof wanted === 'string' ? [wanted] : wanted;
    return unique(names.flatMap((name) => mapTargets(claim, name, this.#slots, this.#byModule))).map((slot) => ({
      slot,
      evidence: 'map',
    }));
  }

  /** Free slots whose values the file's original has. */
  #byValues(claim: Claim, bindings: readonly Binding[]): Candidate[] {
    const original = this.#originalOf(claim);
    if (original === undefined || this.#unmatched.includes(claim.key)) return [];
    const taken = new Set(bindings.map(({ slot }) => slot));
    const same = this.#slots.filter(
      (slot) =>
        !taken.has(slot) && isSameKind(slot.parameter, claim.name.parameter) && this.#holds(slot, original, claim),
    );
    const found = closestTo(claim.name.module, same);
    const [first, ...others] = found;
    if (same.length > 0 && (first === undefined || others.some((slot) => !holdSameValues(first, slot))))
      throw ambiguous(claim, same);
    return found.map((slot) => ({ slot, evidence: 'values' }));
  }

  #check(claim: Claim, { slot, evidence }: Candidate): Binding {
    const original = this.#originalOf(claim);
    const { layout, values } = layoutOf(claim, slot, evidence, original, this.#options.layout);
    if (original !== undefined && values === 'different') {
      const better = this.#slots.find(
        (other) => other !== slot && compareWeights(original, claim, other, 'torch') === 'same',
      );
      if (better !== undefined && evidence !== 'map') throw contradiction(claim, slot, better);
    }
    if (this.#options.layout === undefined && values !== 'same' && isUnclearSquare(claim, slot, evidence, layout))
      throw unclearLayout(claim, slot);
    const mask = expandMask(claim, slot, layout);
    if (mask === undefined) throw misfit(claim, slot, this.#slots, layout);
    const { parameters = new Map<string, FileTensor>() } = this.#options;
    if (mask.zeros > 0 || mask.odd !== undefined)
      refuseScaled({ claim, slot, evidence, original: values === 'same' ? original : undefined, layout, parameters });
    // Factors are shares of a weight; what is beyond them is a weight itself.
    const isFactor = (factor: number) => factor >= 0 && factor <= 1;
    const beyond = mask.odd === undefined ? undefined : mask.factors.find((factor) => !isFactor(factor));
    // A share of a code is none.
    const mayBeSoft = this.#options.soft === 'multiply' && slot.codes === undefined;
    if (mask.odd !== undefined && (!mayBeSoft || beyond !== undefined))
      throw softMask(claim, slot, beyond ?? mask.odd, beyond !== undefined);
    return { claim, slot, evidence, values, isFromZeros: false, mask };
  }

  #leftOver(open: readonly Claim[], bindings: readonly Binding[]): void {
    const excused = new Set(this.#unmatched);
    const left = open.filter((claim) => !excused.has(claim.key));
    if (left.length === 0) return;
    if (this.#options.allowUnmatched !== true || bindings.length === 0)
      throw noMatch(left, bindings, this.#slots, this.#options.captured);
    this.#unmatched.push(...unique(left.map(({ key }) => key)));
  }

  /** Zeros that the file has, and the model would not have. */
  #loseNothing(lost: readonly Claim[], bindings: readonly Binding[], fates: readonly TensorFate[]): void {
    if (lost.length === 0) return;
    if (this.#options.allowUnmatched !== true || bindings.length === 0)
      throw lostZeros(lost, fates, this.#slots, this.#options.captured);
    this.#unmatched.push(...lost.map(({ key }) => key));
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
