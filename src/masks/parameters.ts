/**
 * The tensors of a mask file that are no masks. Each is the model's own parameter, zeros and all;
 * or one whose zeros the model has not, and then they are masks; or nothing that could have been
 * pruned. What is none of these is lost, and an error says so.
 */
import { isFloating, type Tensor } from '../ir/tensor.js';
import type { Binding, Candidate } from './binding.js';
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { isAllZero, isBinary, isOriginalOf, isUnscaled, layoutOf, patternOf } from './evidence.js';
import { countZeros, type Expanded, expandMask, type Layout, maskFactors } from './expand.js';
import type { StateKind, TensorFate } from './fates.js';
import { type KnownLayer, refold, type Refolded } from './folded-norms.js';
import { addedZeros, isEqualBut } from './added-zeros.js';
import { Harmless } from './harmless.js';
import { softMask } from './mask-errors.js';
import { isNameless } from './module-constants.js';
import { usualKey } from './names.js';
import { refuseScaled } from './scales.js';
import type { Sameness } from './same-weights.js';
import type { WeightSlot } from './slots.js';
import { compareFactor, type FactorIs } from './weight-factors.js';

/** What the accounts are made from. */
export interface AccountContext {
  readonly slots: readonly WeightSlot[];
  /** Bindings of the masks. */
  readonly masks: readonly Binding[];
  /** Whether the file is the model's own checkpoint: some weight of it is the model's. */
  readonly isCheckpoint: boolean;
  /** All parameters and running statistics of the file, by `module.name`. */
  readonly parameters: ReadonlyMap<string, FileTensor>;
  /** Constants of the model, whatever reads them. */
  readonly constants: readonly Tensor[];
  readonly layout: Layout | undefined;
  candidates(claim: Claim, bindings: readonly Binding[]): readonly Candidate[];
}

export interface Accounts {
  /** Bindings of the masks, with the zeros that their parameters had before. */
  readonly masks: readonly Binding[];
  readonly bindings: readonly Binding[];
  readonly fates: readonly TensorFate[];
  /** Masks that belong to a folded normalisation, and are bound with it. */
  readonly settledMasks: ReadonlySet<Claim>;
  /** Tensors with zeros that are nowhere in the model. */
  readonly lost: readonly Claim[];
}

/**
 * `open` are masks without a weight: some may be those of normalisations that are no longer there.
 */
export function accountFor(parameters: readonly Claim[], open: readonly Claim[], context: AccountContext): Accounts {
  return new Accountant(context).account(parameters, open);
}

/** A normalisation of the file. */
interface Norm {
  readonly module: string;
  readonly variance: FileTensor;
  readonly mean: FileTensor;
}

/** What a tensor is to a weight. */
type Outcome = FactorIs | 'other';

class Accountant {
  readonly #context: AccountContext;
  readonly #masks: Binding[];
  readonly #bindings: Binding[] = [];
  readonly #fates: TensorFate[] = [];
  readonly #layers: KnownLayer[] = [];
  readonly #harmless: Harmless;
  /** Nothing in the model that is known, and without a zero. */
  readonly #withoutZeros: Claim[] = [];

  constructor(context: AccountContext) {
    this.#context = context;
    this.#masks = [...context.masks];
    this.#harmless = new Harmless(context.slots, context.constants);
    for (const { claim, slot, values } of context.masks) {
      if (values === 'same' && claim.original !== undefined) this.#know(claim, slot, claim.original);
    }
  }

  account(parameters: readonly Claim[], open: readonly Claim[]): Accounts {
    // Weights first: they tell which layer a normalisation was folded into.
    const isVector = ({ source }: Claim) => source.kind === 'tensor' && source.tensor.dims.length < 2;
    const unclear: Claim[] = [];
    const ofOpen: Claim[] = [];
    for (const claim of parameters.toSorted((a, b) => Number(isVector(a)) - Number(isVector(b)))) {
      if (open.some((mask) => isOriginalOf(claim, mask))) ofOpen.push(claim);
      else if (!this.#settle(claim)) unclear.push(claim);
    }
    const settledMasks = new Set<Claim>();
    const settled = this.#refoldAll([...unclear, ...open]);
    for (const claim of open) if (settled.has(claim)) settledMasks.add(claim);
    // With its mask, a parameter of a normalisation is what it was folded into.
    for (const claim of ofOpen) {
      const isKnown = open.every((mask) => !isOriginalOf(claim, mask) || settled.has(mask));
      if (isKnown) this.#fate(claim, 'original');
      else if (!this.#settle(claim)) unclear.push(claim);
    }
    const lost = [
      ...unclear.filter((claim) => !settled.has(claim) && !this.#isUntrained(claim)),
      ...this.#withoutZeros.filter((claim) => !this.#settleWithoutZeros(claim)),
    ];
    return { masks: this.#masks, bindings: this.#bindings, fates: this.#fates, settledMasks, lost };
  }

  /**
   * Running means begin as zeros, beside variances of one: of a normalisation that is nowhere in
   * the model they say no more than that.
   */
  #isUntrained(claim: Claim): boolean {
    const { name, source } = claim;
    if (name.parameter !== 'running_mean' || name.part === 'mask' || source.kind !== 'tensor') return false;
    const variance = this.#context.parameters.get(`${name.module}.running_var`);
    if (variance === undefined || !isAllOne(variance, source.tensor.size)) return false;
    if (!isAllZero(source.tensor) || this.#context.candidates(claim, []).length > 0) return false;
    return this.#fate(claim, 'state', 'running-statistic');
  }

  #fate(claim: Claim, fate: TensorFate['fate'], what?: StateKind): true {
    this.#fates.push({ key: claim.key, fate, ...(what !== undefined && { what }) });
    return true;
  }

  /** Whether it is known what the tensor is. */
  #settle(claim: Claim): boolean {
    const { source } = claim;
    if (source.kind !== 'tensor' || claim.isDoubtful === true) return false;
    const { tensor } = source;
    if (tensor.dims.length > 0 && !isFloating(tensor.dataType))
      return this.#harmless.isStateOfIntegers(claim, tensor) && this.#fate(claim, 'state', 'integers');
    const candidates = this.#context.candidates(claim, this.#all());
    const outcomes = candidates.map((candidate) => this.#compare(claim, tensor, candidate));
    const isOriginal = claim.isOriginal === true;
    if (outcomes.includes('lost')) return false;
    if (outcomes.includes('zeros')) return this.#fate(claim, 'zeros');
    if (outcomes.includes('differs')) return this.#fate(claim, isOriginal ? 'original' : 'differs');
    if (outcomes.includes('parameter')) return this.#fate(claim, isOriginal ? 'original' : 'parameter');
    if (!tensor.holdsZero()) return this.#withoutZeros.push(claim) > 0;
    if (this.#harmless.isIdleScalar(claim, tensor)) return this.#fate(claim, 'state', 'scalar');
    return (
      (this.#harmless.isConstant(claim, tensor) || this.#isAbsentBias(claim, tensor)) && this.#fate(claim, 'parameter')
    );
  }

  /** Once it is known which layers have masks. */
  #settleWithoutZeros(claim: Claim): boolean {
    const { source, isOriginal } = claim;
    if (source.kind !== 'tensor') return false;
    const masked = this.#all().map(({ slot }) => slot);
    if (this.#harmless.mayPrune(claim, source.tensor, masked)) return false;
    if (source.tensor.dims.length === 0) return this.#fate(claim, 'state', 'scalar');
    return this.#fate(claim, isOriginal === true ? 'original' : 'no-zeros');
  }

  /** Weights before masking are a checkpoint's as well. */
  get #isCheckpoint(): boolean {
    return this.#context.isCheckpoint || this.#masks.some(({ values }) => values === 'same');
  }

  #all(): Binding[] {
    return [...this.#masks, ...this.#bindings];
  }

  /** What the tensor is to a weight that its name or its values say. */
  #compare(claim: Claim, tensor: FileTensor, candidate: Candidate): Outcome {
    const { slot, evidence } = candidate;
    const { layout, values } = layoutOf(claim, slot, evidence, tensor, this.#context.layout);
    const mask = expandMask(claim, slot, layout);
    if (mask === undefined) return tensor.holdsZero() ? 'lost' : 'other';
    const byFactor = compareFactor(claim, tensor, slot, this.#context.slots);
    if (byFactor !== undefined) return this.#compareFactor(claim, byFactor, candidate, mask);
    if (values === 'same' && claim.isOriginal !== true) this.#know(claim, slot, tensor);
    const known = this.#all().filter((binding) => binding.slot === slot);
    const added = addedZeros(mask, slot, known);
    if (added.length === 0) {
      const isEqual = values === 'same' || (values !== 'different' && isEqualBut(claim, slot, mask.factors));
      return isEqual ? 'parameter' : 'differs';
    }
    if (!this.#isSameBut(claim, candidate, mask, values)) {
      // With what is no number nothing can be compared.
      const odd = mask.factors.find((factor) => !Number.isFinite(factor));
      if (odd !== undefined && this.#context.isCheckpoint && claim.isOriginal !== true)
        throw softMask(claim, slot, odd, true);
      return 'lost';
    }
    const { parameters } = this.#context;
    refuseScaled({ claim, slot, evidence, original: values === 'same' ? tensor : undefined, layout, parameters });
    const masked = known.find(({ isFromZeros }) => !isFromZeros);
    if (masked !== undefined) return this.#addTo(masked, added);
    this.#bindings.push({ claim, slot, evidence, values, isFromZeros: true, mask: patternOf(mask) });
    return 'zeros';
  }

  /** Where a factor is zero, all that it is for is. */
  #compareFactor(claim: Claim, known: FactorIs, { slot, evidence }: Candidate, mask: Expanded): Outcome {
    if (known !== 'zeros') return known;
    const own = this.#all().filter((binding) => binding.slot === slot);
    const masked = own.find(({ isFromZeros }) => !isFromZeros);
    const pattern = patternOf(mask);
    if (masked !== undefined) return this.#addTo(masked, addedZeros(pattern, slot, own));
    this.#bindings.push({ claim, slot, evidence, values: undefined, isFromZeros: true, mask: pattern });
    return 'zeros';
  }

  /** The mask of a parameter need not name the zeros that an earlier round left in it. */
  #addTo(masked: Binding, added: readonly number[]): 'zeros' | 'lost' {
    const at = this.#masks.indexOf(masked);
    // A bias that a folded normalisation changed is no longer the parameter.
    if (at < 0) return 'lost';
    const factors = masked.mask.factors.slice();
    for (const place of added) factors[place] = 0;
    const mask: Expanded = { ...masked.mask, factors, zeros: countZeros(factors), granularity: 'element' };
    this.#masks[at] = { ...masked, mask };
    return 'zeros';
  }

  /** Whether the tensor is the weight, apart from its zeros. */
  #isSameBut(
    claim: Claim,
    { slot, evidence }: Candidate,
    { factors }: Expanded,
    values: Sameness | undefined,
  ): boolean {
    if (values === 'same') return true;
    if (values === 'different') return false;
    if (!isEqualBut(claim, slot, factors)) return false;
    if (factors.some((value) => value !== 0) || claim.at !== undefined) return true;
    // Nothing but zeros is left: no value is there to compare. A name tells, where nothing was
    // folded into the layer.
    const isOwn = slot.tensor.dims.length >= 2 || (isNameless(slot) && claim.name.parameter === 'weight');
    return evidence !== 'values' && (isOwn || this.#isUnfolded(claim, slot));
  }

  /** Whether the weights beside a bias are the file's without a scale. */
  #isUnfolded(claim: Claim, slot: WeightSlot): boolean {
    if (slot.isLayer) {
      const layer = this.#layers.find(({ bias }) => bias === slot);
      return layer !== undefined && isUnscaled(layer);
    }
    const name = usualKey(claim.key).replace(/_orig$/, '');
    return this.#isCheckpoint && slot.names.includes(name);
  }

  #know(claim: Claim, slot: WeightSlot, original: FileTensor): void {
    if (!slot.isLayer || slot.parameter !== 'weight') return;
    const bias = this.#context.slots.find(({ node, parameter }) => node === slot.node && parameter === 'bias');
    this.#layers.push({ weight: slot, bias, claim, original });
  }

  /** Exporters leave a bias of zeros out. */
  #isAbsentBias({ name }: Claim, tensor: FileTensor): boolean {
    if (name.parameter !== 'bias' || !isAllZero(tensor)) return false;
    return this.#layers.some(
      (layer) =>
        layer.bias === undefined &&
        // What a node after a product adds is its bias, under whatever name.
        layer.weight.added === undefined &&
        layer.claim.name.module === name.module &&
        isUnscaled(layer),
    );
  }

  /** Normalisations that are only in the file, each with the layer that it was folded into. */
  #refoldAll(claims: readonly Claim[]): ReadonlySet<Claim> {
    const settled = new Set<Claim>();
    const { parameters } = this.#context;
    if (claims.length === 0) return settled;
    const norms = [...parameters].flatMap(([key, variance]): Norm[] => {
      const module = key.slice(0, -'.running_var'.length);
      const mean = parameters.get(`${module}.running_mean`);
      return key.endsWith('.running_var') && mean !== undefined ? [{ module, variance, mean }] : [];
    });
    const ofBoth = ({ module }: Norm, layer: KnownLayer) => [
      ...claims.filter(({ name }) => name.module === module),
      ...claims.filter(({ name }) => name.module === layer.claim.name.module && name.parameter === 'bias'),
    ];
    const bind = (norm: Norm, layer: KnownLayer, refolded: Refolded) => {
      this.#bindRefolded(layer, refolded, ofBoth(norm, layer));
      for (const claim of ofBoth(norm, layer)) settled.add(claim);
    };
    const pairs: { norm: Norm; layer: KnownLayer; refolded: Refolded }[] = [];
    for (const norm of norms) {
      for (const layer of this.#layers) {
        const refolded = this.#refold(layer, norm, ofBoth(norm, layer));
        if (refolded !== undefined) pairs.push({ norm, layer, refolded });
      }
    }
    const isAsked = ({ norm, layer }: (typeof pairs)[number]) =>
      ofBoth(norm, layer).some((claim) => !settled.has(claim));
    for (const norm of norms) {
      const found = pairs.find((pair) => pair.norm === norm && !pair.refolded.isByScales && isAsked(pair));
      if (found !== undefined) bind(norm, found.layer, found.refolded);
    }
    // Less evidence: then there must be no other layer, and no other normalisation.
    for (const pair of pairs) {
      const isSole = pairs.every(
        (other) => other === pair || (other.norm !== pair.norm && other.layer.weight !== pair.layer.weight),
      );
      if (pair.refolded.isByScales && isSole && isAsked(pair)) bind(pair.norm, pair.layer, pair.refolded);
    }
    return settled;
  }

  #refold(layer: KnownLayer, { module, variance, mean }: Norm, claims: readonly Claim[]): Refolded | undefined {
    const { parameters } = this.#context;
    const count = layer.weight.tensor.dims[layer.weight.outAxis] ?? 0;
    const numbers = (tensor: FileTensor | undefined) =>
      tensor !== undefined && tensor.size === count ? tensor.toTensor().numbers() : undefined;
    const [means, variances] = [numbers(mean), numbers(variance)];
    if (means === undefined || variances === undefined) return undefined;
    const bias = parameters.get(`${layer.claim.name.module}.bias`);
    const masks = claims.filter(({ name }) => name.part === 'mask');
    const kept = (of: string, parameter: string) => {
      const mask = masks.find(({ name }) => name.module === of && name.parameter === parameter);
      return mask?.source.kind === 'tensor' ? numbers(mask.source.tensor) : undefined;
    };
    const isReadable = masks.every(
      ({ source }) => source.kind === 'tensor' && source.tensor.size === count && isBinary(source.tensor),
    );
    // A variance of 0 scales the whole filter anew: no mask of the layer says that.
    const isOfVariance = masks.some(({ name }) => name.module === module && name.parameter === 'running_var');
    if (!isReadable || isOfVariance) return undefined;
    return refold(layer, {
      scale: numbers(parameters.get(`${module}.weight`)) ?? new Float32Array(count).fill(1),
      shift: numbers(parameters.get(`${module}.bias`)),
      mean: means,
      variance: variances,
      bias: numbers(bias),
      kept: {
        scale: kept(module, 'weight'),
        shift: kept(module, 'bias'),
        mean: kept(module, 'running_mean'),
        bias: kept(layer.claim.name.module, 'bias'),
      },
    });
  }

  #bindRefolded({ weight, bias }: KnownLayer, refolded: Refolded, claims: readonly Claim[]): void {
    const ofScale = claims.find(({ name }) => name.parameter === 'weight') ?? claims[0];
    const ofShift = claims.find(({ name }) => name.parameter === 'bias') ?? claims[0];
    if (ofScale === undefined || ofShift === undefined) return;
    const shared = { evidence: 'values', values: 'same', isFolded: true } as const;
    const { dims } = weight.tensor;
    const filters = maskFactors(dims, [{ axis: weight.outAxis, indices: refolded.filters }], weight.outAxis);
    const isNew =
      addedZeros(
        filters,
        weight,
        this.#all().filter(({ slot }) => slot === weight),
      ).length > 0;
    const isMask = ({ name }: Claim) => name.part === 'mask';
    if (isNew || (isMask(ofScale) && filters.zeros > 0))
      this.#bindings.push({ ...shared, claim: ofScale, slot: weight, isFromZeros: !isMask(ofScale), mask: filters });
    if (refolded.bias.size > 0 && bias !== undefined) {
      const factors = new Uint8Array(bias.tensor.size).fill(1);
      const offsets = new Float64Array(bias.tensor.size);
      for (const [channel, value] of refolded.bias) {
        factors[channel] = 0;
        offsets[channel] = value;
      }
      const zeros = [...refolded.bias.values()].filter((value) => value === 0).length;
      const mask: Expanded = { factors, granularity: 'element', zeros, odd: undefined, offsets };
      this.#bindings.push({ ...shared, claim: ofShift, slot: bias, isFromZeros: !isMask(ofShift), mask });
    }
    const isChanged = isNew || refolded.bias.size > 0;
    for (const claim of claims) {
      if (isMask(claim)) this.#fate(claim, 'mask');
      else this.#fate(claim, isChanged ? 'zeros' : 'parameter');
    }
  }
}

function isAllOne(tensor: FileTensor, size: number): boolean {
  return (
    tensor.size === size &&
    tensor
      .toTensor()
      .numbers()
      .every((value) => value === 1)
  );
}
