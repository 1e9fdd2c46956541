import { product } from '../../ir/tensor.js';

/** A mask as the writers take it: every format says the same of it. */
export interface NamedMask {
  readonly name: string;
  readonly dims: readonly number[];
  /** One byte per element, row-major: 1 keeps, 0 prunes. */
  readonly keep: Uint8Array;
}

/** Writers rely on it; who breaks it has a bug. */
export function checkMasks(masks: readonly NamedMask[]): void {
  const names = new Set<string>();
  for (const { name, dims, keep } of masks) {
    if (keep.length !== product(dims))
      throw new TypeError(`mask ${name} has ${keep.length} elements, not [${dims.join(', ')}]`);
    if (names.has(name)) throw new TypeError(`two masks are named ${name}`);
    names.add(name);
  }
}
