/** npz: real files, archives with something else in them, bombs, damage. */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readNpz, writeNpz } from '../../src/masks/formats/npz.js';
import { writeZip } from '../../src/masks/formats/zip-writer.js';
import { writeNpyMask } from '../../src/masks/formats/npy.js';
import { failureOf } from '../onnx/failure.js';
import { checkDamage, expectTensors, mapOf, maskFileBytes, maskFiles, tensorOf } from '../support/mask-files.js';

const mask = (name: string, keep: readonly number[]) => ({ name, dims: [keep.length], keep: Uint8Array.from(keep) });
const array = (name: string) => ({ name, data: writeNpyMask(mask(name, [1, 0, 1])) });
const refusal = (bytes: Uint8Array) => {
  const { code, what, facts } = failureOf(() => readNpz(bytes, 'm.npz'));
  return `${code} ${what} ${facts[0] ?? ''}`;
};

describe('real files', () => {
  test.each(maskFiles(/^npz/))('$file: $expect', ({ file, expect: expected, tensors = {} }) => {
    const read = () => readNpz(maskFileBytes(file), file);
    if (expected === 'ok') expectTensors(mapOf(read()), tensors);
    else expect(failureOf(read).code).toBe('E-MASK-UNSAFE');
  });
});

test('names lose .npy once; folders are passed over', () => {
  const names = ['a.npy', 'b', 'c.npy.npy', 'd/e.npy'];
  const bytes = writeZip([...names.map(array), { name: 'd/', data: new Uint8Array(0) }]);
  expect([...mapOf(readNpz(bytes, 'm')).keys()]).toEqual(['a', 'b', 'c.npy', 'd/e']);
});

test.each([
  [
    'an entry that is no array',
    [array('a.npy'), { name: 'x.txt', data: Buffer.from('hello') }],
    'E-MASK-FORMAT',
    'x.txt',
  ],
  ['two arrays of one name', [array('a'), array('a.npy')], 'E-MASK-DAMAGED', 'two of its arrays are named a'],
  [
    'a damaged array, by its name',
    [{ name: 'a.npy', data: array('a').data.subarray(0, 90) }],
    'E-MASK-DAMAGED',
    'array a',
  ],
])('refuses %s', (_, contents, code, why) => {
  expect(refusal(writeZip(contents))).toContain(code);
  expect(refusal(writeZip(contents))).toContain(why);
});

test('an array is unpacked when it is asked for: a bomb costs nothing before', () => {
  const size = 64 * 2 ** 20;
  const bytes = writeNpz([{ name: 'bomb', dims: [size], keep: new Uint8Array(size) }]);
  expect(bytes.length).toBeLessThan(size / 900);
  const before = process.memoryUsage().arrayBuffers;
  const tensor = tensorOf(mapOf(readNpz(bytes, 'm')).get('bomb'));
  expect(tensor.size).toBe(size);
  // The head of an entry is unpacked from some kilobytes of it, which deflate may make a thousand
  // times longer.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size / 4);
  expect(tensor.toTensor().bytes()).toHaveLength(size);
});

test('a changed element is noticed when it is read', () => {
  const whole = writeNpz([mask('a', [1, 0, 1])]);
  const packed = deflateRawSync(array('a').data);
  const at = Buffer.from(whole).indexOf(packed) + packed.length - 1;
  for (let bit = 0; bit < 8; bit++) {
    const damaged = Uint8Array.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
    const read = () =>
      tensorOf(mapOf(readNpz(damaged, 'm')).get('a'))
        .toTensor()
        .bytes();
    // Bits after the end of the packed data mean nothing.
    let code = 'none';
    try {
      expect([...read()]).toEqual([1, 0, 1]);
    } catch {
      code = failureOf(read).code;
    }
    expect(code).toMatch(/^(none|E-MASK-DAMAGED)$/);
  }
});

test('damage', () => {
  const bytes = writeNpz([mask('a', [1, 0, 1]), mask('b/ü', [0, 0])]);
  checkDamage(bytes, (damaged) => readNpz(damaged, 'm'));
});
