/** How far two output tensors are apart. Pure. */
import type * as ort from 'onnxruntime-node';
import { FLOAT16, Tensor } from '../ir/tensor.js';

/**
 * The difference of outputs that cannot be compared at all (shape, dtype, missing): the whole of
 * the output's scale. Not infinity, which JSON cannot hold.
 */
export const INCOMPARABLE = 1;

/** Of one run, by name. */
export type Outputs = Readonly<Record<string, ort.Tensor>>;

export interface Difference {
  /**
   * Largest |a - b| over the elements, divided by the largest |a|; not divided where all of a is
   * zero.
   */
  readonly difference: number;
  /** Set when they are unequal whatever the bound. */
  readonly reason?: string;
}

/**
 * `a` is the reference. NaN and infinities must be at the same places; other types than floating
 * point equal exactly.
 */
export function compareTensors(a: ort.Tensor, b: ort.Tensor): Difference {
  if (a.type !== b.type) return { difference: INCOMPARABLE, reason: `its type is ${b.type} instead of ${a.type}` };
  if (!sameList(a.dims, b.dims))
    return {
      difference: INCOMPARABLE,
      reason: `its shape is [${b.dims.join(', ')}] instead of [${a.dims.join(', ')}]`,
    };
  const [left, right] = [floatValues(a), floatValues(b)];
  return left === undefined || right === undefined ? compareExactly(a, b) : compareFloats(left, right);
}

export function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** The values of a floating-point tensor as numbers; undefined for other types. */
export function floatValues(tensor: ort.Tensor): Float32Array | Float64Array | undefined {
  const { data } = tensor;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  if (tensor.type !== 'float16' || !ArrayBuffer.isView(data)) return undefined;
  return Tensor.of(FLOAT16, tensor.dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).numbers();
}

/**
 * From here on a value that is there more than once is taken for a constant that masks: -1e4, -1e9,
 * the lowest float32.
 */
const LEAST_MASKING = 1e4;

/**
 * Largest |value|, without constants that mask (attention, logits): everything else would vanish
 * beside them. 0 where all is zero; that of the constant where there is nothing else.
 */
export function scaleOf(values: Float32Array | Float64Array): number {
  let scale = 0;
  let constant = 0;
  let count = 0;
  for (const value of values) {
    const size = Math.abs(value);
    if (!Number.isFinite(size)) continue;
    if (size > constant) {
      [constant, count] = [size, 1];
    } else if (size === constant) count++;
  }
  if (constant < LEAST_MASKING || count < 2) return constant;
  for (const value of values) {
    const size = Math.abs(value);
    if (Number.isFinite(size) && size !== constant) scale = Math.max(scale, size);
  }
  return scale === 0 ? constant : scale;
}

function compareFloats(a: Float32Array | Float64Array, b: Float32Array | Float64Array): Difference {
  const scale = scaleOf(a);
  let largest = 0;
  let elsewhere = 0;
  for (let index = 0; index < a.length; index++) {
    const x = a[index] ?? Number.NaN;
    const y = b[index] ?? Number.NaN;
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      if (!Object.is(x, y)) elsewhere++;
      continue;
    }
    largest = Math.max(largest, Math.abs(x - y));
  }
  const difference = scale === 0 ? largest : largest / scale;
  return elsewhere === 0
    ? { difference }
    : { difference, reason: `NaN or infinity at ${elsewhere} places where the other has something else` };
}

function compareExactly(a: ort.Tensor, b: ort.Tensor): Difference {
  let unequal = 0;
  const length = a.data.length;
  for (let index = 0; index < length; index++) if (a.data[index] !== b.data[index]) unequal++;
  if (unequal === 0) return { difference: 0 };
  return { difference: INCOMPARABLE, reason: `${unequal} of ${length} ${a.type} values are not equal` };
}

/** Whether no value is NaN or infinite. */
export function isAllFinite(tensor: ort.Tensor): boolean {
  return floatValues(tensor)?.some((value) => !Number.isFinite(value)) !== true;
}

/** Whether two tensors hold the same values, NaN equal to itself. */
export function isIdentical(a: ort.Tensor, b: ort.Tensor): boolean {
  const { difference, reason } = compareTensors(a, b);
  return difference === 0 && reason === undefined;
}

/** Whether all elements are one value. */
export function isUniform({ data }: ort.Tensor): boolean {
  for (let index = 1; index < data.length; index++) if (!Object.is(data[index], data[0])) return false;
  return true;
}
