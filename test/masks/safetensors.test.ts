/** safetensors: real files, every rule of the format broken on purpose, and damage. */
import { describe, expect, test } from 'vitest';
import { BOOL, FLOAT } from '../../src/ir/tensor.js';
import { readSafetensors } from '../../src/masks/formats/safetensors.js';
import { failureOf } from '../onnx/failure.js';
import { checkDamage, expectTensors, mapOf, maskFileBytes, maskFiles, tensorOf } from '../support/mask-files.js';

/** A file of this header, followed by so many bytes of data. */
function file(header: string, dataBytes = 0): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes, 1)]);
}

const one = (fields: string, dataBytes = 4) => file(`{"m":{${fields}}}`, dataBytes);
const refusal = (bytes: Uint8Array) => {
  const { code, facts } = failureOf(() => readSafetensors(bytes, 'masks.safetensors'));
  return `${code} ${facts[0] ?? ''}`;
};

describe('real files', () => {
  test.each(maskFiles(/^safetensors$/))('$file: $expect', ({ file: name, expect: expected, tensors = {} }) => {
    const read = () => readSafetensors(maskFileBytes(name), name);
    if (expected === 'ok') expectTensors(mapOf(read()), tensors);
    else expect(failureOf(read).code).toMatch(/^E-MASK-(DAMAGED|LIMIT)$/);
  });
});

/** One byte more than the format allows; pages of zeros cost nothing until they are read. */
function longHeader(): Uint8Array {
  const bytes = Buffer.alloc(8 + 100_000_001);
  bytes.writeUInt32LE(100_000_001, 0);
  return bytes;
}

describe('the format', () => {
  const good = '"dtype":"BOOL","shape":[2,2],"data_offsets":[0,4]';

  test('tensors are views of the file', () => {
    const bytes = one(good);
    const tensor = tensorOf(mapOf(readSafetensors(bytes, 'x')).get('m'));
    expect([tensor.dataType, tensor.dims, [...tensor.toTensor().numbers()]]).toEqual([BOOL, [2, 2], [1, 1, 1, 1]]);
    bytes[bytes.length - 1] = 0;
    expect([...tensor.toTensor().numbers()]).toEqual([1, 1, 1, 0]);
  });

  test('metadata is no tensor, spaces may follow the header, scalars and empty tensors have their bytes', () => {
    const scalar = '"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}';
    const empty = '"e":{"dtype":"F64","shape":[0,7],"data_offsets":[4,4]}';
    const root = mapOf(readSafetensors(file(`{"__metadata__":{"a":"b"},${empty},${scalar}}   `, 4), 'x'));
    expect([...root.keys()]).toEqual(['e', 's']);
    expect([tensorOf(root.get('s')).size, tensorOf(root.get('s')).dataType]).toEqual([1, FLOAT]);
    expect(tensorOf(root.get('e')).toTensor().bytes()).toHaveLength(0);
  });

  test('__proto__ is a name like others', () => {
    const root = mapOf(readSafetensors(file(`{"__proto__":{${good}}}`, 4), 'x'));
    expect([...root.keys()]).toEqual(['__proto__']);
  });

  const offsets = (begin: number, end: number) =>
    `"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]`;
  test.each([
    ['no length', new Uint8Array(7), 'E-MASK-DAMAGED', '8 bytes of length'],
    ['a header beyond the end', file('{}').subarray(0, 9), 'E-MASK-DAMAGED', 'has 2 bytes, and 1 are there'],
    ['a header beyond everything', Buffer.alloc(16, 0xee), 'E-MASK-DAMAGED', 'and 8 are there'],
    ['a header beyond the limit', longHeader(), 'E-MASK-LIMIT', 'safetensors allows 100000000'],
    ['a header that is no JSON', file('{"m":'), 'E-MASK-DAMAGED', 'the text ends in line 1, column 6'],
    ['a header that is a list', file('[]'), 'E-MASK-DAMAGED', 'not a JSON object'],
    ['a header nested too deep', file('{"m":[[[1]]]}'), 'E-MASK-LIMIT', 'more than 3 deep'],
    ['a name twice', file(`{"m":{${good}},"m":{${good}}}`, 4), 'E-MASK-DAMAGED', 'an object has a repeated name'],
    ['a description that is none', file('{"m":1}'), 'E-MASK-DAMAGED', 'not an object'],
    ['no dtype', one('"shape":[4],"data_offsets":[0,4]'), 'E-MASK-DAMAGED', 'dtype is missing'],
    ['floats of 8 bits', one(good.replace('BOOL', 'F8_E4M3')), 'E-MASK-FORMAT', 'of dtype F8_E4M3, which is not read'],
    ['a negative extent', one(good.replace('[2,2]', '[-2,-2]')), 'E-MASK-DAMAGED', 'not a list of extents'],
    [
      'extents beyond all numbers',
      one(good.replace('[2,2]', '[9e15,9e15,0]')),
      'E-MASK-DAMAGED',
      'not a list of extents',
    ],
    [
      'extents whose product is none',
      one(good.replace('[2,2]', '[9e15,9e15]')),
      'E-MASK-DAMAGED',
      'not a list of extents',
    ],
    ['too many axes', one(good.replace('[2,2]', `[4${',1'.repeat(64)}]`)), 'E-MASK-DAMAGED', 'not a list of extents'],
    ['one offset', one(good.replace('[0,4]', '[4]')), 'E-MASK-DAMAGED', 'no pair of offsets'],
    ['offsets in the wrong order', one(good.replace('[0,4]', '[4,0]')), 'E-MASK-DAMAGED', 'no pair of offsets'],
    ['offsets beyond the end', one(good, 3), 'E-MASK-DAMAGED', 'the data ends at 4, and 3 bytes'],
    ['a size that is not that of the shape', one(good.replace('[2,2]', '[3]')), 'E-MASK-DAMAGED', 'need 3 bytes'],
    ['bytes at the end', one(good, 5), 'E-MASK-DAMAGED', 'the last 1 bytes'],
    ['a hole', file(`{"a":{${offsets(0, 2)}},"b":{${offsets(3, 4)}}}`, 4), 'E-MASK-DAMAGED', 'bytes 2 to 3'],
    ['an overlap', file(`{"a":{${offsets(0, 3)}},"b":{${offsets(2, 4)}}}`, 4), 'E-MASK-DAMAGED', 'overlaps'],
  ])('refuses %s', (_, bytes, code, why) => {
    expect(refusal(bytes)).toContain(code);
    expect(refusal(bytes)).toContain(why);
  });

  test('damage', () => {
    const header = `{"__metadata__":{"a":"b"},"x":{${offsets(0, 3)}},"y":{"dtype":"F32","shape":[2,1],"data_offsets":[3,11]}}`;
    checkDamage(file(header, 11), (bytes) => readSafetensors(bytes, 'x'));
  });
});
