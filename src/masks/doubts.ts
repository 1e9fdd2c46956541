/**
 * What a checkpoint holds beside its tensors: lists, scalars, texts and bytes. Each is known to be
 * harmless, or it is a doubt. Under the name of a layer everything that could pick channels is one,
 * but for a closed list of words (said-words.ts); without such a name only words for pruning make
 * it one. The state of training and settings have names of layers and numbers for other reasons
 * too: there numbers have to fit the layer.
 */
import { BOOL, DOUBLE, INT64, Tensor, UINT8 } from '../ir/tensor.js';
import { type Entry, FileTensor, isList } from './contents.js';
import { type KnownLayer, type KnownLayers, segmentsOf } from './known-layers.js';
import { saysScore } from './names.js';
import { encodesChannels, isPlainWord, numbersOfText, phrasesOf } from './said-texts.js';
import { aboutPlace, type Place } from './places.js';
import { saysBits, saysIndex, saysKept, saysOneChannel, saysResult } from './said-words.js';

/** Something that is not understood, and may prune. */
export interface Doubt {
  /** As the file has it: keys joined by dots. */
  readonly key: string;
  /** Its numbers; of names, their places in the list; of texts that are no numbers, the bytes. */
  readonly tensor: FileTensor;
}

export class Doubts {
  readonly found: Doubt[] = [];
  readonly #layers: KnownLayers;

  constructor(layers: KnownLayers) {
    this.#layers = layers;
  }

  /** A list that is no mask. False where its items are to be seen one by one. */
  list(list: readonly Entry[], place: Place): boolean {
    const about = aboutPlace(this.#layers, place);
    if (list.length === 0) {
      if (about.isSaid && about.layer !== undefined && saysKept(segmentsOf(place.key))) this.#add(place, [], INT64);
      return true;
    }
    if (list.every((item) => typeof item === 'string')) {
      const said = list.map(numbersOfText);
      const numbers = said.flatMap((item) => item?.numbers ?? []);
      if (said.some((item) => item?.numbers.length !== 1)) return this.#names(list, place);
      this.#numbers({ numbers, isFlags: said.every((item) => item?.isFlags === true), rows: [] }, place);
      return true;
    }
    const flat = flatten(list);
    if (flat === undefined) return false;
    this.#numbers(flat, place);
    return true;
  }

  /**
   * Numbers among other things: `['conv1', 0, 3]`, `[0, null, 3]`. One beside a name is a count.
   */
  mixed(list: readonly Entry[], place: Place): void {
    const numbers = list.filter(isNumber).map(Number);
    const { isSaid } = aboutPlace(this.#layers, place);
    if (numbers.length > 1 || (isSaid && numbers.length > 0))
      this.#numbers({ numbers, isFlags: false, rows: [] }, place);
  }

  #numbers({ numbers, isFlags, rows }: Flat, place: Place): void {
    const { layer, isSaid, isHarmless, isTraining, name } = aboutPlace(this.#layers, place);
    const isNested = rows.length > 0;
    const add = () => this.#add(place, numbers, isFlags ? BOOL : INT64);
    if (isHarmless) return;
    if (!numbers.every(Number.isSafeInteger)) {
      const isScore = layer?.extents.has(numbers.length) === true && (isSaid || saysScore(place.key));
      if (isScore && !this.#layers.isPruned(name)) this.#add(place, numbers, DOUBLE);
    } else if (isSaid ? layer !== undefined || isNested || !isTraining : layer === undefined) {
      if (
        (isSaid && numbers.every((value) => value >= 0 || layer !== undefined)) ||
        this.#isAmong(place, numbers, isFlags)
      )
        add();
    } else if (layer !== undefined) {
      const lists = isNested ? rows : [numbers];
      const isOne = isTraining
        ? lists.some((list) => picks(list, isFlags, layer))
        : isNested || mayPick(numbers, isFlags, layer);
      if (isOne) add();
    }
  }

  /** Beside a list of layers: a flag for each, or indices of all of them in a row. */
  #isAmong({ key, among = [] }: Place, numbers: readonly number[], isFlags: boolean): boolean {
    if (isFlags) return among.length === numbers.length;
    const word = segmentsOf(key).at(-1) ?? '';
    if (!saysIndex(word)) return false;
    const largest = Math.max(...among.map((name) => this.#layers.get(name)?.channels ?? 0));
    return numbers.every((value) => value >= 0 && value < largest);
  }

  /**
   * Lists by number, where layers have no names: `{ 0: [1, 3], 1: [0, 2] }` are the first two
   * layers', if each list rises and fits.
   */
  ordered(entries: ReadonlyMap<string, Entry>, place: Place): void {
    const { layer, isSaid, isHarmless, isTraining } = aboutPlace(this.#layers, place);
    if (layer !== undefined || isSaid || isHarmless || isTraining || entries.size < 2) return;
    if (![...entries.keys()].every((key, at) => key === String(at))) return;
    const lists = [...entries.values()].map((entry) => (isList(entry) ? flatten(entry) : undefined));
    const isRising = (list: Flat | undefined): list is Flat =>
      list !== undefined &&
      list.rows.length === 0 &&
      list.numbers.every((value, at) => Number.isSafeInteger(value) && value > (list.numbers[at - 1] ?? -1));
    if (!lists.every(isRising) || !this.#layers.fitInOrder(lists.map(({ numbers }) => numbers))) return;
    for (const [at, { numbers }] of lists.entries()) this.#add({ key: `${place.key}.${at}` }, numbers, INT64);
  }

  /** `isMask`: in a container of masks, where nothing else is. */
  text(text: string | Uint8Array, place: Place, isMask: boolean): void {
    const { layer, isSaid, isHarmless, isTraining } = aboutPlace(this.#layers, place);
    const bytes = () => (typeof text === 'string' ? Buffer.from(text) : text);
    const add = () => this.#add(place, [...bytes().subarray(0, MOST_SHOWN)], UINT8);
    if (isHarmless || text.length === 0) return;
    const isName = typeof text === 'string' && this.#layers.has(text);
    if (layer !== undefined && !isName && (isMask || typeof text !== 'string')) add();
    else if (typeof text !== 'string') {
      if (isSaid && !isTraining) add();
    } else {
      const said = numbersOfText(text);
      const isLone = said?.isList === false;
      if (layer !== undefined && !isName && encodesChannels(text, layer, isSaid)) add();
      else if (said !== undefined && (!isLone || isSaid)) this.#numbers({ ...said, rows: [] }, place);
      else if (layer !== undefined && !isName && isSaid && !isPlainWord(text)) add();
      else if (this.#isPhrase(text)) add();
      else if (!isLone) this.#names(text.split(/[\s,;|]+/), place);
    }
  }

  #isPhrase(text: string): boolean {
    return phrasesOf(text).some(({ name, numbers, digits }) => {
      const layer = this.#layers.get(name);
      if (layer === undefined) return false;
      return digits === '' ? picks(numbers, false, layer) : layer.extents.has(digits.length);
    });
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
    const around = aboutPlace(this.#layers, place);
    if (all.every(([name]) => /^\d+$/.test(name)) && around.layer !== undefined) {
      // By the numbers of channels.
      const isFit = around.isSaid || (isFlags && (!around.isTraining || around.layer.extents.has(all.length)));
      const isBooleans = all.every(([, value]) => typeof value === 'boolean');
      if (isFit && !around.isHarmless && numbers.every(isCount)) this.#add(place, numbers, isBooleans ? BOOL : INT64);
      return;
    }
    const isNumbered = this.#layers.isNumbered(entries);
    const isLayer = (name: string) => this.#layers.find(segmentsOf(name), isNumbered) !== undefined;
    const isOfLayers = all.every(([name]) => isLayer(name));
    for (const [name, value] of all) {
      const inner = { ...place, isNumbered, key: place.key === '' ? name : `${place.key}.${name}` };
      const { layer, isSaid, isHarmless } = aboutPlace(this.#layers, inner);
      const number = Number(value);
      if (layer === undefined || isHarmless || !isCount(number)) continue;
      const isMapped = isOfLayers || (isLayer(name) && segmentsOf(name).length > 1);
      const isFlag = typeof value === 'boolean' || (isMapped && (isFlags || !isOfLayers) && number <= 1);
      const isSaidIndex = isSaid && (number < layer.largest || saysBits(segmentsOf(inner.key)));
      // One record per channel: { layer: 'conv1', channel: 3 }.
      const isRecord = place.beside !== undefined && saysOneChannel(name) && number < layer.channels;
      if (((isMapped || isSaid) && (isFlag || isSaidIndex)) || (isRecord && typeof value !== 'boolean'))
        this.#add(inner, [number], typeof value === 'boolean' ? BOOL : INT64, []);
    }
  }

  #add({ key }: Place, numbers: readonly number[], dataType: number, dims: readonly number[] = [numbers.length]): void {
    const bytes = Tensor.fromNumbers(dataType, dims, numbers).bytes();
    this.found.push({ key, tensor: FileTensor.contiguous(dataType, dims, () => bytes) });
  }

  /**
   * Names of single channels, `conv1.weight:3`; or of layers that went, whose zeros the file has
   * not. False where other texts are among them.
   */
  #names(names: readonly string[], place: Place): boolean {
    const isChannel = (name: string) => {
      const module = /^(.+?)[.:[(]\s*\d+[\])]?$/.exec(name)?.[1];
      return module !== undefined && !this.#layers.has(name) && this.#layers.has(module);
    };
    const about = aboutPlace(this.#layers, place);
    const known = names.filter((name) => this.#layers.has(name));
    const isGone =
      about.isSaid &&
      !about.isSettings &&
      saysResult(segmentsOf(place.key)) &&
      known.length > 0 &&
      !known.every((name) => this.#layers.isPruned(name));
    if (isGone || (names.some(isChannel) && (!about.isSettings || about.isSaid)))
      this.#add(place, [...names.keys()], INT64);
    return known.length === names.length || names.some(isChannel);
  }
}

/** No more of a text than tells that there is one. */
const MOST_SHOWN = 65_536;

/**
 * Numbers under the name of a layer: flags of any number; indices differ from each other; lengths
 * of runs have the sum of what they are in. The layer's own shape is neither.
 */
function mayPick(numbers: readonly number[], isFlags: boolean, layer: KnownLayer): boolean {
  if (isFlags) return true;
  if (layer.isShape(numbers)) return false;
  const isIndices =
    new Set(numbers).size === numbers.length &&
    numbers.every((value) => value < layer.largest && -value <= layer.channels);
  return (
    isIndices || picks(numbers, isFlags, layer) || layer.extents.has(numbers.reduce((sum, value) => sum + value, 0))
  );
}

/** Amid other numbers: a flag for each channel or weight, or indices that are those of channels. */
function picks(numbers: readonly number[], isFlags: boolean, layer: KnownLayer): boolean {
  if (isFlags || numbers.every((value) => value === 0 || value === 1)) {
    if (layer.extents.has(numbers.length)) return true;
    if (isFlags) return false;
  }
  const { channels } = layer;
  return (
    numbers.length > 0 &&
    new Set(numbers).size === numbers.length &&
    numbers.every((value) => value < channels && value >= -channels)
  );
}

function isNumber(entry: Entry): entry is number | bigint | boolean {
  return typeof entry === 'number' || typeof entry === 'bigint' || typeof entry === 'boolean';
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

interface Flat {
  readonly numbers: readonly number[];
  readonly isFlags: boolean;
  /** Of lists in a list, the innermost. */
  readonly rows: readonly (readonly number[])[];
}

/** Numbers of lists in lists; undefined where anything else is among them. */
function flatten(list: readonly Entry[]): Flat | undefined {
  const rows: number[][] = [];
  let isFlags = true;
  const walk = (items: readonly Entry[]): boolean => {
    const row: number[] = [];
    rows.push(row);
    return items.every((item) => {
      if (isList(item)) return walk(item);
      if (!isNumber(item)) return false;
      isFlags &&= typeof item === 'boolean';
      row.push(Number(item));
      return true;
    });
  };
  if (!walk(list)) return undefined;
  const numbers = rows.flat();
  return numbers.length === 0 ? undefined : { numbers, isFlags, rows: list.some(isList) ? rows.slice(1) : [] };
}
