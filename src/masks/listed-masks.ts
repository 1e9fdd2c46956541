/**
 * Checkpoints keep lists of numbers for many things: losses, epochs, shapes. Some are masks, or
 * indices of what was pruned, which nobody turned into a tensor. What says that it is one is read
 * as one; where a mask has to be, anything else is an error.
 */
import { PruneCompileError } from '../errors.js';
import { INT64, Tensor, UINT8 } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap } from './contents.js';
import { isJsonMask, numbersOf } from './json-claims.js';
import { parseKey, saysPruning } from './names.js';
import { join, MASK_CONTAINERS, trainingState } from './sections.js';

/**
 * The file's contents with such lists as tensors. Throws E-MASK-FORMAT for what is under the key of
 * a mask and is none.
 */
export function withListedMasks(root: Entry, path: string): Entry {
  return new Listed(path).walk(root, '', false);
}

class Listed {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** `isMask`: it lies in a container of masks. */
  walk(entry: Entry, key: string, isMask: boolean): Entry {
    if (isMap(entry)) return isJsonMask(entry, false) ? entry : this.#map(entry, key, isMask);
    return isList(entry) ? entry.map((inner, at) => this.#element(inner, `${key}[${at}]`, isMask)) : entry;
  }

  #map(entries: ReadonlyMap<string, Entry>, at: string, isInside: boolean): Entry {
    const modules = modulesOf(entries);
    return new Map(
      [...entries].map(([name, inner]) => {
        const key = join(at, name);
        const isMask = isInside || MASK_CONTAINERS.includes(name);
        if (parseKey(name)?.part === 'mask') return [name, this.#mask(inner, key)];
        if (isMask && (inner === 0 || inner === false)) return [name, scalar(0)];
        if (!isList(inner)) return [name, this.walk(inner, key, isMask)];
        const isSaid = saysPruning(key) || modules.has(name) || modules.has(parentOf(name));
        const numbers = isMask || (isSaid && trainingState(key) === undefined) ? tensorOf(inner) : undefined;
        return [name, numbers !== undefined && (isMask || isCounts(numbers)) ? numbers : this.walk(inner, key, isMask)];
      }),
    );
  }

  /** What is under the very key of a mask. */
  #mask(entry: Entry, key: string): Entry {
    if (typeof entry === 'number' || typeof entry === 'boolean') return scalar(Number(entry));
    if (isList(entry) && !holdsTensors(entry)) {
      const numbers = tensorOf(entry);
      if (numbers === undefined) throw noMask(this.#path, key);
      return numbers;
    }
    if (typeof entry === 'string' || typeof entry === 'bigint') throw noMask(this.#path, key);
    return this.walk(entry, key, true);
  }

  #element(entry: Entry, key: string, isMask: boolean): Entry {
    const numbers = isMask && isList(entry) ? tensorOf(entry) : undefined;
    return numbers ?? this.walk(entry, key, isMask);
  }
}

/** Modules that tensors beside each other are of. */
function modulesOf(entries: ReadonlyMap<string, Entry>): ReadonlySet<string> {
  const names = [...entries].flatMap(([name, inner]) => (inner instanceof FileTensor ? [parentOf(name)] : []));
  return new Set(names.filter((module) => module !== ''));
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('.'), 0));
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
