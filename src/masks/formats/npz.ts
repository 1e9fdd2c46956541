/**
 * npz, read and written: a zip archive of npy files, each named as its array with .npy after it.
 * Format: numpy.savez. Arrays are unpacked when their elements are asked for, so that whoever knows
 * the size it expects can look at the declared one first.
 */
import type { Entry } from '../contents.js';
import { checkMasks, type NamedMask } from './named-mask.js';
import { isNpy, NPY_MAGIC_BYTES, npyTensor, readNpyHeader, writeNpyMask } from './npy.js';
import { damaged, notMasks } from './refuse.js';
import { openZip } from './zip.js';
import { writeZip } from './zip-writer.js';

const EXTENSION = '.npy';

export function readNpz(bytes: Uint8Array, path: string): Entry {
  const arrays = new Map<string, Entry>();
  for (const entry of openZip(bytes, path)) {
    // Folders, which some archivers list.
    if (entry.name.endsWith('/') && entry.sizeBytes === 0) continue;
    const head = (count: number) => entry.head(count);
    if (!isNpy(head(NPY_MAGIC_BYTES)))
      throw notMasks(path, `${entry.name} in it is not a NumPy array`, "numpy.savez('masks.npz', **masks)");
    const name = entry.name.endsWith(EXTENSION) ? entry.name.slice(0, -EXTENSION.length) : entry.name;
    if (arrays.has(name)) throw damaged(path, `two of its arrays are named ${name}`);
    const array = readNpyHeader(head, entry.sizeBytes, `${path}, array ${name}`);
    arrays.set(
      name,
      npyTensor(array, () => entry.bytes()),
    );
  }
  return arrays;
}

/** Arrays of bool, packed. */
export function writeNpz(masks: readonly NamedMask[]): Uint8Array {
  checkMasks(masks);
  const arrays = masks.map((mask) => ({ name: `${mask.name}${EXTENSION}`, data: writeNpyMask(mask) }));
  return writeZip(arrays, 'prune-compile masks');
}
