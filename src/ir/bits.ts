/** Sets as bits, 32 to a word, the first in the lowest bit. */

/** The 32 bits from bit `at` on; past the end there are zeros. */
export function wordAt(bits: Uint32Array, at: number): number {
  const shift = at & 31;
  const low = (bits[at >>> 5] ?? 0) >>> shift;
  return shift === 0 ? low : low | ((bits[(at >>> 5) + 1] ?? 0) << (32 - shift));
}

export function hasBit(bits: Uint32Array, at: number): boolean {
  return (((bits[at >>> 5] ?? 0) >>> (at & 31)) & 1) === 1;
}

export function setBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] ?? 0) | (1 << (at & 31));
}

/** How many of 32 bits are set. Sums of pairs, of fours and of bytes lie side by side in the word. */
export function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
