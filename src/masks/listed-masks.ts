/**
 * Checkpoints keep lists of numbers for many things: losses, epochs, shapes. Some are masks that
 * nobody turned into a tensor. What says that it is one is read as one; where a mask has to be,
 * anything else is an error. What else may prune is a doubt (doubts.ts).
 */
import { PruneCompileError } from '../errors.js';
import { INT64, Tensor, UINT8 } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { type Doubt, Doubts } from './doubts.js';
import { nameBeside, namesBeside, type Place } from './places.js';
import { isJsonMask, numbersOf } from './json-claims.js';
import { KnownLayers, type NamedShape } from './known-layers.js';
import { parseKey } from './names.js';
import { join, MASK_CONTAINERS } from './sections.js';

export interface ReadLists {
  /** The file's contents with masks that are lists as tensors. */
  readonly root: Entry;
  /** What may say which channels go, and is not understood. */
  readonly doubts: readonly Doubt[];
  readonly layers: KnownLayers;
}

/**
 * `model` are the parameters of the model. Throws E-MASK-FORMAT for what is under the key of a mask
 * and is none.
 */
export function readLists(
  { root, path }: Pick<MaskContents, 'root' | 'path'>,
  model: readonly NamedShape[],
): ReadLists {
  const layers = new KnownLayers(root, model);
  const listed = new Listed(path, layers);
  return { root: listed.walk(root, { key: '' }, false), doubts: listed.doubts, layers };
}

class Listed {
  readonly #path: string;
  readonly #layers: KnownLayers;
  readonly #doubts: Doubts;

  constructor(path: string, layers: KnownLayers) {
    this.#path = path;
    this.#layers = layers;
    this.#doubts = new Doubts(layers);
  }

  get doubts(): readonly Doubt[] {
    return this.#doubts.found;
  }

  /** `isMask`: it lies in a container of masks. */
  walk(entry: Entry, place: Place, isMask: boolean): Entry {
    if (isMap(entry)) return isJsonMask(entry, false) ? entry : this.#map(entry, place, isMask);
    if (isList(entry)) return this.#list(entry, place, isMask);
    if (typeof entry === 'string' || entry instanceof Uint8Array) this.#doubts.text(entry, place, isMask);
    return entry;
  }

  #map(entries: ReadonlyMap<string, Entry>, at: Place, isInside: boolean): Entry {
    const modules = modulesOf(entries);
    const beside = at.key === '' ? undefined : nameBeside(entries, this.#layers);
    const isNumbered = this.#layers.isNumbered(entries);
    const around: Place = {
      key: at.key,
      ...(at.beside !== undefined && { beside: at.beside }),
      ...(beside !== undefined && { beside }),
      isNumbered,
    };
    const isMaskKey = (name: string) => isInside || MASK_CONTAINERS.includes(name) || parseKey(name)?.part === 'mask';
    this.#doubts.scalars(new Map([...entries].filter(([name]) => !isMaskKey(name))), around);
    if (!isInside) this.#doubts.ordered(entries, around);
    const listed = namesBeside(entries, this.#layers);
    return new Map(
      [...entries].map(([name, inner], index) => {
        const own = at.among?.length === entries.size ? at.among[index] : undefined;
        const place: Place = {
          ...around,
          key: join(at.key, name),
          isNumbered: isNumbered || at.isNumbered === true,
          ...(own !== undefined && { beside: own }),
          ...(listed !== undefined && inner !== listed.of && { among: listed.names }),
        };
        const isMask = isInside || MASK_CONTAINERS.includes(name);
        if (parseKey(name)?.part === 'mask') return [name, this.#mask(inner, place)];
        if (isMask && (inner === 0 || inner === false)) return [name, scalar(0)];
        if (!isList(inner)) return [name, this.walk(inner, place, isMask)];
        const numbers = isMask || modules.has(name) ? tensorOf(inner) : undefined;
        const isTensor = numbers !== undefined && (isMask || isCounts(numbers));
        return [name, isTensor ? numbers : this.walk(inner, place, isMask)];
      }),
    );
  }

  #list(list: readonly Entry[], place: Place, isMask: boolean): Entry {
    // One item for each of the layers that a list beside it names.
    const names = place.among?.length === list.length && isEachOfOne(list) ? place.among : undefined;
    // In a container of masks a list of lists may be a list of masks.
    const isOfNames = list.every((item) => typeof item === 'string');
    if (names === undefined && (!isMask || isOfNames) && this.#doubts.list(list, place)) return list;
    const beside = nameBeside(list, this.#layers);
    const listed = list.every(isList) ? namesBeside(list, this.#layers) : undefined;
    const { among: _, ...own } = place;
    const around: Place = { ...own, ...(beside !== undefined && { beside, isPair: true }) };
    if (names === undefined && !isMask) this.#doubts.mixed(list, around);
    return list.map((inner, at) => {
      const key = `${place.key}[${at}]`;
      const name = names?.[at];
      const ofName = name === undefined ? {} : { beside: name, isPair: false };
      const ofNames = listed === undefined || inner === listed.of ? {} : { among: listed.names };
      return this.#element(inner, { ...around, key, ...ofName, ...ofNames }, isMask);
    });
  }

  /** What is under the very key of a mask. */
  #mask(entry: Entry, place: Place): Entry {
    const { key } = place;
    if (typeof entry === 'number' || typeof entry === 'boolean') return scalar(Number(entry));
    if (isList(entry) && !holdsTensors(entry)) {
      const numbers = tensorOf(entry);
      if (numbers === undefined) throw noMask(this.#path, key);
      return numbers;
    }
    const isOther = typeof entry === 'string' || typeof entry === 'bigint' || entry instanceof Uint8Array;
    if (isOther) throw noMask(this.#path, key);
    return this.walk(entry, place, true);
  }

  #element(entry: Entry, place: Place, isMask: boolean): Entry {
    const numbers = isMask && isList(entry) ? tensorOf(entry) : undefined;
    return numbers ?? this.walk(entry, place, isMask);
  }
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('.'), 0));
}

/** Modules that tensors beside each other are of. */
function modulesOf(entries: ReadonlyMap<string, Entry>): ReadonlySet<string> {
  const names = [...entries].flatMap(([name, inner]) => (inner instanceof FileTensor ? [parentOf(name)] : []));
  return new Set(names.filter((module) => module !== ''));
}

/** A number or a word says of a layer what it is; a list, a text of digits or a flag what it has. */
function isEachOfOne(list: readonly Entry[]): boolean {
  return list.every((item) => isList(item) || isMap(item) || typeof item === 'string' || item instanceof Uint8Array);
}

function holdsTensors(list: readonly Entry[]): boolean {
  return list.some((inner) => inner instanceof FileTensor || isMap(inner) || (isList(inner) && holdsTensors(inner)));
}

function scalar(value: number): FileTensor {
  return FileTensor.contiguous(UINT8, [], () => Uint8Array.of(value));
}

/** Whole numbers of any size stay whole numbers: what lists of indices say is no weight. */
function tensorOf(list: readonly Entry[]): FileTensor | undefined {
  const tensor = list.length === 0 ? undefined : numbersOf(list);
  if (tensor === undefined || !isCounts(tensor)) return tensor;
  const bytes = Tensor.fromNumbers(INT64, tensor.dims, tensor.toTensor().numbers()).bytes();
  return FileTensor.contiguous(INT64, tensor.dims, () => bytes);
}

function isCounts(tensor: FileTensor): boolean {
  return tensor
    .toTensor()
    .numbers()
    .every((value) => Number.isSafeInteger(value) && value >= 0);
}

function noMask(path: string, key: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', {
    what: `${path}, mask ${key}: it is neither a tensor nor a list of zeros and ones`,
    facts: [['try', 'save a tensor, or leave the key out']],
  });
}
