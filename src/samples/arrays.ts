/**
 * Arrays of one file. The readers of mask files read them: what NumPy, PyTorch and safetensors
 * write is the same for masks and for images. `.pb` is a TensorProto, as the test sets of ONNX have.
 */
import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import type { Tensor } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap } from '../masks/contents.js';
import { readMaskBytes } from '../masks/read.js';
import { readTensorFile } from '../onnx/tensor-file.js';
import { type GivenArray, type SampleSet, unusable } from './samples.js';

/** What Node reads in one piece. */
const MOST_BYTES = 2 ** 31 - 1;

/** Every array of the file, in its order. Throws E-INPUT-… and E-INPUTS. */
export function readArrays(path: string): SampleSet {
  const bytes = readWhole(path);
  try {
    if (extname(path).toLowerCase() === '.pb') return [readTensorProto(bytes, path)];
    const found = [...arraysIn(readMaskBytes(bytes, path).root, [], path)];
    if (found.length === 0) throw unusable(path, 'there is no array in it');
    return found;
  } catch (error) {
    throw reworded(error, path);
  }
}

function readTensorProto(bytes: Uint8Array, path: string): GivenArray {
  const { name, tensor } = readTensorFile(bytes);
  if (tensor === undefined) throw unusable(path, 'it has no numbers: strings, or a type that packs several elements');
  return { name: name === '' ? undefined : name, from: path, tensor };
}

function* arraysIn(entry: Entry, keys: readonly string[], path: string): Generator<GivenArray> {
  if (entry instanceof FileTensor) {
    const name = keys.length === 0 ? undefined : keys.join('.');
    yield { name, from: name === undefined ? path : `${path}, array ${name}`, tensor: rowsOf(entry, path) };
  } else if (isMap(entry)) {
    for (const [key, value] of entry) yield* arraysIn(value, [...keys, key], path);
  } else if (isList(entry)) {
    // A list has places and no names.
    for (const value of entry) yield* arraysIn(value, keys, path);
  }
}

/** A view may say that it repeats a few bytes without end. */
function rowsOf(entry: FileTensor, path: string): Tensor {
  if (!entry.isCompact) throw unusable(path, 'an array in it repeats its elements; save it as a contiguous one');
  return entry.toTensor();
}

/** The readers speak of masks. */
function reworded(error: unknown, path: string): unknown {
  if (!(error instanceof PruneCompileError) || !/^E-(MASK|MODEL)-/.test(error.code)) return error;
  const [, why = error.what] = error.facts.find(([label]) => label === 'why') ?? [];
  return unusable(path, why, undefined, error);
}

export function readWhole(path: string): Uint8Array {
  try {
    const status = statSync(path);
    // A pipe would be waited for, and a device never ends.
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.size > MOST_BYTES) throw new Error(`it has ${status.size} bytes, and ${MOST_BYTES} can be read at once`);
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

export function unreadable(path: string, error: unknown): PruneCompileError {
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return new PruneCompileError(missing ? 'E-INPUT-MISSING' : 'E-INPUT-UNREADABLE', {
    what: missing ? `there is no file or folder ${path}` : `cannot read ${path}: ${messageOf(error)}`,
    facts: [['try', 'the path of a file with arrays, or of a folder of them']],
    cause: error,
  });
}
