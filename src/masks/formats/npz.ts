/** npz, read and written (being written; the signatures stand). */
import { PruneCompileError } from '../../errors.js';
import type { Entry } from '../contents.js';
import type { NamedMask } from './named-mask.js';

export function readNpz(_bytes: Uint8Array, path: string): Entry {
  throw new PruneCompileError('E-INTERNAL', { what: `cannot read ${path} yet` });
}

export function writeNpz(_masks: readonly NamedMask[]): Uint8Array {
  throw new PruneCompileError('E-INTERNAL', { what: 'cannot write npz yet' });
}
