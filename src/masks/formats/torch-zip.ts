/**
 * Files of torch.save since PyTorch 1.6: a zip archive of one folder, whatever its name, with the
 * pickle `data.pkl`, a file `data/KEY` for each storage and, since 2.1, `byteorder`
 * (torch/serialization.py, _save and _load).
 */
import type { Entry } from '../contents.js';
import { readPickle } from './pickle.js';
import { toEntry } from './pickle-values.js';
import { damaged, notMasks, overLimit } from './refuse.js';
import { type StorageId, torchTable } from './torch-globals.js';
import { type Storage, swapped } from './torch-tensors.js';
import { openZip, type ZipEntry } from './zip.js';

const PICKLE = 'data.pkl';
/** 128 MiB, where a tensor takes some 300 bytes: a packed one could grow a thousandfold. */
const MOST_PICKLE = 2 ** 27;

export function isTorchZip(entries: readonly Pick<ZipEntry, 'name'>[]): boolean {
  return entries.some(({ name }) => name === PICKLE || name.endsWith(`/${PICKLE}`));
}

export function readTorchZip(bytes: Uint8Array, path: string): Entry {
  const entries = new Map(openZip(bytes, path).map((entry) => [entry.name, entry]));
  const pickle = [...entries.values()].find((entry) => isTorchZip([entry]));
  if (pickle === undefined)
    throw notMasks(path, `it is a zip archive without ${PICKLE}`, 'a file written by torch.save');
  const folder = pickle.name.slice(0, -PICKLE.length);
  refuseScript(entries, folder, path);
  // Now, not when a tensor is asked for: what can be read at all is right, bit for bit. Packed
  // entries wait for their time.
  for (const entry of entries.values()) if (!entry.isPacked) entry.bytes();
  if (pickle.sizeBytes > MOST_PICKLE) throw overLimit(path, `its ${PICKLE} has ${pickle.sizeBytes} bytes`);
  const storages = new Storages(entries, folder, path);
  return toEntry(
    readPickle(
      pickle.bytes(),
      path,
      torchTable(path, (id) => storages.find(id)),
    ).value,
    path,
  );
}

/**
 * torch.jit.save writes the same layout, and beside it the network's code, which its pickle refers
 * to.
 */
function refuseScript(entries: ReadonlyMap<string, ZipEntry>, folder: string, path: string): void {
  const isScript = [...entries.keys()].some(
    (name) => name === `${folder}constants.pkl` || name.startsWith(`${folder}code/`),
  );
  if (isScript)
    throw notMasks(
      path,
      'it is a TorchScript archive: a whole network, written by torch.jit.save',
      'torch.save(torch.jit.load(path).state_dict(), …)',
    );
}

class Storages {
  readonly #entries: ReadonlyMap<string, ZipEntry>;
  readonly #folder: string;
  readonly #path: string;
  readonly #isBigEndian: boolean;
  /**
   * Unpacked or swapped last: views of one storage mostly follow each other. Only one, or all would
   * be held in memory.
   */
  #last: { readonly key: string; readonly bytes: Uint8Array } | undefined;

  constructor(entries: ReadonlyMap<string, ZipEntry>, folder: string, path: string) {
    this.#entries = entries;
    this.#folder = folder;
    this.#path = path;
    const order = entries.get(`${folder}byteorder`)?.head(6);
    this.#isBigEndian = order !== undefined && Buffer.from(order).toString('latin1').trim() === 'big';
  }

  find({ type, key, sizeBytes }: StorageId): Storage {
    const entry = this.#entries.get(`${this.#folder}data/${key}`);
    if (entry === undefined) throw damaged(this.#path, `its storage ${key.slice(0, 100)} is missing`);
    if (entry.sizeBytes !== sizeBytes)
      throw damaged(this.#path, `its storage ${key} has ${entry.sizeBytes} bytes where ${sizeBytes} belong`);
    return { type, sizeBytes, load: (width) => this.#load(entry, width) };
  }

  #load(entry: ZipEntry, width: number): Uint8Array {
    const isSwapped = this.#isBigEndian && width > 1;
    if (!entry.isPacked && !isSwapped) return entry.bytes();
    const key = `${entry.name} ${isSwapped ? width : 1}`;
    if (this.#last?.key !== key) {
      this.#last = undefined;
      const bytes = entry.bytes();
      this.#last = { key, bytes: isSwapped ? swapped(bytes, width) : bytes };
    }
    return this.#last.bytes;
  }
}
