/** Initializers as masks: types, data files beside, damage. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BOOL, FLOAT, INT64 } from '../../src/ir/tensor.js';
import { readOnnxMasks } from '../../src/masks/formats/onnx.js';
import { encodeProto } from '../../src/onnx/encode.js';
import type { TensorProto } from '../../src/onnx/proto.js';
import { failureOf } from '../onnx/failure.js';
import { checkDamage, mapOf, tensorOf } from '../support/mask-files.js';

function model(...initializer: TensorProto[]): Uint8Array {
  return encodeProto({
    irVersion: 8,
    graph: { name: 'masks', initializer },
    opsetImport: [{ domain: '', version: 17 }],
  });
}

const keep: TensorProto = { name: 'keep', dims: [2, 2], dataType: BOOL, rawData: Uint8Array.of(1, 0, 0, 1) };
const weight: TensorProto = {
  name: '__proto__',
  dims: [2],
  dataType: FLOAT,
  floatData: [new Uint8Array(Float32Array.of(0, 2.5).buffer)],
};
const numbers = (bytes: Uint8Array, path = 'm.onnx') =>
  [...mapOf(readOnnxMasks(bytes, path))].map(([name, entry]) => {
    const tensor = tensorOf(entry);
    return [name, tensor.dataType, tensor.dims, [...tensor.toTensor().numbers()]];
  });

test('initializers, raw and typed', () => {
  const step: TensorProto = { name: 'step', dims: [], dataType: INT64, int64Data: [Uint8Array.of(7)] };
  expect(numbers(model(keep, weight, step))).toEqual([
    ['keep', BOOL, [2, 2], [1, 0, 0, 1]],
    ['__proto__', FLOAT, [2], [0, 2.5]],
    ['step', INT64, [], [7]],
  ]);
});

test('what no mask can be is left out: strings, complex numbers, floats of 8 bits', () => {
  const others = [8, 14, 17].map((dataType) => ({
    name: `t${dataType}`,
    dims: [0],
    dataType,
    rawData: new Uint8Array(0),
  }));
  expect(numbers(model(...others, keep)).map(([name]) => name)).toEqual(['keep']);
});

test('a name twice', () => {
  expect(failureOf(() => readOnnxMasks(model(keep, keep), 'm.onnx'))).toMatchObject({ code: 'E-MASK-DAMAGED' });
});

describe('data files', () => {
  const external = (location: string): TensorProto => ({
    name: 'keep',
    dims: [2],
    dataType: BOOL,
    dataLocation: 1,
    externalData: [{ key: 'location', value: location }],
  });

  test('beside the file; nowhere else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'prune-compile-'));
    try {
      writeFileSync(join(folder, 'masks.data'), Uint8Array.of(0, 1));
      const path = join(folder, 'masks.onnx');
      expect(numbers(model(external('masks.data')), path)).toEqual([['keep', BOOL, [2], [0, 1]]]);
      for (const [location, code] of [
        ['../masks.data', 'E-EXTERNAL-PATH'],
        ['other.data', 'E-EXTERNAL-MISSING'],
      ] as const)
        expect(failureOf(() => readOnnxMasks(model(external(location)), path)).code).toBe(code);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('no ONNX file', () => {
  expect(failureOf(() => readOnnxMasks(Uint8Array.of(0x80, 2), 'm.onnx')).code).toBe('E-MODEL-NOT-ONNX');
});

test('damage', () => {
  checkDamage(model(keep, weight), (bytes) => readOnnxMasks(bytes, 'm.onnx'));
});
