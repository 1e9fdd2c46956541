/**
 * safetensors, read and written. Format: huggingface/safetensors, README, section Format: eight
 * bytes with the length of a JSON header, the header, one buffer of little-endian, row-major
 * tensors that covers the rest of the file without holes.
 */
import { PruneCompileError } from '../../errors.js';
import {
  BFLOAT16,
  BOOL,
  DOUBLE,
  elementBytes,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  product,
  Tensor,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../../ir/tensor.js';
import { type Entry, FileTensor } from '../contents.js';
import { parseJson } from './json-text.js';
import { checkMasks, type NamedMask } from './named-mask.js';
import { damaged, notMasks, overLimit } from './refuse.js';
import { shapeOf } from './shape.js';

const DTYPES: ReadonlyMap<string, number> = new Map([
  ['F64', DOUBLE],
  ['F32', FLOAT],
  ['F16', FLOAT16],
  ['BF16', BFLOAT16],
  ['I64', INT64],
  ['I32', INT32],
  ['I16', INT16],
  ['I8', INT8],
  ['U64', UINT64],
  ['U32', UINT32],
  ['U16', UINT16],
  ['U8', UINT8],
  ['BOOL', BOOL],
]);
const DTYPE_NAMES: ReadonlyMap<number, string> = new Map([...DTYPES].map(([name, dataType]) => [dataType, name]));

/** Little-endian, unsigned, 64 bits. */
const LENGTH_BYTES = 8;
/** The format's own limit. */
const MOST_HEADER_BYTES = 100_000_000;
/** Tensors lie two levels deep: header, tensor, its list of extents. */
const HEADER_DEPTH = 3;
/**
 * A tensor has at least six strings and three lists and objects: 200,000 tensors, where large
 * networks have 2,000.
 */
const MOST_HEADER_PARTS = 2_000_000;

const SPACE = 0x20;

const METADATA = '__metadata__';

interface Placed {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

export function readSafetensors(bytes: Uint8Array, path: string): Entry {
  const header = readHeader(bytes, path);
  const buffer = plainView(bytes, LENGTH_BYTES + header.length);
  const tensors = new Map<string, Entry>();
  const places: Placed[] = [];
  for (const [name, described] of header.entries) {
    if (name === METADATA) continue;
    const { tensor, place } = readEntry(name, described, buffer, path);
    tensors.set(name, tensor);
    places.push(place);
  }
  checkCover(places, buffer.length, path);
  return tensors;
}

function readHeader(bytes: Uint8Array, path: string): { length: number; entries: ReadonlyMap<string, Entry> } {
  if (bytes.length < LENGTH_BYTES)
    throw damaged(path, `a safetensors file begins with 8 bytes of length, and this one has ${bytes.length} bytes`);
  const exact = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const length = Number(exact);
  if (LENGTH_BYTES + length > bytes.length)
    throw damaged(path, `it says its header has ${exact} bytes, and ${bytes.length - LENGTH_BYTES} are there`);
  if (length > MOST_HEADER_BYTES)
    throw overLimit(path, `it says its header has ${length} bytes; safetensors allows ${MOST_HEADER_BYTES}`);
  const text = plainView(bytes, LENGTH_BYTES).subarray(0, length);
  const parsed = parseJson(text, { depth: HEADER_DEPTH, parts: MOST_HEADER_PARTS });
  if ('kind' in parsed) {
    if (parsed.kind === 'limit') throw overLimit(path, `of its header: ${parsed.why}`);
    throw damaged(path, `its header cannot be read: ${parsed.why}`);
  }
  if (!(parsed.value instanceof Map)) throw damaged(path, 'its header is not a JSON object');
  return { length, entries: parsed.value as ReadonlyMap<string, Entry> };
}

function readEntry(
  name: string,
  described: Entry,
  buffer: Uint8Array,
  path: string,
): { tensor: FileTensor; place: Placed } {
  const fault = (why: string) => damaged(path, `of tensor ${name}, ${why}`);
  if (!(described instanceof Map)) throw fault('the description is not an object');
  const fields = described as ReadonlyMap<string, Entry>;
  const dtype = fields.get('dtype');
  if (typeof dtype !== 'string') throw fault('the dtype is missing');
  const dataType = DTYPES.get(dtype);
  if (dataType === undefined)
    throw notMasks(
      path,
      `tensor ${name} is of dtype ${dtype}, which is not read: of floats F64, F32, F16 and BF16 are, of 8 bits none`,
      'save the masks as BOOL or U8, alone',
    );
  const dims = shapeOf(fields.get('shape'));
  if (dims === undefined) throw fault('the shape is not a list of extents');
  const offsets = fields.get('data_offsets');
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as Entry[]) : [];
  if (!isOffset(begin) || !isOffset(end) || begin > end) throw fault('the data_offsets are no pair of offsets');
  if (end > buffer.length) throw fault(`the data ends at ${end}, and ${buffer.length} bytes of data are there`);
  const needed = product(dims) * (elementBytes(dataType) ?? 0);
  if (needed !== end - begin) throw fault(`shape and dtype need ${needed} bytes, and the data has ${end - begin}`);
  const tensor = FileTensor.contiguous(dataType, dims, () => buffer.subarray(begin, end));
  return { tensor, place: { name, begin, end } };
}

function isOffset(value: Entry | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** No byte of the buffer belongs to two tensors or to none. */
function checkCover(places: readonly Placed[], size: number, path: string): void {
  let covered = 0;
  for (const { name, begin, end } of places.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) throw damaged(path, `the data of tensor ${name} overlaps that of another`);
    if (begin > covered) throw damaged(path, `bytes ${covered} to ${begin} of its data belong to no tensor`);
    covered = end;
  }
  if (covered < size) throw damaged(path, `the last ${size - covered} bytes of its data belong to no tensor`);
}

/** Without Buffer's slow subarray. */
function plainView({ buffer, byteOffset, byteLength }: Uint8Array, from: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset + from, byteLength - from);
}

export function writeSafetensors(
  masks: readonly NamedMask[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  checkMasks(masks);
  const tensors = masks.map(({ name, dims, keep }) => [name, Tensor.of(BOOL, dims, keep)] as const);
  return writeSafetensorsTensors(new Map(tensors), metadata);
}

/** Any dtype of the format. The same tensors in the same order give the same bytes. */
export function writeSafetensorsTensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const described: string[] = [];
  if (Object.keys(metadata).length > 0) described.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  const chunks: Uint8Array[] = [];
  let begin = 0;
  // Wide elements first: every tensor is aligned then, as the reference writer has it and others
  // rely on.
  const width = (tensor: Tensor) => elementBytes(tensor.dataType) ?? 0;
  for (const [name, tensor] of [...tensors].toSorted(([, a], [, b]) => width(b) - width(a))) {
    const dtype = DTYPE_NAMES.get(tensor.dataType);
    if (dtype === undefined) throw unwritable(`of tensor ${name}, data type ${tensor.dataType} has no name there`);
    if (name === METADATA) throw unwritable(`a tensor is named ${METADATA}, which is reserved`);
    const bytes = tensor.bytes();
    const end = begin + bytes.length;
    // Not an object with names for keys: it would put numbers first and lose __proto__.
    const description = { dtype, shape: tensor.dims, data_offsets: [begin, end] };
    described.push(`${JSON.stringify(name)}:${JSON.stringify(description)}`);
    chunks.push(bytes);
    begin = end;
  }
  const text = Buffer.from(`{${described.join(',')}}`);
  // Spaces may follow the header: they align the data.
  const padded = Math.ceil(text.length / LENGTH_BYTES) * LENGTH_BYTES;
  const data = LENGTH_BYTES + padded;
  const file = new Uint8Array(data + begin).fill(SPACE, LENGTH_BYTES, data);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(text, LENGTH_BYTES);
  let at = data;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

function unwritable(why: string): PruneCompileError {
  return new PruneCompileError('E-OUTPUT-UNWRITABLE', {
    what: 'the tensors cannot be written as safetensors',
    facts: [
      ['why', why],
      ['try', 'another name or another format'],
    ],
  });
}
