/** Real mask files from fixtures/real, with what their manifest says of them. */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect } from 'vitest';
import { PruneCompileError } from '../../src/errors.js';
import {
  BFLOAT16,
  BOOL,
  DOUBLE,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../../src/ir/tensor.js';
import { type Entry, FileTensor } from '../../src/masks/contents.js';
import { REAL_FILES } from './real-models.js';

export interface MaskFileRow {
  readonly file: string;
  readonly format: string;
  readonly expect: 'ok' | 'refuse';
  readonly tensors?: Readonly<Record<string, TensorRow>>;
}

interface TensorRow {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly zeros: number;
  /** Of one byte per element, row-major: whether it is not zero. */
  readonly crc32: number;
}

const FILES = `${REAL_FILES}/masks/files`;

const DTYPES: Readonly<Record<string, number>> = {
  bool: BOOL,
  uint8: UINT8,
  int8: INT8,
  int32: INT32,
  int64: INT64,
  float16: FLOAT16,
  bfloat16: BFLOAT16,
  float32: FLOAT,
  '>f4': FLOAT,
  float64: DOUBLE,
};

/** Rows of the manifest whose format matches. */
export function maskFiles(format: RegExp): MaskFileRow[] {
  const lines = readFileSync(`${FILES}/manifest.jsonl`, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as MaskFileRow).filter((row) => format.test(row.format));
}

export function maskFileBytes(file: string): Uint8Array {
  return readFileSync(`${FILES}/${file}`);
}

/**
 * `tensors` is what the manifest says that `root` has: names, dtypes, shapes, zeros and where they
 * are.
 */
export function expectTensors(root: ReadonlyMap<string, Entry>, tensors: Readonly<Record<string, TensorRow>>): void {
  expect([...root.keys()].toSorted(byText)).toEqual(Object.keys(tensors).toSorted(byText));
  for (const [name, row] of Object.entries(tensors)) {
    const tensor = tensorOf(root.get(name));
    const numbers = tensor.toTensor().numbers();
    const nonzero = new Uint8Array(numbers.length);
    for (let index = 0; index < numbers.length; index++) nonzero[index] = numbers[index] === 0 ? 0 : 1;
    const zeros = nonzero.reduce((count, value) => count - value, nonzero.length);
    const found = { dtype: tensor.dataType, shape: tensor.dims, zeros, crc32: crc32(nonzero) };
    expect(found, name).toEqual({ ...row, dtype: DTYPES[row.dtype] });
  }
}

export function mapOf(entry: Entry | undefined): ReadonlyMap<string, Entry> {
  if (!(entry instanceof Map)) throw new TypeError('not a map');
  return entry as ReadonlyMap<string, Entry>;
}

export function tensorOf(entry: Entry | undefined): FileTensor {
  if (!(entry instanceof FileTensor)) throw new TypeError('not a tensor');
  return entry;
}

/** Data types that files of masks and of narrow weights hold. */
export const NUMERIC = [
  FLOAT,
  DOUBLE,
  FLOAT16,
  BFLOAT16,
  BOOL,
  INT8,
  INT16,
  INT32,
  INT64,
  UINT8,
  UINT16,
  UINT32,
  UINT64,
] as const;

export const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/**
 * The file cut, changed and shuffled: what comes of it is tensors that can be read or one clear
 * error, and nothing is larger than `most` bytes.
 */
export function checkDamage(bytes: Uint8Array, read: (bytes: Uint8Array) => Entry, numRuns = 1200): void {
  const most = 2 * bytes.length + 4096;
  const at = fc.oneof(fc.nat(bytes.length), fc.nat(Math.min(200, bytes.length)));
  const change = fc.record({
    at,
    drop: fc.oneof(fc.constant(0), fc.nat(16), fc.nat(bytes.length)),
    insert: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constantFrom(...SPITEFUL)),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.boolean(), (changes, isInPlace) => {
      let damaged = bytes;
      for (const { at: from, drop, insert } of changes) {
        const until = from + (isInPlace ? insert.length : drop);
        damaged = Buffer.concat([damaged.subarray(0, from), insert, damaged.subarray(until)]);
      }
      expectReadOrRefused(() => readAll(read(damaged), most));
    }),
    { numRuns },
  );
}

/** Numbers that sizes are computed from, and what parsers trip over. */
const SPITEFUL = [
  Uint8Array.of(0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80),
  ...['9999999999999999', '-1', '1e9', '[[[[', '{"a":', '"', '\\', "'", '(', 'None', '__proto__', '\n'].map((text) =>
    new TextEncoder().encode(text),
  ),
];

function readAll(entry: Entry, most: number): void {
  if (entry instanceof FileTensor) {
    const bytes = entry.toTensor().bytes();
    expect(bytes.length).toBeLessThanOrEqual(most);
    entry.toTensor().numbers();
  } else if (entry instanceof Map) {
    for (const inner of (entry as ReadonlyMap<string, Entry>).values()) readAll(inner, most);
  } else if (Array.isArray(entry)) {
    for (const inner of entry as readonly Entry[]) readAll(inner, most);
  }
}

function expectReadOrRefused(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof PruneCompileError) || error.code === 'E-INTERNAL') throw error;
    expect(
      error.facts.some(([label]) => label === 'try'),
      error.message,
    ).toBe(true);
  }
}
