/**
 * The typed fields of TensorProto (float_data, int32_data, …) mean the same numbers as raw_data.
 */
import { describe, expect, test } from 'vitest';
import { readModel } from '../../src/onnx/read.js';
import type { Tensor } from '../../src/ir/tensor.js';
import { encodeModel } from '../../src/onnx/write.js';
import { failureOf } from './failure.js';
import {
  chunk,
  type Field,
  float32,
  float64,
  identity,
  initializer,
  int,
  message,
  modelOf,
  valueInfo,
  varint,
} from './wire.js';

const bytesOf = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
const packed = (...values: (number | bigint)[]) => Buffer.concat(values.map(varint));

function read(dataType: number, dims: readonly number[], ...data: Field[]): Tensor {
  const model = readModel(modelOf(identity('w', 'y'), initializer('w', dims, dataType, ...data)));
  const tensor = model.graph.values.get('w')?.initializer;
  if (tensor === undefined) throw new Error('w was not read');
  return tensor;
}

const floats = Float32Array.of(1.5, -0, Number.POSITIVE_INFINITY);
const doubles = Float64Array.of(0.1, -1e300);
const longs = BigInt64Array.of(-(2n ** 63n), -1n, 2n ** 63n - 1n);
const complex = Float32Array.of(1, 2, 3, 4);

interface Case {
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: readonly Field[];
  readonly raw: ArrayBufferView;
}

const cases: Record<string, Case> = {
  'float_data, packed': { type: 1, dims: [3], data: [chunk(4, bytesOf(floats))], raw: floats },
  'float_data, in two pieces': {
    type: 1,
    dims: [3],
    data: [chunk(4, bytesOf(floats.subarray(0, 1))), chunk(4, bytesOf(floats.subarray(1)))],
    raw: floats,
  },
  'float_data, one by one': { type: 1, dims: [3], data: [...floats].map((value) => float32(4, value)), raw: floats },
  'float_data of complex64': { type: 14, dims: [2], data: [chunk(4, bytesOf(complex))], raw: complex },
  'double_data, packed': { type: 11, dims: [2], data: [chunk(10, bytesOf(doubles))], raw: doubles },
  'double_data, one by one': {
    type: 11,
    dims: [2],
    data: [...doubles].map((value) => float64(10, value)),
    raw: doubles,
  },
  'double_data of complex128': { type: 15, dims: [1], data: [chunk(10, bytesOf(doubles))], raw: doubles },
  int32_data: {
    type: 6,
    dims: [3],
    data: [chunk(5, packed(-1, 0, 2 ** 31 - 1))],
    raw: Int32Array.of(-1, 0, 2 ** 31 - 1),
  },
  'int32_data, one by one': { type: 6, dims: [2], data: [int(5, -5), int(5, 5)], raw: Int32Array.of(-5, 5) },
  'int32_data of int8': { type: 3, dims: [2], data: [chunk(5, packed(-128, 127))], raw: Int8Array.of(-128, 127) },
  'int32_data of uint8': { type: 2, dims: [2], data: [chunk(5, packed(255, 1))], raw: Uint8Array.of(255, 1) },
  'int32_data of int16': { type: 5, dims: [2], data: [chunk(5, packed(-2, 300))], raw: Int16Array.of(-2, 300) },
  'int32_data of uint16': { type: 4, dims: [1], data: [chunk(5, packed(65535))], raw: Uint16Array.of(65535) },
  'int32_data of bool': { type: 9, dims: [3], data: [chunk(5, packed(1, 0, 1))], raw: Uint8Array.of(1, 0, 1) },
  'int32_data of float16 bits': {
    type: 10,
    dims: [2],
    data: [chunk(5, packed(0x3c00, 0xc000))],
    raw: Uint16Array.of(0x3c00, 0xc000),
  },
  'int32_data of bfloat16 bits': {
    type: 16,
    dims: [2],
    data: [chunk(5, packed(0x3f80, 0xc000))],
    raw: Uint16Array.of(0x3f80, 0xc000),
  },
  'int32_data of float8 bits': {
    type: 17,
    dims: [2],
    data: [chunk(5, packed(0x38, 0xb8))],
    raw: Uint8Array.of(0x38, 0xb8),
  },
  int64_data: { type: 7, dims: [3], data: [chunk(7, packed(...longs))], raw: longs },
  'int64_data, one by one': { type: 7, dims: [3], data: [...longs].map((value) => int(7, value)), raw: longs },
  uint64_data: {
    type: 13,
    dims: [2],
    data: [chunk(11, packed(1, 2n ** 64n - 1n))],
    raw: BigUint64Array.of(1n, 2n ** 64n - 1n),
  },
  'uint64_data of uint32': {
    type: 12,
    dims: [2],
    data: [chunk(11, packed(7, 2 ** 32 - 1))],
    raw: Uint32Array.of(7, 2 ** 32 - 1),
  },
  'no elements': { type: 1, dims: [0, 3], data: [], raw: new Uint8Array(0) },
  'a scalar': { type: 1, dims: [], data: [chunk(4, bytesOf(floats.subarray(0, 1)))], raw: floats.subarray(0, 1) },
};

describe('typed fields', () => {
  test.each(Object.entries(cases))('%s', (_, { type, dims, data, raw }) => {
    const typed = read(type, dims, ...data);
    const plain = read(type, dims, chunk(9, bytesOf(raw)));
    expect(bytesOf(typed.bytes())).toEqual(bytesOf(raw));
    expect(bytesOf(plain.bytes())).toEqual(bytesOf(raw));
    expect(typed.dims).toEqual(dims);
  });

  test('half floats as numbers', () => {
    expect([...read(10, [2], chunk(5, packed(0x3c00, 0xc000))).numbers()]).toEqual([1, -2]);
    expect([...read(16, [2], chunk(5, packed(0x3f80, 0xc000))).numbers()]).toEqual([1, -2]);
  });
});

describe('damage', () => {
  test('too few or too many bytes', () => {
    expect(failureOf(() => read(1, [3], chunk(9, bytesOf(floats.subarray(1)))))).toEqual({
      code: 'E-MODEL-INVALID',
      what: 'tensor w has 8 bytes of data where its shape needs 12',
      facts: ['where: dims [3], data type 1', 'try: export the model again: the file is damaged or was cut'],
    });
    expect(failureOf(() => read(1, [2], chunk(4, bytesOf(floats))).bytes()).what).toBe(
      'tensor w has 12 bytes of data where its shape needs 8',
    );
    expect(failureOf(() => read(7, [2]).bytes()).what).toBe('tensor w has 0 bytes of data where its shape needs 16');
  });

  test('a number that is cut off', () => {
    expect(failureOf(() => read(7, [1], chunk(7, Uint8Array.of(0xff)))?.bytes()).what).toBe(
      'tensor w has damaged data',
    );
  });

  test.each([[[-1]], [[2 ** 40, 2 ** 40]], [[2, -3]]])('dims %j', (dims) => {
    expect(failureOf(() => read(1, dims))).toMatchObject({
      code: 'E-MODEL-INVALID',
      what: 'tensor w has impossible dims',
    });
  });
});

describe('constants', () => {
  const constant = (...attributes: Field[]) => chunk(1, message(chunk(2, 'c'), chunk(4, 'Constant'), ...attributes));
  const attribute = (name: string, type: number, ...value: Field[]) =>
    chunk(5, message(chunk(1, name), ...value, int(20, type)));

  test('every form of a Constant node', () => {
    const tensor = message(int(1, 3), int(2, 1), chunk(4, bytesOf(floats)));
    const nodeOf = (...attributes: Field[]) => {
      const [node] = readModel(modelOf(constant(...attributes), identity('c', 'y'))).graph.nodes;
      if (node === undefined) throw new Error('no node');
      return node;
    };
    expect([
      ...(nodeOf(attribute('value', 4, chunk(5, tensor)))
        .tensor('value')
        ?.numbers() ?? []),
    ]).toEqual([...floats]);
    expect(nodeOf(attribute('value_float', 1, float32(2, 0.5))).float('value_float', 0)).toBe(0.5);
    expect(
      nodeOf(attribute('value_floats', 6, float32(7, 1), float32(7, 2))).attributes.get('value_floats'),
    ).toMatchObject({ kind: 'floats', value: [1, 2] });
    expect(nodeOf(attribute('value_int', 2, int(3, -1))).int('value_int', 0)).toBe(-1);
    expect(nodeOf(attribute('value_ints', 7, int(8, 4), int(8, 2n ** 63n - 1n))).ints('value_ints')).toEqual([
      4,
      Number.MAX_SAFE_INTEGER,
    ]);
    expect(nodeOf(attribute('value_string', 3, chunk(4, 'text'))).string('value_string', '')).toBe('text');
    expect(nodeOf(attribute('value_strings', 8, chunk(9, 'a'))).attributes.get('value_strings')?.kind).toBe('strings');
  });

  test('an initializer that is also a graph input stays both', () => {
    const bytes = modelOf(
      identity('w', 'y'),
      initializer('w', [3], 1, chunk(9, bytesOf(floats))),
      chunk(11, valueInfo('w', 1, [3])),
    );
    const model = readModel(bytes);
    const value = model.graph.values.get('w');
    expect([value?.isGraphInput, value?.initializer?.dims]).toEqual([true, [3]]);
    expect(Buffer.compare(encodeModel(model), bytes)).toBe(0);
  });
});
