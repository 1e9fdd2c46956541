/**
 * A file -> what it holds. The format is told by content: names say little (`.pth.tar` is no tar,
 * `.pt` may be anything). The file is read once, into one buffer, and every tensor that lies in it
 * unpacked is a view of that buffer.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import type { Entry, MaskContents, MaskFile } from './contents.js';
import { readJsonMasks } from './formats/json.js';
import { readNpy } from './formats/npy.js';
import { readNpz } from './formats/npz.js';
import { readOnnxMasks } from './formats/onnx.js';
import { isPickle, refusePlainPickle } from './formats/plain-pickle.js';
import { notMasks, overLimit } from './formats/refuse.js';
import { readSafetensors } from './formats/safetensors.js';
import { isTorchLegacy, readTorchLegacy } from './formats/torch-legacy.js';
import { isTorchZip, readTorchZip } from './formats/torch-zip.js';
import { openZip } from './formats/zip.js';
import { describeOther } from './lookalikes.js';

/**
 * 2 GiB: what Node reads in one piece (node:fs, kIoMaxLength is 2^31 - 1), and masks of 2^29
 * float32 weights.
 */
const MOST_BYTES = 2 ** 31 - 1;

const OPENING_BRACE = 0x7b;

interface Format {
  readonly name: string;
  readonly fits: (bytes: Uint8Array) => boolean;
  readonly read: (bytes: Uint8Array, path: string) => Entry;
}

/** Tried in this order. */
const FORMATS: readonly Format[] = [
  { name: 'PyTorch (legacy)', fits: isTorchLegacy, read: readTorchLegacy },
  { name: 'NumPy npy', fits: (bytes) => startsWith(bytes, '\x93NUMPY'), read: readNpy },
  { name: 'JSON', fits: isJson, read: readJsonMasks },
  { name: 'safetensors', fits: isSafetensors, read: readSafetensors },
  { name: 'Python pickle', fits: isPickle, read: refusePlainPickle },
  { name: 'ONNX', fits: isOnnx, read: readOnnxMasks },
  { name: 'safetensors', fits: isLikeSafetensors, read: readSafetensors },
];

export function readMaskFile(path: string): MaskFile {
  return readMaskBytes(readWhole(path), path);
}

/** `path` is for messages. */
export function readMaskBytes(bytes: Uint8Array, path: string): MaskFile {
  // Of what was read, not of what the path holds by then.
  return { ...contentsOf(bytes, path), sha256: createHash('sha256').update(bytes).digest('hex') };
}

function contentsOf(bytes: Uint8Array, path: string): MaskContents {
  // The second begins an archive without entries.
  if (startsWith(bytes, 'PK\x03\x04') || startsWith(bytes, 'PK\x05\x06')) return readZip(bytes, path);
  const found = FORMATS.find(({ fits }) => fits(bytes));
  if (found !== undefined) return { path, format: found.name, root: found.read(bytes, path) };
  const { is, hint } = describeOther(bytes);
  throw notMasks(path, is, hint);
}

function readZip(bytes: Uint8Array, path: string): MaskContents {
  const entries = openZip(bytes, path);
  if (isTorchZip(entries)) return { path, format: 'PyTorch (zip)', root: readTorchZip(bytes, path) };
  if (!entries.some(({ name }) => name.endsWith('.npy')))
    throw notMasks(
      path,
      'it is a zip archive, but neither of PyTorch (data.pkl) nor of NumPy (*.npy)',
      'unpack it, and give the file with the masks',
    );
  // As in files of PyTorch: damage is found now, not when a mask is asked for.
  for (const entry of entries) if (!entry.isPacked) entry.bytes();
  return { path, format: 'NumPy npz', root: readNpz(bytes, path) };
}

function readWhole(path: string): Uint8Array {
  try {
    const status = statSync(path);
    if (status.isDirectory()) throw new Error('it is a directory');
    // A pipe would be waited for, and a device never ends.
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.size > MOST_BYTES) throw overLimit(path, `it has ${status.size} bytes, and ${MOST_BYTES} can be read`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof PruneCompileError) throw error;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new PruneCompileError(missing ? 'E-INPUT-MISSING' : 'E-INPUT-UNREADABLE', {
      what: missing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}`,
      facts: [['try', 'the path of a checkpoint or of a file with masks']],
      cause: error,
    });
  }
}

function startsWith(bytes: Uint8Array, magic: string): boolean {
  return Buffer.from(bytes.subarray(0, magic.length)).toString('latin1') === magic;
}

/**
 * An object or a list, after white space and a byte order mark; all of its first bytes are text.
 */
function isJson(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 4096)).toString('latin1');
  return /^(\xef\xbb\xbf)?[\t\n\r ]*[[{]/.test(start) && /^[\t\n\r\x20-\xff]*$/.test(start.slice(0, 8));
}

/** A length in 8 bytes, below 2^32, then the header, which is JSON. */
function isSafetensors(bytes: Uint8Array): boolean {
  return isLikeSafetensors(bytes) && bytes.subarray(4, 8).every((byte) => byte === 0);
}

/** With a length that cannot be: damaged, if it is nothing else. */
function isLikeSafetensors(bytes: Uint8Array): boolean {
  return bytes[8] === OPENING_BRACE;
}

/**
 * Field 1 of ModelProto, ir_version, a small number; then another field of ModelProto, all of which
 * have numbers below 32.
 */
function isOnnx(bytes: Uint8Array): boolean {
  const [tag, version = 0, next = 0] = bytes;
  return tag === 0x08 && version > 0 && version < 0x20 && next > 0x08;
}
