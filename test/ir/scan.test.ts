/** The one look at every element of a tensor, against a plain one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scanTensor } from '../../src/ir/scan.js';
import { DOUBLE, FLOAT, FLOAT16, INT64, product, Tensor } from '../../src/ir/tensor.js';

const SPECIAL = [0, -0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -149, 3.4e38];

function plainly(tensor: Tensor) {
  const values = tensor.numbers();
  const taps = product(tensor.dims.slice(2));
  const kernels = taps === 0 ? 0 : values.length / taps;
  return {
    zeros: values.filter((value) => value === 0).length,
    hasNaN: values.some((value) => Number.isNaN(value)),
    hasInfinity: values.some((value) => Math.abs(value) === Number.POSITIVE_INFINITY),
    connected: Array.from({ length: kernels }, (_, kernel) =>
      values.slice(kernel * taps, (kernel + 1) * taps).some((value) => value !== 0),
    ),
  };
}

function scanned(tensor: Tensor) {
  const { connected, ...others } = scanTensor(tensor);
  const kernels = plainly(tensor).connected.length;
  const bit = (_: unknown, kernel: number) => (((connected[kernel >>> 5] ?? 0) >>> (kernel & 31)) & 1) === 1;
  return { ...others, connected: Array.from({ length: kernels }, bit) };
}

const dims = fc.oneof(
  fc.tuple(fc.nat(40)),
  fc.tuple(fc.nat(9), fc.nat(9)),
  fc.tuple(fc.nat(6), fc.nat(6), fc.nat(3), fc.nat(3)),
);

describe('scan', () => {
  test.each([
    ['float32', FLOAT],
    ['float64', DOUBLE],
    ['float16', FLOAT16],
    ['int64', INT64],
  ])('%s: zeros, NaN, infinities and connected kernels, wherever the bytes begin', (_, dataType) => {
    const isInteger = dataType === INT64;
    const number = isInteger ? fc.integer({ min: -2, max: 2 }) : fc.oneof(fc.constantFrom(...SPECIAL), fc.constant(0));
    fc.assert(
      fc.property(dims, fc.infiniteStream(number), fc.nat(3), (extents, stream, offset) => {
        const values = Array.from({ length: product(extents) }, () => Number(stream.next().value));
        const bytes = Tensor.fromNumbers(dataType, extents, values).bytes();
        const moved = new Uint8Array(bytes.length + offset);
        moved.set(bytes, offset);
        const tensor = Tensor.of(dataType, extents, moved.subarray(offset));
        expect(scanned(tensor)).toEqual(plainly(tensor));
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
