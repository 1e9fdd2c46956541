/**
 * From what a file holds to what it claims: "this is the mask of that parameter". State dicts of
 * torch.nn.utils.prune, bare mask dictionaries, NNI's { module: { weight, bias } }, JSON with
 * indices, Torch-Pruning's history; wrapped or not.
 */
import { parse } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { FileTensor, isList, type MaskContents } from './contents.js';
import { isBinary } from './evidence.js';
import type { Doubt } from './doubts.js';
import type { StateKind, TensorFate } from './fates.js';
import { collect, collectFrom, type Found } from './collect.js';
import { pruningHistory } from './json-claims.js';
import type { KnownLayers, NamedShape } from './known-layers.js';
import { readLists } from './listed-masks.js';
import {
  COUNTER,
  isFilterMaskOfNncf,
  maskBesidePruned,
  parameterOf,
  type ParsedKey,
  parseKey,
  saysScore,
  statisticOf,
  usualKey,
  withoutMaskSuffix,
} from './names.js';
import { isMaskFormat, isOfNorms, join, MASK_CONTAINERS, type Section, sectionsOf, trainingState } from './sections.js';
import type { MaskSource, Claim } from './claim.js';
import { isPrunedWeight, mayBeMask } from './training-tensors.js';

export interface Claims {
  readonly claims: readonly Claim[];
  /** All modules that the file speaks of, pruned or not. */
  readonly modules: ReadonlySet<string>;
  /** Tensors that claim nothing, with what each is. */
  readonly settled: readonly TensorFate[];
  /**
   * Tensors under their parameters' names, running statistics among them, by module and parameter.
   */
  readonly parameters: ReadonlyMap<string, FileTensor>;
}

/**
 * `model` are the parameters of the model, which lists may speak of. Throws E-MASK-EMPTY when
 * nothing in the file can be a mask, E-MASK-FORMAT for JSON that says nothing known.
 */
export function claimsOf(given: MaskContents, prefix?: string, model: readonly NamedShape[] = []): Claims {
  const history = pruningHistory(given);
  if (history.length > 0) refuseMasksBeside(given);
  if (history.length > 0) return { claims: history, modules: new Set(), settled: [], parameters: new Map() };
  // In JSON nothing but masks is asked for.
  const { root, doubts, layers } = isMaskFormat(given)
    ? { root: given.root, doubts: [], layers: undefined }
    : readLists(given, model);
  const file = { ...given, root };
  const { main, masks, outside } = sectionsOf(file);
  // A file of one array says nothing but its own name: layer1.0.conv1.npy.
  const found = collectFrom(main, file, main.entry instanceof FileTensor ? parse(file.path).name : '');
  // A list has no keys of its own.
  const apart = masks === undefined ? [] : collectFrom(masks, file, isList(masks.entry) ? masks.path : '');
  const reader = new Reader(file, prefix, layers);
  for (const tensor of found) reader.read(tensor);
  // Masks that are called as their weights are: keys are to be one each.
  const isTaken = (key: string) => found.some((tensor) => tensor.key === key);
  for (const tensor of apart) {
    const key = masks !== undefined && isTaken(tensor.key) ? join(masks.path, tensor.key) : tensor.key;
    reader.readMask(key, tensor, masks !== undefined && isOfNorms(masks));
  }
  for (const section of outside) reader.readOutside(section);
  for (const doubt of doubts) reader.doubt(doubt, main);
  return reader.claims(found);
}

/**
 * A history says all that was pruned, and weights beside it are those that are left; masks would be
 * a second word.
 */
function refuseMasksBeside({ root, path }: MaskContents): void {
  const found: Found[] = [];
  collect(readLists({ root, path }, []).root, '', found, { root, path, format: 'PyTorch' });
  const second = found.find(
    ({ key }) => parseKey(key)?.part === 'mask' || key.split('.').some((name) => MASK_CONTAINERS.includes(name)),
  );
  if (second === undefined) return;
  throw new PruneCompileError('E-MASK-AMBIGUOUS', {
    what: `${path} holds a pruning history and masks`,
    facts: [
      ['mask', second.key],
      ['try', 'the one that is meant in a file of its own: the history alone, or the masks without it'],
    ],
  });
}

interface Parsed extends Found {
  /** Without the containers that it lies in. */
  readonly inner: string;
  readonly name: ParsedKey;
  readonly place: 'main' | 'masks' | 'outside';
  readonly isOfNorm?: boolean;
  readonly isDoubtful?: boolean;
  /** A weight among this. */
  readonly state?: StateKind;
}

/** Sorts what a file holds: masks, parameters, what each mask's weight was, and state. */
class Reader {
  readonly #file: MaskContents;
  readonly #prefix: string | undefined;
  readonly #layers: KnownLayers | undefined;
  readonly #parsed: Parsed[] = [];
  readonly #settled: TensorFate[] = [];
  readonly #parameters = new Map<string, FileTensor>();

  constructor(file: MaskContents, prefix: string | undefined, layers: KnownLayers | undefined) {
    this.#file = file;
    this.#prefix = prefix;
    this.#layers = layers;
  }

  read({ key, source, isListed }: Found): void {
    const name = parseKey(key, this.#prefix);
    const state = trainingState(key);
    if (name === undefined && (isMaskFormat(this.#file) || source.kind !== 'tensor'))
      this.#readStatisticMask(key, key, source);
    else if (name === undefined) this.#readStatistic(key, source);
    else if (isIdleScalar(source, name.part === 'mask') && !saysScore(key)) this.#settle(key, 'scalar');
    else if (
      state !== undefined &&
      !name.isParameter &&
      key.includes('.') &&
      !mayBeMask(source, key, state, this.#layers)
    )
      this.#settle(key, state);
    else this.#add({ key, inner: key, source, isListed, name, place: 'main' });
  }

  readMask(key: string, { key: inner, source, isListed }: Found, isOfNorm: boolean): void {
    const name = parseKey(inner, this.#prefix);
    if (name === undefined) this.#readStatisticMask(key, inner, source);
    else if (isIdleScalar(source, true)) this.#settle(key, 'scalar');
    else this.#add({ key, inner, source, isListed, name: { ...name, part: 'mask' }, place: 'masks', isOfNorm });
  }

  readOutside(section: Section): void {
    // JSON has a word or two about itself there: whatever could be a mask was refused as a second
    // set.
    if (isMaskFormat(this.#file)) return;
    const state = trainingState(section.path);
    for (const { key: inner, source, isListed } of collectFrom(section, this.#file)) {
      const key = inner === '' ? section.path : join(section.path, inner);
      const name = parseKey(key, this.#prefix);
      if (state !== undefined && !mayBeMask(source, key, state, this.#layers)) this.#settle(key, state);
      else if (name === undefined) this.#readStatistic(key, source);
      else if (isIdleScalar(source, name.part === 'mask') && !saysScore(key)) this.#settle(key, 'scalar');
      else {
        // A second set of weights that nobody asked for: its zeros are bound nowhere.
        const second = state !== undefined && isPrunedWeight(source, key) ? { isDoubtful: true, state } : {};
        this.#add({ key, inner: key, source, isListed, name, place: 'outside', ...second });
      }
    }
  }

  /** Under the key that it has beside the tensors of the main part. */
  doubt({ key, tensor }: Doubt, { path }: Section): void {
    const inner = path !== '' && key.startsWith(`${path}.`) ? key.slice(path.length + 1) : key;
    const name = parseKey(inner, this.#prefix) ?? { ...NAMELESS, module: inner };
    const source: MaskSource = { kind: 'tensor', tensor };
    this.#parsed.push({ key: inner, inner, source, isListed: false, name, place: 'outside', isDoubtful: true });
  }

  #add(parsed: Parsed): void {
    const { name, source, place } = parsed;
    this.#parsed.push(parsed);
    if (place === 'main' && name.part !== 'mask' && source.kind === 'tensor')
      this.#parameters.set(parameterOf(name), source.tensor);
  }

  #readStatistic(key: string, source: MaskSource): void {
    const name = statisticOf(key, this.#prefix);
    if (name === undefined || source.kind !== 'tensor') {
      this.#readStatisticMask(key, key, source);
      return;
    }
    this.#parameters.set(parameterOf(name), source.tensor);
    // A mean or a variance that was pruned with its filter is another function; without a zero it
    // tells only what was folded.
    if (name.parameter !== COUNTER && source.tensor.holdsZero())
      this.#add({ key, inner: key, source, isListed: false, name, place: 'outside' });
    else this.#settle(key, name.parameter === COUNTER ? 'counter' : 'running-statistic');
  }

  /**
   * Where everything is a mask, that of a running statistic is one as well; of a counter nothing is
   * computed.
   */
  #readStatisticMask(key: string, inner: string, source: MaskSource): void {
    const name = statisticOf(inner, this.#prefix);
    if (name === undefined || name.parameter === COUNTER) this.#settle(key, 'counter');
    else if (source.kind === 'tensor' && !source.tensor.holdsZero()) this.#settled.push({ key, fate: 'no-zeros' });
    else this.#add({ key, inner, source, isListed: false, name: { ...name, part: 'mask' }, place: 'masks' });
  }

  #settle(key: string, what: StateKind): void {
    this.#settled.push({ key, fate: 'state', what });
  }

  /** Throws E-MASK-EMPTY where nothing claims anything. */
  claims(found: readonly Found[]): Claims {
    const parsed = this.#parsed;
    const originals = originalsOf(parsed);
    // A buffer may be called causal_mask; the mask of a parameter says its name, or stands beside
    // what it masks.
    const hasMasks = parsed.some(
      ({ inner, name, place }) =>
        place === 'masks' || (name.part === 'mask' && (name.isParameter || originals.has(withoutMaskSuffix(inner)))),
    );
    const masked = new Set(parsed.filter(isMaskOf).map(({ inner }) => withoutMaskSuffix(inner)));
    // Apart from the weights, a mask may be for what no usual name says to be a parameter.
    const bare = new Map(parsed.filter(({ place }) => place === 'main').map((item) => [usualKey(item.inner), item]));
    const claims: Claim[] = [];
    for (const item of parsed) {
      const { key, inner, name, source, place } = item;
      if (isPrunedAway(item, parsed)) {
        this.#settle(key, 'pruned-values');
        continue;
      }
      if (item.state !== undefined && parsed.some((other) => hasZerosOf(other, item))) {
        this.#settle(key, item.state);
        continue;
      }
      // torch.ao has a mask in the module and in the sparsifier: once is enough where they are the
      // same.
      if (place === 'masks' && parsed.some((other) => other.place === 'main' && isSameMask(other, item))) {
        this.#settled.push({ key, fate: 'mask' });
        continue;
      }
      const plain = withoutMaskSuffix(inner).replace(/_orig$/, '');
      const isMaskHere = isMaskOf(item);
      const original = isMaskHere
        ? (originals.get(plain) ?? (place === 'masks' ? bare.get(plain) : undefined))
        : undefined;
      const isOriginal = !isMaskHere && masked.has(plain) && originals.get(plain) === item;
      const isBeside =
        place === 'outside' || (hasMasks && name.part === 'bare' && source.kind === 'tensor' && name.isParameter);
      const claim: Claim = {
        key,
        file: this.#file.path,
        name: name.part === 'original' ? { ...name, part: 'bare' } : name,
        source,
        isOnnx: this.#file.format === 'ONNX',
        ...((isBeside || name.part === 'original') && { isBeside: true }),
        ...(place === 'outside' && { isOutside: true }),
        ...(isOriginal && { isOriginal, isBeside: true }),
        ...(item.isOfNorm === true && { isOfNorm: true }),
        ...(item.isDoubtful === true && { isDoubtful: true }),
        ...(item.isListed && { isListed: true }),
      };
      claims.push(original?.source.kind === 'tensor' ? { ...claim, original: original.source.tensor } : claim);
      if (isFilterMaskOfNncf(inner)) claims.push({ ...ofBias(claim), isOptional: true });
      if (item.isOfNorm === true) claims.push(ofBias(claim));
    }
    if (claims.length === 0) throw nothingIn(this.#file, found);
    const modules = new Set(parsed.map(({ name }) => name.module));
    return { claims, modules, settled: this.#settled, parameters: this.#parameters };
  }
}

const NAMELESS: ParsedKey = { module: '', parameter: 'weight', part: 'bare', isParameter: false, isKernel: false };

function ofBias(claim: Claim): Claim {
  return { ...claim, name: { ...claim.name, parameter: 'bias' } };
}

/**
 * apex keeps the values that its mask takes, to give them back when it chooses anew: zero wherever
 * the mask keeps the weight.
 */
function isPrunedAway({ inner, source }: Parsed, all: readonly Parsed[]): boolean {
  const ofMask = maskBesidePruned(inner);
  const mask = ofMask === undefined ? undefined : all.find((item) => item.inner === ofMask)?.source;
  if (mask?.kind !== 'tensor' || source.kind !== 'tensor') return false;
  if (mask.tensor.dims.join() !== source.tensor.dims.join()) return false;
  if (!mask.tensor.isCompact || !source.tensor.isCompact || !isBinary(mask.tensor)) return false;
  const kept = mask.tensor.toTensor().numbers();
  return source.tensor
    .toTensor()
    .numbers()
    .every((value, at) => value === 0 || kept[at] === 0);
}

function isSameMask(one: Parsed, other: Parsed): boolean {
  const [a, b] = [one.source, other.source];
  if (one.name.part !== 'mask' || parameterOf(one.name) !== parameterOf(other.name)) return false;
  if (a.kind !== 'tensor' || b.kind !== 'tensor' || a.tensor.dims.join() !== b.tensor.dims.join()) return false;
  if (!a.tensor.isCompact || !b.tensor.isCompact) return false;
  return isBinary(a.tensor) && isEqualTo(a.tensor, b.tensor);
}

/** Whether the weights or masks that are read have all zeros of one among the state of training. */
function hasZerosOf(read: Parsed, weight: Parsed): boolean {
  if (read.place === 'outside' || read.source.kind !== 'tensor' || weight.source.kind !== 'tensor') return false;
  const [known, tensor] = [read.source.tensor, weight.source.tensor];
  if (!parameterOf(weight.name).endsWith(`.${parameterOf(read.name)}`)) return false;
  if (known.dims.join() !== tensor.dims.join() || !known.isCompact || !tensor.isCompact) return false;
  const zeros = known.toTensor().numbers();
  return tensor
    .toTensor()
    .numbers()
    .every((value, at) => value !== 0 || zeros[at] === 0);
}

function isEqualTo(one: FileTensor, other: FileTensor): boolean {
  const numbers = other.toTensor().numbers();
  return one
    .toTensor()
    .numbers()
    .every((value, at) => value === numbers[at]);
}

function isMaskOf({ name, place }: Parsed): boolean {
  return place === 'masks' || name.part === 'mask';
}

/**
 * By the key of the parameter: what it was before it was masked, `weight_orig`, else `weight`
 * beside its mask.
 */
function originalsOf(parsed: readonly Parsed[]): ReadonlyMap<string, Parsed> {
  const found = new Map<string, Parsed>();
  for (const item of parsed) {
    const { inner, name, source, place } = item;
    if (place !== 'main' || source.kind !== 'tensor') continue;
    const key = usualKey(inner).replace(/_orig$/, '');
    if (name.part === 'original') found.set(key, item);
    else if (name.part === 'bare' && name.isParameter && !found.has(key)) found.set(key, item);
  }
  return found;
}

/** A number without extent that takes nothing away: as a mask 1, else anything but 0. */
function isIdleScalar(source: MaskSource, isMask: boolean): boolean {
  if (source.kind !== 'tensor' || source.tensor.dims.length > 0) return false;
  const [value] = source.tensor.toTensor().numbers();
  return isMask ? value === 1 : value !== 0;
}

function nothingIn({ path, format }: MaskContents, found: readonly Found[]): PruneCompileError {
  const keys = found.slice(0, 3).map(({ key }) => key);
  return new PruneCompileError('E-MASK-EMPTY', {
    what: `${path} holds no mask`,
    facts: [
      ['format', format],
      ['holds', found.length === 0 ? 'no tensors at all' : `${found.length} tensors: ${keys.join(', ')}, …`],
      ['try', 'save the masks: keys that end in weight_mask, or { module: mask }'],
    ],
  });
}
