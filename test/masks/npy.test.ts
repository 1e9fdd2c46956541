/** npy: versions, orders of bytes and axes, types; and what is refused. */
import { describe, expect, test } from 'vitest';
import { BFLOAT16, BOOL, DOUBLE, FLOAT, INT16, UINT32, UINT64 } from '../../src/ir/tensor.js';
import { readNpy } from '../../src/masks/formats/npy.js';
import { parseLiteral } from '../../src/masks/formats/python-literal.js';
import { failureOf } from '../onnx/failure.js';
import { checkDamage, expectTensors, maskFileBytes, maskFiles, tensorOf } from '../support/mask-files.js';

function npy(header: string, data: ArrayBufferView, version = 1): Uint8Array {
  const text = Buffer.from(`${header}\n`, version === 3 ? 'utf8' : 'latin1');
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(text.length, 0, length.length);
  const elements = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.of(version, 0), length, text, elements]);
}

const dict = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

const bytes = Uint8Array.of(0, 1, 2, 3, 4, 5);
const refusal = (file: Uint8Array) => {
  const { code, what, facts } = failureOf(() => readNpy(file, 'm.npy'));
  return `${code} ${what} ${facts[0] ?? ''}`;
};

test.each(maskFiles(/^npy$/))('$file', ({ file, tensors = {} }) => {
  expectTensors(new Map([['', readNpy(maskFileBytes(file), file)]]), tensors);
});

describe('the format', () => {
  test.each([1, 2, 3])('version %i', (version) => {
    const tensor = tensorOf(readNpy(npy(dict('|b1', '(2, 3)'), Uint8Array.of(1, 0, 1, 0, 1, 1), version), 'm'));
    expect([tensor.dataType, tensor.dims, [...tensor.toTensor().numbers()]]).toEqual([
      BOOL,
      [2, 3],
      [1, 0, 1, 0, 1, 1],
    ]);
  });

  test.each([
    ['<f8', DOUBLE, Float64Array.of(1, -2.5), [1, -2.5]],
    ['=f4', FLOAT, Float32Array.of(1, -2.5), [1, -2.5]],
    ['>f4', FLOAT, Uint8Array.of(0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0), [1, -2.5]],
    ['>i2', INT16, Uint8Array.of(0xff, 0xfe, 0, 1), [-2, 1]],
    ['<u4', UINT32, Uint32Array.of(2 ** 32 - 1, 1), [2 ** 32 - 1, 1]],
    ['>u8', UINT64, Buffer.from('00000000000001000000000000000007', 'hex'), [256, 7]],
    ['<V2', BFLOAT16, Uint8Array.of(0x80, 0x3f, 0x20, 0xc0), [1, -2.5]],
    ['bfloat16', BFLOAT16, Uint8Array.of(0x80, 0x3f, 0x20, 0xc0), [1, -2.5]],
  ])('%s', (descr, dataType, data, numbers) => {
    const tensor = tensorOf(readNpy(npy(dict(descr, '(2,)'), data), 'm'));
    expect([tensor.dataType, [...tensor.toTensor().numbers()]]).toEqual([dataType, numbers]);
  });

  test('Fortran order: the first axis runs fastest', () => {
    const tensor = tensorOf(readNpy(npy(dict('|u1', '(2, 3)', 'True'), bytes), 'm'));
    expect([tensor.dims, [...tensor.toTensor().numbers()]]).toEqual([
      [2, 3],
      [0, 2, 4, 1, 3, 5],
    ]);
  });

  test('scalars, no elements, and what else Python prints', () => {
    expect(tensorOf(readNpy(npy(dict('|u1', '()'), bytes.subarray(0, 1)), 'm')).dims).toEqual([]);
    expect(tensorOf(readNpy(npy(dict('|u1', '(0, 5)'), bytes.subarray(0, 0)), 'm')).size).toBe(0);
    const python2 = '{"shape": (2L, 3L),"fortran_order":False,"descr":"|u1"}';
    expect(tensorOf(readNpy(npy(python2, bytes), 'm')).dims).toEqual([2, 3]);
  });

  test.each([
    ['other beginnings', Buffer.from('NUMPY'), 'E-MASK-DAMAGED', 'does not begin as an npy file'],
    ['other versions', npy(dict('|u1', '(6,)'), bytes, 4), 'E-MASK-DAMAGED', 'npy version 4'],
    ['half a length', npy('', bytes, 2).subarray(0, 11), 'E-MASK-DAMAGED', 'within its header'],
    ['half a header', npy(dict('|u1', '(6,)'), bytes).subarray(0, 40), 'E-MASK-DAMAGED', 'within its header'],
    ['a huge header', npy(' '.repeat(5000), bytes), 'E-MASK-LIMIT', 'header has 5001 bytes'],
    ['a header that is no dict', npy('[1, 2]', bytes), 'E-MASK-DAMAGED', 'not a Python dict'],
    ['a header that calls', npy(`{'descr': eval('1')}`, bytes), 'E-MASK-DAMAGED', 'not a Python dict'],
    ['no descr', npy(`{'shape': (6,)}`, bytes), 'E-MASK-DAMAGED', 'no descr'],
    ['objects', npy(dict('|O', '(6,)'), bytes), 'E-MASK-UNSAFE', 'nothing was called'],
    ['records', npy(`{'descr': [('a', '|u1')], 'shape': (6,)}`, bytes), 'E-MASK-FORMAT', 'records'],
    ['text', npy(dict('<U6', '(6,)'), bytes), 'E-MASK-FORMAT', 'of type <U6'],
    ['complex numbers', npy(dict('<c8', '(6,)'), bytes), 'E-MASK-FORMAT', 'of type <c8'],
    ['a shape that is a list', npy(dict('|u1', '[6]'), bytes), 'E-MASK-DAMAGED', 'not a tuple of extents'],
    ['a shape of True', npy(dict('|u1', '(True,)'), bytes), 'E-MASK-DAMAGED', 'not a tuple of extents'],
    ['a huge shape', npy(dict('|u1', '(99999999999999999999,)'), bytes), 'E-MASK-DAMAGED', 'not a tuple of extents'],
    ['an order that is neither', npy(dict('|u1', '(6,)', '1'), bytes), 'E-MASK-DAMAGED', 'neither True nor False'],
    ['too few bytes', npy(dict('|u1', '(1000000000000,)'), bytes), 'E-MASK-DAMAGED', 'asks for 1000000000'],
    ['several arrays', npy(dict('|u1', '(4,)'), bytes), 'E-MASK-FORMAT', '2 bytes follow the array'],
  ])('refuses %s', (_, file, code, why) => {
    expect(refusal(file)).toContain(code);
    expect(refusal(file)).toContain(why);
  });

  test('damage', () => {
    for (const file of [npy(dict('|u1', '(2, 3)', 'True'), bytes), npy(dict('>f4', '(2, 3)'), new Float32Array(6), 2)])
      checkDamage(file, (damaged) => readNpy(damaged, 'm'), 600);
  });
});

test('literals: Python prints them, and nothing else is one', () => {
  const value = parseLiteral(` {'a': (1, -2L), "b's": [True, None, ()], 'c\\'d': (3), 'e': {}} \n`);
  expect(value).toEqual(
    new Map<string, unknown>([
      ['a', { tuple: [1, -2] }],
      ["b's", [true, null, { tuple: [] }]],
      ["c'd", 3],
      ['e', new Map()],
    ]),
  );
  const others = [
    '',
    '1 2',
    '(1 2)',
    '[1',
    '{1}',
    '{1: 2, 1: 3}',
    '(1,,)',
    ',',
    '1x',
    'Trues',
    '"a',
    '[,]',
    '['.repeat(99),
  ];
  expect(others.filter((text) => parseLiteral(text) !== undefined)).toEqual([]);
});
