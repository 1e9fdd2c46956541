/** Which classes are worth keeping as carriers, where some have to stay anyway. */
import type { Facts } from './facts.js';

/** Per class the largest constant that it brings to a reader with zero padding. */
export function carrierWorth({ linearReads, positions, constant }: Facts): ReadonlyMap<number, number> {
  const worths = new Map<number, number>();
  for (const { axis, needed, relation } of linearReads) {
    if (!relation.padded) continue;
    for (let index = 0; index < axis.extent; index++) {
      const worth = Math.abs(constant[axis.base + index] ?? Number.NaN);
      if (needed[index] !== 1 || !(worth > 0)) continue;
      const root = positions.classOf(axis.base + index);
      worths.set(root, Math.max(worth, worths.get(root) ?? 0));
    }
  }
  return worths;
}
