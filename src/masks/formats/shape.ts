/** Extents as a file declares them, before anything is believed of them. */
import { product } from '../../ir/tensor.js';

/**
 * NumPy, from 2.0 on, allows 64 axes, and PyTorch as many: a longer list is no shape, and loops
 * over axes stay short.
 */
const MOST_AXES = 64;

/**
 * COMPLEX128 has 16 bytes, the most of any type: sizes in bytes stay exact numbers below this many
 * elements.
 */
const MOST_ELEMENTS = Math.floor(Number.MAX_SAFE_INTEGER / 16);

/**
 * Undefined when it is no shape: an extent is negative, broken or no number, or there are too many
 * of them.
 */
export function shapeOf(declared: unknown): number[] | undefined {
  if (!Array.isArray(declared) || declared.length > MOST_AXES) return undefined;
  const dims: number[] = [];
  for (const extent of declared as readonly unknown[]) {
    if (typeof extent !== 'number' || !Number.isSafeInteger(extent) || extent < 0) return undefined;
    dims.push(extent);
  }
  // A zero makes a tensor empty, not its other extents sane.
  return product(dims.filter((extent) => extent > 0)) <= MOST_ELEMENTS ? dims : undefined;
}
