/**
 * The bytes of a pickle: fixed-width numbers, counted bytes, lines. Reading past the end is damage.
 */
import { damaged, overLimit } from './refuse.js';

/**
 * 2^8192 has 2467 digits; checkpoints hold seeds and hashes of some 128 bits. Parsing text takes
 * quadratic time.
 */
const MOST_INTEGER_BYTES = 1024;
const MOST_LINE = 4096;

export class PickleInput {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #path: string;
  #at: number;

  constructor(bytes: Uint8Array, path: string, start = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#path = path;
    this.#at = start;
  }

  get position(): number {
    return this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  /** Rounded beyond 2^53, where it is longer than any file. */
  u64(): number {
    return Number(this.#view.getBigUint64(this.#skip(8), true));
  }

  /** Floats are the one big-endian thing in a pickle. */
  f64(): number {
    return this.#view.getFloat64(this.#skip(8), false);
  }

  take(count: number): Uint8Array {
    if (count < 0) throw damaged(this.#path, `its pickle counts ${count} bytes at ${this.#at}`);
    const start = this.#skip(count);
    return this.#bytes.subarray(start, start + count);
  }

  utf8(count: number): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.take(count));
  }

  /** Two's complement, little-endian; a number while it is exact. */
  integer(count: number): number | bigint {
    if (count > MOST_INTEGER_BYTES) throw overLimit(this.#path, `its pickle has an integer of ${count} bytes`);
    const hex = Buffer.from(this.take(count).toReversed()).toString('hex');
    return narrowed(hex === '' ? 0n : BigInt.asIntN(8 * count, BigInt(`0x${hex}`)));
  }

  decimal(text: string): number | bigint {
    if (!/^[+-]?\d+$/.test(text)) throw damaged(this.#path, `its pickle has no number where one belongs`);
    return narrowed(BigInt(text.replace('+', '')));
  }

  /** Up to the next line feed, without it. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw damaged(this.#path, 'its pickle ends in the middle of a line');
    if (end - this.#at > MOST_LINE) throw overLimit(this.#path, `its pickle has a line of ${end - this.#at} bytes`);
    const text = this.utf8(end - this.#at);
    this.#at = end + 1;
    return text;
  }

  #skip(count: number): number {
    const start = this.#at;
    if (start + count > this.#bytes.length) throw damaged(this.#path, `its pickle ends before byte ${start + count}`);
    this.#at = start + count;
    return start;
  }
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
