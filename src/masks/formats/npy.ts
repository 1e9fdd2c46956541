/**
 * npy: one NumPy array. Format: numpy.lib.format (NEP 1): magic, version, length of a header that
 * is a Python dict of descr, fortran_order and shape, then the elements. Object arrays hold a
 * pickle there, which is never looked at.
 */
import { PruneCompileError } from '../../errors.js';
import { BFLOAT16, elementBytes, product } from '../../ir/tensor.js';
import { type Entry, FileTensor, rowMajor } from '../contents.js';
import type { NamedMask } from './named-mask.js';
import { NUMPY_TYPES } from './numpy-types.js';
import { type Literal, parseLiteral } from './python-literal.js';
import { damaged, notMasks, overLimit } from './refuse.js';
import { shapeOf } from './shape.js';

const MAGIC = '\x93NUMPY';
/** With the two bytes of the version. */
export const NPY_MAGIC_BYTES = 8;

/**
 * As many axes as there may be (64), of as many digits as there may be (16), are less than a third
 * of it.
 */
const MOST_HEADER_BYTES = 4096;

/** V2 is how ml_dtypes, hence JAX, saves bfloat16: NumPy has no name for it. */
const DTYPES: ReadonlyMap<string, number> = new Map([...NUMPY_TYPES, ['V2', BFLOAT16]]);

const OTHERS_SAVE = "numpy.savez('masks.npz', **masks), where each mask is an array of bool";

/** An array as its header describes it. */
export interface NpyArray {
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly isFortran: boolean;
  readonly isBigEndian: boolean;
  /** Where its elements begin, in bytes from the start. */
  readonly start: number;
}

export function isNpy(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') === MAGIC;
}

export function readNpy(bytes: Uint8Array, path: string): Entry {
  const array = readNpyHeader((count) => bytes.subarray(0, count), bytes.length, path);
  return npyTensor(array, () => bytes);
}

/**
 * `head` gives the first bytes of a file of `sizeBytes`: so many, or all. It is asked for what is
 * needed, in two steps.
 */
export function readNpyHeader(head: (count: number) => Uint8Array, sizeBytes: number, path: string): NpyArray {
  if (!isNpy(head(NPY_MAGIC_BYTES))) throw damaged(path, 'it does not begin as an npy file does');
  const { text, start } = readHeaderText(head, path);
  const header = parseLiteral(text);
  if (!(header instanceof Map)) throw damaged(path, 'its header is not a Python dict');
  const fields = header as ReadonlyMap<Literal, Literal>;
  const isFortran = fields.get('fortran_order');
  const { dataType, isBigEndian } = readDescr(fields.get('descr'), path);
  const shape = fields.get('shape');
  const dims = typeof shape === 'object' && shape !== null && 'tuple' in shape ? shapeOf(shape.tuple) : undefined;
  if (dims === undefined) throw damaged(path, 'the shape in its header is not a tuple of extents');
  if (typeof isFortran !== 'boolean') throw damaged(path, 'fortran_order in its header is neither True nor False');
  const needed = start + product(dims) * (elementBytes(dataType) ?? 0);
  if (needed > sizeBytes) throw damaged(path, `its header asks for ${needed} bytes, and it has ${sizeBytes}`);
  if (needed < sizeBytes)
    throw notMasks(path, `${sizeBytes - needed} bytes follow the array: several were saved into one file`, OTHERS_SAVE);
  return { dataType, dims, isFortran, isBigEndian, start };
}

function readHeaderText(head: (count: number) => Uint8Array, path: string): { text: string; start: number } {
  const beginning = head(NPY_MAGIC_BYTES + 4);
  const major = beginning[MAGIC.length] ?? 0;
  if (major < 1 || major > 3) throw damaged(path, `it is of npy version ${major}; there are 1, 2 and 3`);
  const lengthBytes = major === 1 ? 2 : 4;
  const begin = NPY_MAGIC_BYTES + lengthBytes;
  if (beginning.length < begin) throw damaged(path, 'it ends within its header');
  const length = Buffer.from(beginning).readUIntLE(NPY_MAGIC_BYTES, lengthBytes);
  if (length > MOST_HEADER_BYTES)
    throw overLimit(path, `its header has ${length} bytes; that of a mask has some hundred`);
  const bytes = head(begin + length);
  if (bytes.length < begin + length) throw damaged(path, 'it ends within its header');
  const text = Buffer.from(bytes.subarray(begin)).toString(major === 3 ? 'utf8' : 'latin1');
  return { text, start: begin + length };
}

function readDescr(descr: Literal | undefined, path: string): { dataType: number; isBigEndian: boolean } {
  if (descr === undefined) throw damaged(path, 'its header has no descr');
  if (typeof descr !== 'string') throw notMasks(path, 'its elements are records of several fields', OTHERS_SAVE);
  if (/^[|<>=]?O/.test(descr)) {
    throw new PruneCompileError('E-MASK-UNSAFE', {
      what: `${path} holds Python objects`,
      facts: [
        ['why', 'an object array is a pickle, which calls functions when it is loaded; nothing was called'],
        ['try', OTHERS_SAVE],
      ],
    });
  }
  if (descr === 'bfloat16') return { dataType: BFLOAT16, isBigEndian: false };
  const dataType = DTYPES.get(descr.replace(/^[|<>=]/, ''));
  if (dataType !== undefined) return { dataType, isBigEndian: descr.startsWith('>') };
  throw notMasks(path, `its elements are of type ${descr}: text, complex numbers, dates or the like`, OTHERS_SAVE);
}

/** `file` gives the whole npy file. It is asked for when the elements are. */
export function npyTensor(
  { dataType, dims, isFortran, isBigEndian, start }: NpyArray,
  file: () => Uint8Array,
): FileTensor {
  const strides = isFortran ? rowMajor(dims.toReversed()).toReversed() : rowMajor(dims);
  return new FileTensor({ dataType, dims, strides, offset: 0 }, () => {
    const elements = file().subarray(start);
    return isBigEndian ? swapped(elements, elementBytes(dataType) ?? 1) : elements;
  });
}

function swapped(elements: Uint8Array, width: number): Uint8Array {
  const copy = Buffer.from(elements);
  if (width === 2) copy.swap16();
  if (width === 4) copy.swap32();
  if (width === 8) copy.swap64();
  return copy;
}

/** NumPy starts the elements at a multiple of this, for arrays that are mapped into memory. */
const ALIGNMENT = 64;

/** Version 1.0, of bool. */
export function writeNpyMask({ dims, keep }: NamedMask): Uint8Array {
  // A tuple of one element needs its comma.
  const shape = dims.length === 1 ? `(${dims.join()},)` : `(${dims.join(', ')})`;
  const dict = `{'descr': '|b1', 'fortran_order': False, 'shape': ${shape}, }`;
  const begin = NPY_MAGIC_BYTES + 2;
  const start = Math.ceil((begin + dict.length + 1) / ALIGNMENT) * ALIGNMENT;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(start - begin);
  const header = `${dict.padEnd(start - begin - 1)}\n`;
  return Buffer.concat([Buffer.from(`${MAGIC}\x01\x00`, 'latin1'), length, Buffer.from(header, 'latin1'), keep]);
}
