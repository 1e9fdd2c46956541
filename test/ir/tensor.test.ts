/** Tensors of every dtype, and slices against the naive way of cutting. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sliceTensor } from '../../src/ir/slice.js';
import {
  BFLOAT16,
  BOOL,
  DOUBLE,
  elementBytes,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  isFloating,
  isNumeric,
  product,
  Tensor,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../../src/ir/tensor.js';

describe('numbers', () => {
  test.each([
    ['FLOAT', FLOAT, [0.5, -0, 1e30], [0.5, -0, Math.fround(1e30)]],
    ['FLOAT, rounded once', FLOAT, [0.1, 1e39], [Math.fround(0.1), Infinity]],
    ['DOUBLE', DOUBLE, [0.1, -1e300], [0.1, -1e300]],
    ['FLOAT16', FLOAT16, [1, 65504, 1e-8, 2049], [1, 65504, 0, 2048]],
    ['BFLOAT16, to nearest even', BFLOAT16, [1, 257, 259, -3], [1, 256, 260, -3]],
    ['INT64', INT64, [0, -5, 2 ** 53 - 1], [0, -5, 2 ** 53 - 1]],
    ['INT32', INT32, [-(2 ** 31), 7], [-(2 ** 31), 7]],
    ['UINT8', UINT8, [0, 255], [0, 255]],
    ['BOOL', BOOL, [1, 0], [1, 0]],
  ])('%s', (_, dataType, values, expected) => {
    const tensor = Tensor.fromNumbers(dataType, [values.length], values);
    expect([...tensor.numbers()]).toEqual(expected);
    expect(tensor.sizeBytes).toBe(tensor.bytes().length);
  });

  test('INT8 and the far ends of INT64', () => {
    expect([...Tensor.of(INT8, [2], Uint8Array.of(0x80, 0x7f)).numbers()]).toEqual([-128, 127]);
    const ends = new Uint8Array(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n).buffer);
    expect([...Tensor.of(INT64, [2], ends).numbers()]).toEqual([Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  });

  test.each([
    ['INT16', INT16, Int16Array.of(-32768, 7), [-32768, 7]],
    ['UINT16', UINT16, Uint16Array.of(65535, 7), [65535, 7]],
    ['UINT32', UINT32, Uint32Array.of(2 ** 32 - 1, 7), [2 ** 32 - 1, 7]],
    ['UINT64', UINT64, BigUint64Array.of(2n ** 64n - 1n, 7n), [Number.MAX_SAFE_INTEGER, 7]],
  ])('%s is read, as in files of masks', (_, dataType, values, expected) => {
    expect([...Tensor.of(dataType, [2], new Uint8Array(values.buffer)).numbers()]).toEqual(expected);
  });

  test('a type is numeric exactly when its numbers can be had', () => {
    for (let dataType = 0; dataType < 30; dataType++) {
      const read = () => Tensor.of(dataType, [0], new Uint8Array(0)).numbers();
      if (isNumeric(dataType)) expect(read(), String(dataType)).toHaveLength(0);
      else expect(read, String(dataType)).toThrow(TypeError);
    }
  });

  test('NaN survives', () => {
    for (const dataType of [FLOAT, DOUBLE, FLOAT16, BFLOAT16])
      expect(Tensor.fromNumbers(dataType, [1], [Number.NaN]).numbers()[0], String(dataType)).toBeNaN();
  });

  test('bytes at any place of a buffer', () => {
    const buffer = Buffer.concat([Buffer.alloc(3), Buffer.from(Float32Array.of(1, 2).buffer)]);
    expect([...Tensor.of(FLOAT, [2], buffer.subarray(3)).numbers()]).toEqual([1, 2]);
  });

  test('no elements, and a scalar', () => {
    expect([...Tensor.fromNumbers(FLOAT, [0, 3], []).numbers()]).toEqual([]);
    expect(Tensor.fromNumbers(FLOAT, [], [7]).size).toBe(1);
  });

  test('types that are no numbers say so', () => {
    expect(() => Tensor.of(14, [1], new Uint8Array(8)).numbers()).toThrow(TypeError);
    expect(() => Tensor.fromNumbers(8, [1], [1])).toThrow(TypeError);
    expect([elementBytes(8), elementBytes(22), elementBytes(17)]).toEqual([undefined, undefined, 1]);
    expect([FLOAT, FLOAT16, BFLOAT16, DOUBLE, INT64].map(isFloating)).toEqual([true, true, true, true, false]);
  });
});

describe('slices', () => {
  const dtype = fc.constantFrom(FLOAT, DOUBLE, FLOAT16, INT64, INT8, 14, 15);
  const dims = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
  const cut = fc.tuple(dtype, dims).chain(([dataType, extents]) =>
    fc.record({
      dataType: fc.constant(dataType),
      extents: fc.constant(extents),
      kept: fc.tuple(
        ...extents.map((extent) =>
          fc.option(fc.subarray(Array.from({ length: extent }, (_, index) => index)), { nil: undefined }),
        ),
      ),
    }),
  );

  /** Element by element, from the definition. */
  function naive(
    bytes: Uint8Array,
    extents: readonly number[],
    kept: readonly (readonly number[] | undefined)[],
    size: number,
  ): number[] {
    const all = (extent: number) => Array.from({ length: extent }, (_, index) => index);
    let offsets = [0];
    for (const [axis, extent] of extents.entries()) {
      const indices = kept[axis] ?? all(extent);
      offsets = offsets.flatMap((offset) => indices.map((index) => offset * extent + index));
    }
    return offsets.flatMap((offset) => [...bytes.subarray(offset * size, (offset + 1) * size)]);
  }

  test('equal the naive way, twice over', () => {
    fc.assert(
      fc.property(cut, ({ dataType, extents, kept }) => {
        const size = elementBytes(dataType) ?? 0;
        const bytes = Uint8Array.from({ length: product(extents) * size }, (_, index) => (index * 37) % 251);
        const tensor = Tensor.of(dataType, extents, bytes);
        const sliced = sliceTensor(tensor, kept);
        const wanted = naive(bytes, extents, kept, size);
        expect([...sliced.bytes()]).toEqual(wanted);
        expect(sliced.dims).toEqual(extents.map((extent, axis) => kept[axis]?.length ?? extent));
        // A slice of the slice that takes everything is the slice.
        const again = sliceTensor(
          sliced,
          sliced.dims.map((extent) => Array.from({ length: extent }, (_, index) => index)),
        );
        expect([...again.bytes()]).toEqual(wanted);
      }),
      { numRuns: 500 },
    );
  });

  test('are computed when they are read, not before', () => {
    let loads = 0;
    const tensor = new Tensor(FLOAT, [2], () => {
      loads++;
      return new Uint8Array(8);
    });
    const sliced = sliceTensor(tensor, [[1]]);
    expect([loads, sliced.sizeBytes]).toEqual([0, 4]);
    sliced.bytes();
    expect(loads).toBe(1);
  });

  test('strings cannot be cut', () => {
    expect(() => sliceTensor(Tensor.of(8, [2], new Uint8Array(0)), [[0]])).toThrow('cannot be sliced');
  });
});
