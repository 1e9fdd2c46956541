/**
 * Lists, scalars and mappings of a checkpoint that may say which channels go, in words that nobody
 * reads. What they hold and what they are keyed by tells, not what they are called: flags and
 * indices under the name of a layer, or lists of such names. Settings and histories are none of
 * these; the words of pruning make them so all the same.
 */
import { BOOL, INT64, Tensor } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap } from './contents.js';
import { type KnownLayer, type KnownLayers, segmentsOf } from './known-layers.js';
import { saysPruning } from './names.js';
import { trainingState } from './sections.js';

/** Something that is not understood, and may prune. */
export interface Doubt {
  /** As the file has it: keys joined by dots. */
  readonly key: string;
  /** Its numbers; of names, their places in the list. */
  readonly tensor: FileTensor;
}

/** Where something lies: the keys on the way, and a name that stands beside it as another key. */
export interface Place {
  readonly key: string;
  /** A name in a list, before or beside what it is the name of: `['conv1', [0, 3]]`. */
  readonly beside?: string;
  /** Whether a number on the way is the name of a layer. */
  readonly isNumbered?: boolean;
}

/** What is known of a setting or of the state of training says what a layer is, not what it lost. */
const SETTINGS =
  /^(\w*_)?(args?|arguments|config|cfg|hparams|hyper_?param(eter)?s|opts?|options|settings|meta(data)?)$/i;
/** Extents of a layer, whatever they are called. */
const GEOMETRY = /(^|_)(shape|size|dim|stride|padding|dilation|kernel|width|height|depth|axis|axes|version)s?$/i;
/** When and how much: no index of a channel. */
const SCHEDULE = /epoch|step|iter|ratio|rate|prob|milestone|schedule|sparsity|percent|amount|frequency|(^|_)last$/i;
/** What is or is not trained, and how often it was. */
const TRAINED = /^(requires_?grad|(is_?)?trainable|(is_?)?frozen|freeze|training|num_batches_tracked)$/i;
/** Nothing kept is everything gone. */
const KEPT = /kept|keep|remain|alive|active|surviv/i;

export class Doubts {
  readonly found: Doubt[] = [];
  readonly #layers: KnownLayers;

  constructor(layers: KnownLayers) {
    this.#layers = layers;
  }

  /** A list that is no mask. False where it holds more than numbers or names, which is to be seen. */
  list(list: readonly Entry[], place: Place): boolean {
    if (list.length === 0) {
      if (this.#isSaid(place) && KEPT.test(place.key) && this.#layer(place) !== undefined) this.#add(place, [], INT64);
      return true;
    }
    if (list.every((item) => typeof item === 'string')) {
      if (this.#isNames(list, place)) this.#add(place, [...list.keys()], INT64);
      return true;
    }
    const { numbers, isFlags, isNested } = flat(list);
    if (numbers === undefined) return false;
    if (numbers.every(isCount)) this.#numbers(numbers, place, isFlags, isNested);
    return true;
  }

  #numbers(numbers: readonly number[], place: Place, isFlags: boolean, isNested: boolean): void {
    const layer = this.#layer(place);
    const isIn = layer !== undefined && this.#isLayersOwn(place);
    if (this.#isSaid(place) ? isIn || !isOfTraining(place) : isIn && (isNested || says(numbers, isFlags, layer)))
      this.#add(place, numbers, isFlags ? BOOL : INT64);
  }

  /**
   * Scalars of a mapping: flags of layers, one of each, or of the channels of a layer. What else is
   * a number has no channel in it.
   */
  scalars(entries: ReadonlyMap<string, Entry>, place: Place): void {
    const all = [...entries].filter(([, value]) => isNumber(value));
    if (all.length === 0) return;
    const numbers = all.map(([, value]) => Number(value));
    const isFlags = numbers.every((value) => value === 0 || value === 1);
    const isBooleans = all.every(([, value]) => typeof value === 'boolean');
    if (all.every(([name]) => /^\d+$/.test(name)) && this.#layer(place) !== undefined) {
      // By the numbers of channels.
      if ((isFlags || this.#isSaid(place)) && numbers.every(isCount))
        this.#add(place, numbers, isBooleans ? BOOL : INT64);
      return;
    }
    const isNumbered = this.#layers.isNumbered(entries);
    const isLayer = (name: string) => this.#layers.find(segmentsOf(name), isNumbered) !== undefined;
    const isOfLayers = all.every(([name]) => isLayer(name));
    for (const [name, value] of all) {
      const inner = { ...place, isNumbered, key: place.key === '' ? name : `${place.key}.${name}` };
      const isSaid = this.#isSaid(inner);
      const layer = this.#layer(inner);
      if (layer === undefined || !this.#isLayersOwn(inner)) continue;
      const isMapped = isOfLayers || (isLayer(name) && segmentsOf(name).length > 1);
      const isFlag = typeof value === 'boolean' || (isMapped && (isFlags || !isOfLayers) && Number(value) <= 1);
      const isIndex = isSaid && isCount(Number(value)) && Number(value) < layer.largest;
      if ((isMapped || isSaid) && isCount(Number(value)) && (isFlag || isIndex))
        this.#add(inner, [Number(value)], typeof value === 'boolean' ? BOOL : INT64, []);
    }
  }

  #add({ key }: Place, numbers: readonly number[], dataType: number, dims: readonly number[] = [numbers.length]): void {
    const bytes = Tensor.fromNumbers(dataType, dims, numbers).bytes();
    this.found.push({ key, tensor: FileTensor.contiguous(dataType, dims, () => bytes) });
  }

  /** The layer that the place names. */
  #layer({ key, beside = '', isNumbered }: Place): KnownLayer | undefined {
    return this.#layers.find(segmentsOf(beside), true) ?? this.#layers.find(segmentsOf(key), isNumbered);
  }

  #isSaid({ key }: Place): boolean {
    return saysPruning(key) && !segmentsOf(key).some((word) => SCHEDULE.test(word));
  }

  /** Under the name of a layer: not a setting of it, its extents or its training. */
  #isLayersOwn(place: Place): boolean {
    if (this.#isSaid(place)) return true;
    const isOther = (word: string) => GEOMETRY.test(word) || SCHEDULE.test(word) || TRAINED.test(word);
    return !isOfTraining(place) && !segmentsOf(place.key).some(isOther);
  }

  /**
   * Names of single channels, `conv1.weight:3`; or of layers that went, whose zeros the file has
   * not.
   */
  #isNames(names: readonly string[], place: Place): boolean {
    const isChannel = (name: string) => {
      const module = /^(.+?)[.:[(]\s*\d+[\])]?$/.exec(name)?.[1];
      return module !== undefined && !this.#layers.has(name) && this.#layers.has(module);
    };
    if (names.some(isChannel)) return !isOfTraining(place) || this.#isSaid(place);
    if (!this.#isSaid(place) || isOfTraining(place)) return false;
    const known = names.filter((name) => this.#layers.has(name));
    return known.length > 0 && !known.every((name) => this.#layers.isPruned(name));
  }
}

function isOfTraining({ key }: Place): boolean {
  return segmentsOf(key).some((word) => trainingState(word) !== undefined || SETTINGS.test(word));
}

/**
 * Numbers under the name of a layer: flags of any number; indices differ from each other; lengths
 * of runs have the sum of what they are in. The layer's own shape is neither.
 */
function says(numbers: readonly number[], isFlags: boolean, layer: KnownLayer): boolean {
  if (isFlags) return true;
  if (layer.isShape(numbers)) return false;
  const isMask = numbers.every((value) => value <= 1) && layer.extents.has(numbers.length);
  const isIndices = new Set(numbers).size === numbers.length && numbers.every((value) => value < layer.largest);
  return isMask || isIndices || layer.extents.has(numbers.reduce((sum, value) => sum + value, 0));
}

function isNumber(entry: Entry): entry is number | bigint | boolean {
  return typeof entry === 'number' || typeof entry === 'bigint' || typeof entry === 'boolean';
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Numbers of lists in lists; undefined where anything else is among them. */
function flat(list: readonly Entry[]): { numbers: number[] | undefined; isFlags: boolean; isNested: boolean } {
  const numbers: number[] = [];
  let isFlags = true;
  const walk = (entry: Entry): boolean => {
    if (isList(entry)) return entry.every(walk);
    if (!isNumber(entry)) return false;
    isFlags &&= typeof entry === 'boolean';
    numbers.push(Number(entry));
    return true;
  };
  const isAll = list.every(walk) && numbers.length > 0;
  return { numbers: isAll ? numbers : undefined, isFlags, isNested: list.some(isList) };
}

/** The name of a layer in a list or a mapping, which says whose the rest is. */
export function nameBeside(entry: Entry, layers: KnownLayers): string | undefined {
  const items = isList(entry) ? entry : isMap(entry) ? [...entry.values()] : [];
  return items.find((item): item is string => typeof item === 'string' && layers.has(item));
}
