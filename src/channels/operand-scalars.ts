/** Scalars of constant operands: what a slice holds that holds one number. */
import { isFloating, isNumeric, type Tensor } from '../ir/tensor.js';
import type { Axis } from './positions.js';

/**
 * Operands above this many elements are weights of linear readers or lookup tables: nobody asks for
 * their scalars.
 */
const LARGEST_SCALAR_OPERAND = 1 << 20;

/** Whole numbers beyond those that a double holds are not told apart. */
function scalarsOf(tensor: Tensor): Float32Array | Float64Array | undefined {
  if (!isNumeric(tensor.dataType) || tensor.size === 0 || tensor.size > LARGEST_SCALAR_OPERAND) return undefined;
  const values = tensor.numbers();
  const limit = Number.MAX_SAFE_INTEGER;
  const isClamped = !isFloating(tensor.dataType) && values.some((value) => Math.abs(value) >= limit);
  return isClamped ? undefined : values;
}

/** What the whole tensor holds; undefined where it is not one number. */
export function uniformScalar(tensor: Tensor): number | undefined {
  const values = scalarsOf(tensor);
  if (values === undefined) return undefined;
  const [first] = values;
  return values.every((value) => value === first) ? first : undefined;
}

/** The scalar of each slice of a constant tensor that holds only one. */
export function operandScalars(tensor: Tensor, axes: readonly (Axis | undefined)[], constant: Float64Array): void {
  const values = scalarsOf(tensor);
  if (values === undefined) return;
  let inner = 1;
  for (const axis of axes.toReversed()) {
    if (axis === undefined) return;
    if (axis.extent === values.length) {
      constant.set(values, axis.base);
      return;
    }
    const seen = new Uint8Array(axis.extent);
    const first = new Float64Array(axis.extent).fill(Number.NaN);
    for (let at = 0; at < values.length; at++) {
      const index = Math.floor(at / inner) % axis.extent;
      const value = values[at] ?? Number.NaN;
      if (seen[index] === 0) {
        seen[index] = 1;
        first[index] = value;
      } else if (first[index] !== value) first[index] = Number.NaN;
    }
    constant.set(first, axis.base);
    inner *= axis.extent;
  }
}
