/**
 * A zip archive in memory, from the format's own specification (PKWARE APPNOTE.TXT 6.3.10; section
 * numbers below). Ninety lines instead of a library, because Node already has what is difficult
 * (deflate, CRC-32), the rest is two records per entry, and the libraries, unless told otherwise,
 * write the time of day: here the same entries give the same bytes. No zip64: masks are small.
 */
import { crc32, deflateRawSync } from 'node:zlib';
import { PruneCompileError } from '../../errors.js';

export interface ZipContent {
  readonly name: string;
  readonly data: Uint8Array;
}

/** 4.4.3: version 2.0 of the specification is what deflate needs. */
const VERSION = 20;
/** 4.4.4, bit 11: names are UTF-8. */
const UTF8_NAMES = 1 << 11;
const DEFLATED = 8;
/**
 * 1 January 1980, the first day that MS-DOS knows (4.4.6): year 0, month 1, day 1 in 7, 4 and 5
 * bits.
 */
const FIRST_DAY = (1 << 5) | 1;

/** Beyond these, zip64 begins (4.3.14). */
const MOST_ENTRIES = 0xffff;
const MOST_NAME_BYTES = 0xffff;
const MOST_BYTES = 0xffffffff;

/** `comment` stands at the very end: readers pass over it. */
export function writeZip(contents: readonly ZipContent[], comment = ''): Uint8Array {
  if (contents.length >= MOST_ENTRIES) throw tooLarge(`${contents.length} entries`);
  const body: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  let directoryBytes = 0;
  for (const { name, data } of contents) {
    const nameBytes = Buffer.from(name);
    if (nameBytes.length > MOST_NAME_BYTES) throw tooLarge(`a name of ${nameBytes.length} bytes`);
    const packed = deflateRawSync(data);
    if (data.length >= MOST_BYTES || at + packed.length >= MOST_BYTES) throw tooLarge(`${at + data.length} bytes`);
    const described = describe(nameBytes.length, data, packed.length);
    // 4.3.7, local file header; no extra field.
    const local = Buffer.concat([signature(0x04034b50), described, uint16(0), nameBytes, packed]);
    // 4.3.12, central directory: the version that made it, the same again, no comment, disk 0, no
    // attributes, where it is.
    const central = [signature(0x02014b50), uint16(VERSION), described, Buffer.alloc(12), uint32(at), nameBytes];
    body.push(local);
    directory.push(...central);
    directoryBytes += central.reduce((total, { length }) => total + length, 0);
    at += local.length;
  }
  const count = uint16(contents.length);
  const said = Buffer.from(comment);
  // 4.3.16, end of central directory: disks 0 and 0, entries here and in all, size and place of the
  // directory, the comment.
  const end = [signature(0x06054b50), uint32(0), count, count, uint32(directoryBytes), uint32(at), uint16(said.length)];
  return new Uint8Array(Buffer.concat([...body, ...directory, ...end, said]));
}

/**
 * What both headers of an entry say in the same order: from the version needed to the length of the
 * name.
 */
function describe(nameLength: number, data: Uint8Array, packedLength: number): Buffer {
  return Buffer.concat([
    uint16(VERSION),
    uint16(UTF8_NAMES),
    uint16(DEFLATED),
    uint16(0),
    uint16(FIRST_DAY),
    uint32(crc32(data)),
    uint32(packedLength),
    uint32(data.length),
    uint16(nameLength),
  ]);
}

function signature(value: number): Buffer {
  return uint32(value);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function tooLarge(what: string): PruneCompileError {
  return new PruneCompileError('E-OUTPUT-UNWRITABLE', {
    what: 'the masks are too large for an npz file',
    facts: [
      ['why', `${what} need more than a plain zip archive can say`],
      ['try', 'safetensors, which has no such limit'],
    ],
  });
}
