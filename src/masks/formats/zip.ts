/**
 * Zip archives as PyTorch and NumPy write them, from the format's own specification (PKWARE
 * APPNOTE.TXT 6.3.10; section numbers below). Libraries were weighed: yauzl answers by callbacks in
 * later turns, and reading masks is one synchronous act; fflate copies stored entries and checks no
 * CRC, and a stored storage here is a view of the file, checked. Every offset and size is compared
 * with the file before it is believed, and entries may not overlap.
 */
import { crc32, constants, inflateRawSync } from 'node:zlib';
import { overLimit, damaged, notMasks } from './refuse.js';

export interface ZipEntry {
  readonly name: string;
  /** When unpacked. */
  readonly sizeBytes: number;
  /** Stored entries are views of the file; packed ones are unpacked anew each time. */
  readonly isPacked: boolean;
  /** Checks the CRC; throws E-MASK-DAMAGED. A view of the file where the entry is stored. */
  bytes(): Uint8Array;
  /** Up to `count` first bytes, without CRC check, without unpacking everything. */
  head(count: number): Uint8Array;
}

/**
 * 2 GiB: 2^29 float32 elements, more than any single layer's mask; also what every Node can hold in
 * one buffer.
 */
const MOST_UNPACKED = 2 ** 31;
/** 8 GiB over all packed entries: float32 masks of a network of 2 * 10^9 weights. */
const MOST_UNPACKED_IN_ALL = 2 ** 33;
/**
 * Deflate's best is 258 bytes for a match of two bits (RFC 1951, 3.2.5): 1032 to 1. Block headers
 * only add input.
 */
const BEST_RATIO = 1032;

/**
 * Fixed sizes of the records (4.3.7, 4.3.12, 4.3.14 to 4.3.16) and of a comment's length field's
 * range.
 */
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END64_BYTES = 56;
const LOCATOR_BYTES = 20;
const END_BYTES = 22;
const MOST_COMMENT = 0xffff;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END64 = 0x06064b50;
const LOCATOR = 0x07064b50;
const END = 0x06054b50;

/** "See the zip64 field instead" (4.4.8 and others). */
const ABSENT = 0xffffffff;
const ENCRYPTED = 0b1;
/** Sizes and CRC follow the data; in the local header they are zero (4.4.4). */
const DESCRIPTOR = 0b1000;
const STORED = 0;
const DEFLATED = 8;

interface Located {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly headerAt: number;
  readonly dataAt: number;
}

export function openZip(bytes: Uint8Array, path: string): readonly ZipEntry[] {
  const archive = new Archive(bytes, path);
  const located = archive.locate();
  const names = new Set<string>();
  for (const { name } of located) {
    if (names.has(name)) throw damaged(path, `its archive has two entries ${name}`);
    names.add(name);
  }
  const packed = located.filter(({ method }) => method === DEFLATED);
  const total = packed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > MOST_UNPACKED_IN_ALL) throw overLimit(path, `it would unpack to ${total} bytes`);
  return located.map((entry) => makeEntry(bytes, path, entry));
}

function makeEntry(file: Uint8Array, path: string, entry: Located): ZipEntry {
  const { name, sizeBytes, dataAt, packedBytes } = entry;
  const raw = file.subarray(dataAt, dataAt + packedBytes);
  const isPacked = entry.method === DEFLATED;
  let isChecked = false;
  return {
    name,
    sizeBytes,
    isPacked,
    bytes: () => {
      const data = isPacked ? inflate(raw, sizeBytes, path, name) : raw;
      if ((isPacked || !isChecked) && crc32(data) !== entry.crc)
        throw damaged(path, `the checksum of ${name} differs: bytes were changed since it was written`);
      isChecked = true;
      return data;
    },
    head: (count) => (isPacked ? inflateHead(raw, Math.min(count, sizeBytes), path, name) : raw.subarray(0, count)),
  };
}

function inflate(raw: Uint8Array, sizeBytes: number, path: string, name: string): Uint8Array {
  // zlib wants room for at least one byte.
  const data = attempt(() => inflateRawSync(raw, { maxOutputLength: Math.max(1, sizeBytes) }), path, name);
  if (data.length !== sizeBytes)
    throw damaged(path, `${name} unpacks to ${data.length} bytes where ${sizeBytes} are declared`);
  return data;
}

function inflateHead(raw: Uint8Array, count: number, path: string, name: string): Uint8Array {
  // A byte takes at most 15 bits (RFC 1951, 3.2.7), a block's code tables less than 1 KiB.
  const enough = raw.subarray(0, 2 * count + 1024);
  return attempt(() => inflateRawSync(enough, { finishFlush: constants.Z_SYNC_FLUSH }), path, name).subarray(0, count);
}

function attempt(unpack: () => Uint8Array, path: string, name: string): Uint8Array {
  try {
    return unpack();
  } catch (error) {
    throw damaged(path, `${name} cannot be unpacked`, error);
  }
}

class Archive {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #path: string;

  constructor(bytes: Uint8Array, path: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#path = path;
  }

  locate(): readonly Located[] {
    const { count, at, end } = this.#directory();
    const entries: Located[] = [];
    let next = at;
    for (let index = 0; index < count; index++) {
      if (next + CENTRAL_BYTES > end || this.#u32(next) !== CENTRAL)
        throw this.#damage(`its archive lists ${count} entries and ends after ${index}`);
      const [nameBytes, extraBytes, commentBytes] = [this.#u16(next + 28), this.#u16(next + 30), this.#u16(next + 32)];
      const after = next + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
      if (after > end) throw this.#damage('its list of entries is cut off');
      entries.push(this.#entry(next, nameBytes, extraBytes, at));
      next = after;
    }
    let free = 0;
    for (const { name, headerAt, dataAt, packedBytes } of entries.toSorted((a, b) => a.headerAt - b.headerAt)) {
      if (headerAt < free) throw this.#damage(`the entry ${name} overlaps another one`);
      free = dataAt + packedBytes;
    }
    return entries;
  }

  /** 4.3.16: the end record is last, but for a comment that it tells the length of. */
  #directory(): { count: number; at: number; end: number } {
    const size = this.#bytes.length;
    for (let at = size - END_BYTES; at >= Math.max(0, size - END_BYTES - MOST_COMMENT); at--) {
      if (this.#u32(at) !== END || at + END_BYTES + this.#u16(at + 20) !== size) continue;
      const found = this.#directory64(at) ?? {
        count: this.#u16(at + 10),
        sizeBytes: this.#u32(at + 12),
        at: this.#u32(at + 16),
        limit: at,
      };
      const end = found.at + found.sizeBytes;
      // Each entry takes CENTRAL_BYTES at least, so that no count of a few bytes makes work.
      if (end > found.limit || found.count * CENTRAL_BYTES > found.sizeBytes)
        throw this.#damage('its list of entries does not lie inside the file');
      return { count: found.count, at: found.at, end };
    }
    throw this.#damage('it begins like a zip archive, but the list of entries at its end is missing');
  }

  /** 4.3.14 and 4.3.15; the locator stands right before the end record. */
  #directory64(endAt: number): { count: number; sizeBytes: number; at: number; limit: number } | undefined {
    const locatorAt = endAt - LOCATOR_BYTES;
    if (locatorAt < 0 || this.#u32(locatorAt) !== LOCATOR) return undefined;
    const at = this.#u64(locatorAt + 8);
    if (at + END64_BYTES > locatorAt || this.#u32(at) !== END64)
      throw this.#damage('the zip64 record at its end is missing');
    return { count: this.#u64(at + 32), sizeBytes: this.#u64(at + 40), at: this.#u64(at + 48), limit: at };
  }

  /** 4.3.12, compared with the local header, 4.3.7. */
  #entry(at: number, nameBytes: number, extraBytes: number, directoryAt: number): Located {
    const name = this.#text(at + CENTRAL_BYTES, nameBytes);
    const [flags, method] = [this.#u16(at + 8), this.#u16(at + 10)];
    if ((flags & ENCRYPTED) !== 0)
      throw notMasks(this.#path, `the entry ${name} is encrypted`, 'save it without a password');
    if (method !== STORED && method !== DEFLATED)
      throw notMasks(
        this.#path,
        `the entry ${name} is packed by method ${method}`,
        'pack it with deflate, or not at all',
      );
    const extra = this.#extra64(at + CENTRAL_BYTES + nameBytes, extraBytes);
    const sizeBytes = this.#wide(this.#u32(at + 24), extra);
    const packedBytes = this.#wide(this.#u32(at + 20), extra);
    const headerAt = this.#wide(this.#u32(at + 42), extra);
    if (headerAt + LOCAL_BYTES > directoryAt || this.#u32(headerAt) !== LOCAL)
      throw this.#damage(`the entry ${name} does not lie where the archive says`);
    const [localName, localExtra] = [this.#u16(headerAt + 26), this.#u16(headerAt + 28)];
    const dataAt = headerAt + LOCAL_BYTES + localName + localExtra;
    if (dataAt + packedBytes > directoryAt)
      throw this.#damage(`the entry ${name} has ${packedBytes} bytes and the file ends before`);
    if (this.#text(headerAt + LOCAL_BYTES, localName) !== name || this.#u16(headerAt + 8) !== method)
      throw this.#damage(`the two headers of the entry ${name} contradict each other`);
    const crc = this.#u32(at + 16);
    this.#compareLocal(headerAt, name, { crc, sizeBytes, packedBytes });
    if (method === STORED && sizeBytes !== packedBytes)
      throw this.#damage(`the entry ${name} is stored and has two sizes, ${sizeBytes} and ${packedBytes}`);
    if (sizeBytes > BEST_RATIO * packedBytes)
      throw this.#damage(`no ${packedBytes} bytes unpack to ${sizeBytes}: ${name}`);
    if (method === DEFLATED && sizeBytes > MOST_UNPACKED)
      throw overLimit(this.#path, `${name} would unpack to ${sizeBytes} bytes`);
    return { name, method, crc, packedBytes, sizeBytes, headerAt, dataAt };
  }

  #compareLocal(at: number, name: string, listed: { crc: number; sizeBytes: number; packedBytes: number }): void {
    if ((this.#u16(at + 6) & DESCRIPTOR) !== 0) return;
    const extra = this.#extra64(at + LOCAL_BYTES + this.#u16(at + 26), this.#u16(at + 28));
    const sizeBytes = this.#wide(this.#u32(at + 22), extra);
    const packedBytes = this.#wide(this.#u32(at + 18), extra);
    if (this.#u32(at + 14) !== listed.crc || sizeBytes !== listed.sizeBytes || packedBytes !== listed.packedBytes)
      throw this.#damage(`the two headers of the entry ${name} contradict each other`);
  }

  /**
   * The 64-bit numbers of the zip64 field (4.5.3), in their order; those that are not in it stay
   * where they were.
   */
  #extra64(at: number, length: number): number[] {
    for (let field = at; field + 4 <= at + length; field += 4 + this.#u16(field + 2)) {
      if (this.#u16(field) !== 1) continue;
      const bytes = this.#u16(field + 2);
      if (field + 4 + bytes > at + length) break;
      return Array.from({ length: Math.min(3, Math.floor(bytes / 8)) }, (_, index) => this.#u64(field + 4 + index * 8));
    }
    return [];
  }

  #wide(value: number, extra: number[]): number {
    return value === ABSENT ? (extra.shift() ?? value) : value;
  }

  #text(at: number, length: number): string {
    return new TextDecoder().decode(this.#bytes.subarray(at, at + length));
  }

  #u16(at: number): number {
    return at >= 0 && at + 2 <= this.#bytes.length ? this.#view.getUint16(at, true) : 0;
  }

  #u32(at: number): number {
    return at >= 0 && at + 4 <= this.#bytes.length ? this.#view.getUint32(at, true) : 0;
  }

  /**
   * Beyond 2^53 it is rounded: no file is that long, and every use is compared with the file's
   * length.
   */
  #u64(at: number): number {
    return at >= 0 && at + 8 <= this.#bytes.length ? Number(this.#view.getBigUint64(at, true)) : 0;
  }

  #damage(why: string) {
    return damaged(this.#path, why);
  }
}
