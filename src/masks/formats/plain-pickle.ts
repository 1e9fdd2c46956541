/**
 * Pickles that torch.save did not write: refused, but by the name of what they would call, if they
 * would.
 */
import type { Entry } from '../contents.js';
import { readPickle } from './pickle.js';
import { notMasks } from './refuse.js';
import { torchTable } from './torch-globals.js';

/** Protocol 2 and later begin with it. */
const PROTO = 0x80;
/**
 * Protocols 0 and 1: an empty or marked container, memorised as pickle.dump does; a global; a
 * class.
 */
const OLD_START = /^(\(?[dl]p\d|\(lp|\(dp|[\]}]q[\0-\xff]|[\]}](\.|$)|c[\w.]+\n[\w.]+\n|\(i[\w.]+\n)/;

export function isPickle(bytes: Uint8Array): boolean {
  const [first, protocol = 0xff] = bytes;
  if (first === PROTO) return protocol >= 2 && protocol <= 5;
  return OLD_START.test(Buffer.from(bytes.subarray(0, 128)).toString('latin1'));
}

export function refusePlainPickle(bytes: Uint8Array, path: string): Entry {
  const refusal = notMasks(
    path,
    'it is a Python pickle that torch.save did not write',
    'torch.save(masks, path) instead of pickle.dump, or numpy.savez(path, **masks)',
  );
  readPickle(
    bytes,
    path,
    torchTable(path, () => {
      throw refusal;
    }),
  );
  throw refusal;
}
