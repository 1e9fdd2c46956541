/** JSON, read and written (being written; the signatures stand). */
import { PruneCompileError } from '../../errors.js';
import type { Entry } from '../contents.js';
import type { NamedMask } from './named-mask.js';

export function readJsonMasks(_bytes: Uint8Array, path: string): Entry {
  throw new PruneCompileError('E-INTERNAL', { what: `cannot read ${path} yet` });
}

export function writeJsonMasks(_masks: readonly NamedMask[]): Uint8Array {
  throw new PruneCompileError('E-INTERNAL', { what: 'cannot write JSON yet' });
}
