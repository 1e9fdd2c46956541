/** Initializers of an ONNX file (being written; the signature stands). */
import { PruneCompileError } from '../../errors.js';
import type { Entry } from '../contents.js';

export function readOnnxMasks(_bytes: Uint8Array, path: string): Entry {
  throw new PruneCompileError('E-INTERNAL', { what: `cannot read ${path} yet` });
}
