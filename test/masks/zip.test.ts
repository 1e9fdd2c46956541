/**
 * Zip archives: what is read, and every way in which an archive can contradict itself or the file.
 */
import { describe, expect, test } from 'vitest';
import { latin1 } from '../../fixtures/mask-files/torch-file.js';
import { zipFile, type ZipOptions } from '../../fixtures/mask-files/zip-file.js';
import { openZip } from '../../src/masks/formats/zip.js';
import { failureOf } from '../onnx/failure.js';

const PARTS = [
  { name: 'a/data.pkl', data: latin1('pickle') },
  { name: 'a/data/0', data: new Uint8Array(5000).fill(7) },
  { name: 'a/é', data: new Uint8Array() },
];

const CENTRAL = latin1('PK\x01\x02');
const END = latin1('PK\x05\x06');
const END64 = latin1('PK\x06\x06');

/** The archive with bytes changed `at` bytes after the first record of the kind. */
function patched(record: Uint8Array, at: number, bytes: readonly number[], options: ZipOptions = {}): Uint8Array {
  const file = Buffer.from(zipFile(PARTS, options));
  const start = file.indexOf(record);
  file.set(bytes, start + at);
  return file;
}

const refusal = (bytes: Uint8Array): string => {
  const { code, facts } = failureOf(() => openZip(bytes, 'a.pth').map((entry) => entry.bytes()));
  return [code, ...facts].join('\n');
};

describe('entries', () => {
  test.each<[string, ZipOptions]>([
    ['stored', {}],
    ['deflated', { deflate: true }],
    ['zip64', { zip64: true }],
    ['zip64, deflated', { zip64: true, deflate: true }],
  ])('%s', (_, options) => {
    const entries = openZip(zipFile(PARTS, options), 'a.pth');
    expect(entries.map(({ name }) => name)).toEqual(PARTS.map(({ name }) => name));
    expect(entries.map(({ sizeBytes }) => sizeBytes)).toEqual(PARTS.map(({ data }) => data.length));
    for (const [index, entry] of entries.entries()) {
      expect(Buffer.from(entry.bytes())).toEqual(Buffer.from(PARTS[index]?.data ?? []));
      expect(Buffer.from(entry.head(4))).toEqual(Buffer.from(PARTS[index]?.data.subarray(0, 4) ?? []));
    }
  });

  test('a comment may follow', () => {
    const bytes = Buffer.concat([patched(END, 20, [5]), latin1('hello')]);
    expect(openZip(bytes, 'a.pth')).toHaveLength(PARTS.length);
  });
});

describe('contradictions', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['no end record', zipFile(PARTS).subarray(0, -1), /^E-MASK-DAMAGED[^]*at its end is missing/],
    ['encrypted', patched(CENTRAL, 8, [1]), /^E-MASK-FORMAT[^]*encrypted/],
    ['another method', patched(CENTRAL, 10, [12]), /^E-MASK-FORMAT[^]*method 12/],
    ['another method than in the local header', patched(CENTRAL, 10, [8]), /^E-MASK-DAMAGED[^]*two headers/],
    ['a checksum of another header', patched(CENTRAL, 16, [1, 2, 3, 4]), /^E-MASK-DAMAGED[^]*two headers/],
    ['a size beyond the file', patched(CENTRAL, 20, [0, 0, 0, 0x7f]), /^E-MASK-DAMAGED[^]*file ends before/],
    ['another size when unpacked', patched(CENTRAL, 24, [9]), /^E-MASK-DAMAGED[^]*two headers/],
    ['a place without an entry', patched(CENTRAL, 42, [9]), /^E-MASK-DAMAGED[^]*does not lie/],
    ['a place beyond the file', patched(CENTRAL, 42, [0, 0, 0, 0x7f]), /^E-MASK-DAMAGED[^]*does not lie/],
    ['another name than in the local header', patched(CENTRAL, 46, [0x62]), /^E-MASK-DAMAGED[^]*two headers/],
    ['a name beyond the directory', patched(CENTRAL, 28, [0xff, 0xff]), /^E-MASK-DAMAGED[^]*cut off/],
    ['more entries than there are', patched(END, 10, [4]), /^E-MASK-DAMAGED[^]*entries/],
    ['a directory beyond the file', patched(END, 16, [0xff, 0xff, 0xff, 0x7f]), /^E-MASK-DAMAGED[^]*inside the file/],
    ['a zip64 directory beyond it', patched(END64, 55, [0x7f], { zip64: true }), /^E-MASK-DAMAGED[^]*inside the file/],
    ['2^63 entries', patched(END64, 39, [0x80], { zip64: true }), /^E-MASK-DAMAGED[^]*inside the file/],
    ['no zip64 record', patched(END64, 0, [0], { zip64: true }), /^E-MASK-DAMAGED[^]*zip64 record/],
    [
      'damaged deflate data',
      patched(latin1('a/data.pkl'), 34, [0xff, 0xff, 0xff], { deflate: true }),
      /^E-MASK-DAMAGED/,
    ],
  ])('%s', (_, bytes, expected) => {
    expect(refusal(bytes)).toMatch(expected);
  });

  test('two entries in one place', () => {
    const file = Buffer.from(zipFile([PARTS[0], PARTS[0]].flatMap((part) => (part === undefined ? [] : [part]))));
    const first = file.indexOf(CENTRAL);
    const second = file.indexOf(CENTRAL, first + 1);
    file.copy(file, second + 42, first + 42, first + 46);
    expect(refusal(file)).toMatch(/^E-MASK-DAMAGED[^]*overlaps/);
  });

  test('sizes that no data unpack to, and sizes that no mask needs', () => {
    const size = (bytes: readonly number[]): Uint8Array => {
      const file = Buffer.from(zipFile(PARTS, { deflate: true }));
      // 22 in the local header of the first entry, 24 in the directory.
      file.set(bytes, 22);
      file.set(bytes, file.indexOf(CENTRAL) + 24);
      return file;
    };
    expect(refusal(size([0, 0, 1, 0]))).toMatch(/^E-MASK-DAMAGED[^]*unpack to 65536/);
    expect(refusal(size([7, 0, 0, 0]))).toMatch(/^E-MASK-DAMAGED[^]*6 bytes where 7/);
    expect(refusal(size([5, 0, 0, 0]))).toMatch(/^E-MASK-DAMAGED[^]*cannot be unpacked/);
  });
});
