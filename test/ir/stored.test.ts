/** Tensors that are not in memory: the same bytes as in memory, in pieces, and never all at once. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scanTensor } from '../../src/ir/scan.js';
import { sliceGroups, sliceTensor } from '../../src/ir/slice.js';
import { BFLOAT16, FLOAT, FLOAT16, product, Tensor } from '../../src/ir/tensor.js';
import { maskTensor } from '../../src/masks/apply.js';

/** The same tensor in memory and elsewhere, and the lengths that were read of the latter. */
function twice(dataType: number, dims: readonly number[], zeroEvery = 3) {
  const values = Float32Array.from({ length: product(dims) }, (_, at) => (at % zeroEvery === 0 ? 0 : (at % 251) - 125));
  const inMemory = Tensor.fromNumbers(dataType, dims, values);
  const bytes = inMemory.bytes();
  const lengths: number[] = [];
  const stored = Tensor.stored(dataType, dims, (start, into) => {
    lengths.push(into.length);
    into.set(bytes.subarray(start, start + into.length));
  });
  return { inMemory, stored, lengths };
}

function joined(pieces: Iterable<Uint8Array>): Buffer {
  return Buffer.concat([...pieces].map((piece) => Buffer.from(piece)));
}

function expectSame(stored: Tensor, inMemory: Tensor): void {
  expect(stored.dims).toEqual(inMemory.dims);
  expect(joined(stored.pieces()).equals(inMemory.bytes())).toBe(true);
  expect(Buffer.from(stored.bytes()).equals(inMemory.bytes())).toBe(true);
  expect(scanTensor(stored)).toEqual(scanTensor(inMemory));
}

const indices = (extent: number) => Array.from({ length: extent }, (_, index) => index);
const anyKept = (extents: readonly number[]) =>
  fc.tuple(...extents.map((extent) => fc.option(fc.subarray(indices(extent)), { nil: undefined })));
const cutTwice = fc
  .tuple(fc.constantFrom(FLOAT, FLOAT16, BFLOAT16), fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }))
  .chain(([dataType, dims]) =>
    anyKept(dims).chain((first) =>
      anyKept(dims.map((extent, axis) => first[axis]?.length ?? extent)).map((second) => ({
        dataType,
        dims,
        first,
        second,
      })),
    ),
  );

describe('tensors that are read in pieces', () => {
  test('slices, and slices of slices', () => {
    fc.assert(
      fc.property(cutTwice, ({ dataType, dims, first, second }) => {
        const { inMemory, stored } = twice(dataType, dims);
        expectSame(sliceTensor(stored, first), sliceTensor(inMemory, first));
        expectSame(sliceTensor(sliceTensor(stored, first), second), sliceTensor(sliceTensor(inMemory, first), second));
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['the same of every group', [0, 2, 4, 5, 7, 9], [0, 2, 4, 6]],
    ['others of each group', [0, 1, 5, 6, 7, 9], [0, 3, 5, 6]],
  ])('groups that keep %s', (_, rows, columns) => {
    const { inMemory, stored } = twice(FLOAT, [10, 4, 3, 3]);
    const kept = [rows, columns];
    expectSame(sliceGroups(stored, kept, 2), sliceGroups(inMemory, kept, 2));
  });

  test.each([FLOAT, FLOAT16])('masks, of data type %i', (dataType) => {
    const { inMemory, stored } = twice(dataType, [70, 5]);
    const factors = Uint8Array.from({ length: 350 }, (_, at) => Number(at % 7 > 2));
    expectSame(maskTensor(stored, factors), maskTensor(inMemory, factors));
    expectSame(
      sliceTensor(maskTensor(stored, factors), [undefined, [1, 4]]),
      sliceTensor(maskTensor(inMemory, factors), [undefined, [1, 4]]),
    );
  });

  test('5 MB are scanned, cut and masked by a megabyte at a time', () => {
    const { inMemory, stored, lengths } = twice(FLOAT, [1250, 1000], 2);
    const factors = new Uint8Array(1_250_000).fill(1).fill(0, 1_000_000);
    const kept = [indices(1250).filter((row) => row % 5 !== 1), indices(1000).filter((column) => column % 2 === 1)];
    const cut = sliceTensor(maskTensor(stored, factors), kept);
    scanTensor(stored);
    scanTensor(cut);
    const bytes = joined(cut.pieces());
    expect(bytes.equals(sliceTensor(maskTensor(inMemory, factors), kept).bytes())).toBe(true);
    expect(Math.max(...lengths)).toBe(2 ** 20);
  });

  test('a row that is larger than a piece', () => {
    const { inMemory, stored } = twice(FLOAT, [3, 300_000]);
    const kept = [[0, 2], indices(300_000).filter((column) => column % 3 === 1)];
    expectSame(sliceTensor(stored, kept), sliceTensor(inMemory, kept));
  });
});
