/**
 * Written and read back: masks in every format, tensors of every dtype; the same input gives the
 * same bytes.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementBytes, product, Tensor } from '../../src/ir/tensor.js';
import { type Entry } from '../../src/masks/contents.js';
import { readJsonMasks, writeJsonMasks } from '../../src/masks/formats/json.js';
import type { NamedMask } from '../../src/masks/formats/named-mask.js';
import { readNpz, writeNpz } from '../../src/masks/formats/npz.js';
import { readSafetensors, writeSafetensors, writeSafetensorsTensors } from '../../src/masks/formats/safetensors.js';
import { writeZip } from '../../src/masks/formats/zip-writer.js';
import { openZip } from '../../src/masks/formats/zip.js';
import { failureOf } from '../onnx/failure.js';
import { byText, mapOf, NUMERIC, tensorOf } from '../support/mask-files.js';

const name = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('layer1.0.conv1.weight', 'a/b', 'naïve', '__proto__', 'constructor', '', '7', 'x.npy', '"\\\n'),
);
const dims = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });

/** Elements at random, or by whole filters or channels. */
const keepOf = (extents: readonly number[]): fc.Arbitrary<Uint8Array> => {
  const size = product(extents);
  const bit = fc.nat(1);
  const whole = fc.tuple(fc.nat(1), fc.array(bit, { minLength: 5, maxLength: 5 })).map(([axis, bits]) => {
    const inner = product(extents.slice(axis + 1));
    return Uint8Array.from({ length: size }, (_, index) => bits[Math.floor(index / inner) % (extents[axis] ?? 1)] ?? 1);
  });
  return fc.oneof(fc.uint8Array({ minLength: size, maxLength: size, max: 1 }), whole);
};

const masks: fc.Arbitrary<NamedMask[]> = fc.uniqueArray(
  fc
    .tuple(name, dims)
    .chain(([named, extents]) => keepOf(extents).map((keep) => ({ name: named, dims: extents, keep }))),
  { selector: (mask) => mask.name, maxLength: 4 },
);

const sorted = (list: readonly NamedMask[]) => list.toSorted((a, b) => byText(a.name, b.name));
const readBack = (root: Entry): NamedMask[] =>
  [...mapOf(root)].map(([named, entry]) => {
    const tensor = tensorOf(entry);
    return { name: named, dims: tensor.dims, keep: new Uint8Array(tensor.toTensor().bytes()) };
  });

/** What docs/masks.md says the three forms mean, element by element. */
function expandJson(root: Entry): NamedMask[] {
  const file = mapOf(root);
  expect([file.get('format'), file.get('version')]).toEqual(['prune-compile masks', 1]);
  return [...mapOf(file.get('masks'))].map(([named, entry]) => {
    const form = mapOf(entry);
    const shape = form.get('shape') as readonly number[];
    const remove = form.get('remove') as readonly number[] | undefined;
    const runs = form.get('runs') as readonly number[] | undefined;
    const axis = (form.get('axis') ?? 0) as number;
    const inner = product(shape.slice(axis + 1));
    const keep = Uint8Array.from({ length: product(shape) }, (_, element) => {
      if (remove !== undefined) return remove.includes(Math.floor(element / inner) % (shape[axis] ?? 1)) ? 0 : 1;
      let run = 0;
      for (let end = runs?.[0] ?? 0; element >= end; end += runs?.[run] ?? 1) run++;
      return run % 2 === 0 ? 1 : 0;
    });
    return { name: named, dims: shape, keep };
  });
}

describe.each([
  ['safetensors', writeSafetensors, (bytes: Uint8Array) => readBack(readSafetensors(bytes, 'm'))],
  ['npz', writeNpz, (bytes: Uint8Array) => readBack(readNpz(bytes, 'm'))],
  ['JSON', writeJsonMasks, (bytes: Uint8Array) => expandJson(readJsonMasks(bytes, 'm'))],
] as const)('%s', (_, write, read) => {
  test('what is written is read, and twice written is the same', () => {
    fc.assert(
      fc.property(masks, (list) => {
        const bytes = write(list);
        expect(sorted(read(bytes))).toEqual(sorted(list));
        expect(Buffer.compare(bytes, write(list))).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('bugs of callers are not written down', () => {
    const mask = { name: 'a', dims: [2], keep: new Uint8Array(2) };
    expect(() => write([mask, mask])).toThrow('two masks are named a');
    expect(() => write([{ ...mask, dims: [3] }])).toThrow('mask a has 2 elements, not [3]');
  });
});

describe('JSON', () => {
  const written = (extents: readonly number[], keep: readonly number[]) => {
    const text = Buffer.from(writeJsonMasks([{ name: 'm', dims: extents, keep: Uint8Array.from(keep) }])).toString();
    return /"m": (.*)/.exec(text)?.[1];
  };

  test('the shortest form, and filters where others are as short', () => {
    expect(written([3, 2], [1, 1, 0, 0, 1, 1])).toBe('{"shape":[3,2],"remove":[1]}');
    expect(written([2, 2], [1, 1, 1, 1])).toBe('{"shape":[2,2],"remove":[]}');
    expect(written([4], [0, 0, 0, 1])).toBe('{"shape":[4],"remove":[0,1,2]}');
    expect(written([5], [0, 0, 0, 0, 1])).toBe('{"shape":[5],"runs":[0,4,1]}');
    expect(
      written(
        [9, 2],
        Array.from({ length: 18 }, (_, index) => Number(index > 1 && index < 16)),
      ),
    ).toBe('{"shape":[9,2],"remove":[0,8]}');
    expect(written([2, 6], [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])).toBe('{"shape":[2,6],"axis":1,"remove":[0,2,4]}');
    expect(written([2, 2], [0, 1, 1, 1])).toBe('{"shape":[2,2],"runs":[0,1,3]}');
    expect([written([], [0]), written([], [1])]).toEqual(['{"shape":[],"runs":[0,1]}', '{"shape":[],"runs":[1]}']);
    expect(written([0, 3], [])).toBe('{"shape":[0,3],"remove":[]}');
  });

  test('a line for each mask', () => {
    const mask = (named: string) => ({ name: named, dims: [2], keep: Uint8Array.of(1, 0) });
    expect(Buffer.from(writeJsonMasks([mask('10'), mask('9')])).toString()).toBe(
      [
        '{',
        '  "format": "prune-compile masks",',
        '  "version": 1,',
        '  "masks": {',
        '    "10": {"shape":[2],"remove":[1]},',
        '    "9": {"shape":[2],"remove":[1]}',
        '  }',
        '}',
        '',
      ].join('\n'),
    );
    expect(JSON.parse(Buffer.from(writeJsonMasks([])).toString())).toMatchObject({ masks: {} });
  });
});

describe('tensors as safetensors', () => {
  const tensor = fc.tuple(fc.constantFrom(...NUMERIC), dims).chain(([dataType, extents]) => {
    const size = product(extents) * (elementBytes(dataType) ?? 0);
    return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Tensor.of(dataType, extents, bytes));
  });
  const metadata = fc.dictionary(name, name, { maxKeys: 3 });

  test('of every dtype, aligned, whatever the metadata', () => {
    const tensors = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([named]) => named, maxLength: 5 });
    fc.assert(
      fc.property(tensors, metadata, (list, about) => {
        const bytes = writeSafetensorsTensors(new Map(list), about);
        const root = mapOf(readSafetensors(bytes, 'm'));
        expect(root.size).toBe(list.length);
        for (const [named, written] of list) {
          const read = tensorOf(root.get(named)).toTensor();
          expect([read.dataType, read.dims]).toEqual([written.dataType, written.dims]);
          expect(Buffer.compare(read.bytes(), written.bytes())).toBe(0);
          expect((read.bytes().byteOffset - bytes.byteOffset) % (elementBytes(read.dataType) ?? 1)).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('what the format has no name for', () => {
    const complex = new Map([['c', Tensor.of(14, [1], new Uint8Array(8))]]);
    expect(failureOf(() => writeSafetensorsTensors(complex))).toMatchObject({ code: 'E-OUTPUT-UNWRITABLE' });
    const reserved = new Map([['__metadata__', Tensor.of(9, [1], new Uint8Array(1))]]);
    expect(failureOf(() => writeSafetensorsTensors(reserved))).toMatchObject({ code: 'E-OUTPUT-UNWRITABLE' });
  });
});

describe('zip', () => {
  test('entries are read back, checksums and all', () => {
    const contents = fc.uniqueArray(fc.record({ name, data: fc.uint8Array({ maxLength: 300 }) }), {
      selector: (entry) => entry.name,
      maxLength: 5,
    });
    fc.assert(
      fc.property(contents, (list) => {
        const entries = openZip(writeZip(list), 'm').map((entry) => [entry.name, [...entry.bytes()]]);
        expect(entries).toEqual(list.map((entry) => [entry.name, [...entry.data]]));
      }),
      { numRuns: 200 },
    );
  });

  test('what needs zip64 is refused', () => {
    const long = [{ name: 'x'.repeat(70_000), data: new Uint8Array(0) }];
    const many = Array.from({ length: 0xffff }, (_, index) => ({ name: String(index), data: new Uint8Array(0) }));
    for (const contents of [long, many]) expect(failureOf(() => writeZip(contents)).code).toBe('E-OUTPUT-UNWRITABLE');
  });
});
