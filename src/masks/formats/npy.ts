/** npy (being written; the signatures stand). */
import { PruneCompileError } from '../../errors.js';
import type { Entry } from '../contents.js';

export function readNpy(_bytes: Uint8Array, path: string): Entry {
  throw new PruneCompileError('E-INTERNAL', { what: `cannot read ${path} yet` });
}
