/** safetensors, read and written (being written; the signatures stand). */
import { PruneCompileError } from '../../errors.js';
import type { Tensor } from '../../ir/tensor.js';
import type { Entry } from '../contents.js';
import type { NamedMask } from './named-mask.js';

export function readSafetensors(_bytes: Uint8Array, path: string): Entry {
  throw new PruneCompileError('E-INTERNAL', { what: `cannot read ${path} yet` });
}

export function writeSafetensors(
  _masks: readonly NamedMask[],
  _metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  throw new PruneCompileError('E-INTERNAL', { what: 'cannot write safetensors yet' });
}

export function writeSafetensorsTensors(
  _tensors: ReadonlyMap<string, Tensor>,
  _metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  throw new PruneCompileError('E-INTERNAL', { what: 'cannot write safetensors yet' });
}
