/**
 * Files of torch.save before PyTorch 1.6 (and of `_use_new_zipfile_serialization=False`): five
 * pickles one after another, a magic number, a version, the writer's system, the object and the
 * keys of its storages, then each storage: its number of elements in 8 bytes and its elements,
 * little-endian on every machine (torch/serialization.py, _legacy_save).
 */
import type { Entry } from '../contents.js';
import { readPickle } from './pickle.js';
import { List, toEntry, Tuple, type Value } from './pickle-values.js';
import { damaged, notMasks } from './refuse.js';
import { type StorageId, torchTable } from './torch-globals.js';
import { isCount, type Storage, type StorageType } from './torch-tensors.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
const COUNT_BYTES = 8;
/**
 * The longest pickle of the magic number: a protocol 4 header and frame, and in protocol 0 its 24
 * digits.
 */
const MOST_MAGIC_BYTES = 32;
const MAGIC_BYTES = '6cfc9c46f9206aa85019';

export function isTorchLegacy(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, MOST_MAGIC_BYTES));
  return start.toString('hex').includes(MAGIC_BYTES) || start.toString('latin1').includes(MAGIC.toString());
}

export function readTorchLegacy(bytes: Uint8Array, path: string): Entry {
  const storages = new Storages(bytes, path);
  const table = torchTable(path, (id) => storages.find(id));
  let at = 0;
  const next = (): Value => {
    const { value, end } = readPickle(bytes, path, table, at);
    at = end;
    return value;
  };
  if (next() !== MAGIC) throw damaged(path, 'it begins like a PyTorch file and its magic number is another one');
  const version = next();
  if (version !== VERSION)
    throw notMasks(path, `it is not of version ${VERSION} of PyTorch's old format`, 'save it again with torch.save');
  // The writer's byte order and sizes of integers, of no consequence here.
  next();
  const root = next();
  storages.place(next(), at);
  return toEntry(root, path);
}

interface Placed {
  readonly type: StorageType;
  readonly sizeBytes: number;
  /** Undefined until the keys are read, which follow the tensors. */
  start: number | undefined;
}

class Storages {
  readonly #bytes: Uint8Array;
  readonly #path: string;
  readonly #placed = new Map<string, Placed>();

  constructor(bytes: Uint8Array, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  find({ type, key, sizeBytes, view }: StorageId): Storage {
    const known = this.#placed.get(key);
    if (known !== undefined && (known.sizeBytes !== sizeBytes || known.type.dataType !== type.dataType))
      throw damaged(this.#path, `its storage ${key.slice(0, 100)} has two sizes or two types`);
    const placed = known ?? { type, sizeBytes, start: undefined };
    this.#placed.set(key, placed);
    const window = this.#window(placed, view);
    return { type, sizeBytes: window.sizeBytes, load: () => this.#load(placed, window) };
  }

  /** A storage that is a part of another: (its key, where it begins, how many elements). */
  #window({ type, sizeBytes }: Placed, view: Value): { from: number; sizeBytes: number } {
    if (view === null) return { from: 0, sizeBytes };
    const [, offset, count] = view instanceof Tuple ? view.items : [];
    if (!isCount(offset) || !isCount(count) || type.bytesOf(offset + count) > sizeBytes)
      throw damaged(this.#path, 'a storage in it is a part of another one and does not lie inside it');
    return { from: type.bytesOf(offset), sizeBytes: type.bytesOf(count) };
  }

  #load({ start = 0 }: Placed, { from, sizeBytes }: { from: number; sizeBytes: number }): Uint8Array {
    return this.#bytes.subarray(start + from, start + from + sizeBytes);
  }

  place(keys: Value, start: number): void {
    if (!(keys instanceof List)) throw damaged(this.#path, 'the list of its storages is missing');
    let at = start;
    for (const key of keys.items) {
      const placed = typeof key === 'string' ? this.#placed.get(key) : undefined;
      if (placed === undefined || placed.start !== undefined)
        throw damaged(this.#path, 'it lists a storage that no tensor has, or lists it twice');
      const from = at + COUNT_BYTES;
      const end = from + placed.sizeBytes;
      if (end > this.#bytes.length) throw damaged(this.#path, `its last storages are cut off: byte ${end} is missing`);
      const count = Number(new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at).getBigUint64(0, true));
      if (placed.type.bytesOf(count) !== placed.sizeBytes)
        throw damaged(this.#path, `a storage has ${count} elements and its tensors know another number`);
      placed.start = from;
      at = end;
    }
    const isMissing = [...this.#placed.values()].some((placed) => placed.start === undefined);
    if (isMissing) throw damaged(this.#path, 'a tensor in it has a storage that is not listed');
  }
}
