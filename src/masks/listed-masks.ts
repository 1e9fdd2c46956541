/**
 * Checkpoints keep lists of numbers for many things: losses, epochs, shapes. Some are masks that
 * nobody turned into a tensor. What says that it is one is read as one; where a mask has to be,
 * anything else is an error. What else may prune is a doubt (doubts.ts).
 */
import { PruneCompileError } from '../errors.js';
import { INT64, Tensor, UINT8 } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { type Doubt, Doubts, nameBeside, type Place } from './doubts.js';
import { isJsonMask, numbersOf } from './json-claims.js';
import { KnownLayers, type NamedShape } from './known-layers.js';
import { parseKey } from './names.js';
import { join, MASK_CONTAINERS } from './sections.js';

export interface ReadLists {
  /** The file's contents with masks that are lists as tensors. */
  readonly root: Entry;
  /** What may say which channels go, and is not understood. */
  readonly doubts: readonly Doubt[];
}

/**
 * `model` are the parameters of the model. Throws E-MASK-FORMAT for what is under the key of a mask
 * and is none.
 */
export function readLists(
  { root, path }: Pick<MaskContents, 'root' | 'path'>,
  model: readonly NamedShape[],
): ReadLists {
  const listed = new Listed(path, new KnownLayers(root, model));
  return { root: listed.walk(root, { key: '' }, false), doubts: listed.doubts };
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
    return isList(entry) ? this.#list(entry, place, isMask) : entry;
  }

  #map(entries: ReadonlyMap<string, Entry>, at: Place, isInside: boolean): Entry {
    const modules = modulesOf(entries);
    const beside = at.key === '' ? undefined : nameBeside(entries, this.#layers);
    const around = { ...at, ...(beside !== undefined && { beside }), isNumbered: this.#layers.isNumbered(entries) };
    const isMaskKey = (name: string) => isInside || MASK_CONTAINERS.includes(name) || parseKey(name)?.part === 'mask';
    this.#doubts.scalars(new Map([...entries].filter(([name]) => !isMaskKey(name))), around);
    return new Map(
      [...entries].map(([name, inner]) => {
        const place = { ...around, key: join(at.key, name), isNumbered: around.isNumbered || at.isNumbered === true };
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
    // In a container of masks a list of lists may be a list of masks.
    const isOfNames = list.every((item) => typeof item === 'string');
    if ((!isMask || isOfNames) && this.#doubts.list(list, place)) return list;
    const beside = nameBeside(list, this.#layers);
    const around = { ...place, ...(beside !== undefined && { beside }) };
    return list.map((inner, at) => this.#element(inner, { ...around, key: `${place.key}[${at}]` }, isMask));
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
    if (typeof entry === 'string' || typeof entry === 'bigint') throw noMask(this.#path, key);
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
