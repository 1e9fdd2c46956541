import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { compareTensors } from '../../src/verify/compare.js';

const floats = (...values: number[]) => new ort.Tensor('float32', Float32Array.from(values), [values.length]);

describe('compareTensors', () => {
  test('divides by the largest value of the reference', () => {
    expect(compareTensors(floats(4, -8, 1), floats(4, -8, 3))).toEqual({ difference: 0.25 });
    expect(compareTensors(floats(0, 0), floats(0, 0.5))).toEqual({ difference: 0.5 });
  });

  test('leaves infinities out of the scale and compares them by place and sign', () => {
    expect(compareTensors(floats(Infinity, 2), floats(Infinity, 1))).toEqual({ difference: 0.5 });
    expect(compareTensors(floats(Infinity, 2), floats(-Infinity, 2)).reason).toMatch(/at 1 places/);
    expect(compareTensors(floats(NaN, 2), floats(2, NaN)).reason).toMatch(/at 2 places/);
  });

  test('compares other types exactly', () => {
    const bools = (...values: number[]) => new ort.Tensor('bool', Uint8Array.from(values), [values.length]);
    expect(compareTensors(bools(1, 0), bools(1, 0))).toEqual({ difference: 0 });
    expect(compareTensors(bools(1, 0), bools(1, 1))).toEqual({
      difference: 1,
      reason: '1 of 2 bool values are not equal',
    });
    const texts = (...values: string[]) => new ort.Tensor('string', values, [values.length]);
    expect(compareTensors(texts('a'), texts('b')).reason).toBe('1 of 1 string values are not equal');
  });

  test('reads float16', () => {
    const halves = (...bits: number[]) => new ort.Tensor('float16', Uint16Array.from(bits), [bits.length]);
    // 0x3c00 is 1, 0x3e00 is 1.5
    expect(compareTensors(halves(0x3c00), halves(0x3e00))).toEqual({ difference: 0.5 });
  });
});
