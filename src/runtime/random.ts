/** Seeded pseudo-random numbers for inputs, resampling and refilled weights. */

/** The golden-ratio step of splitmix: consecutive counters land far apart. */
const STEP = 0x9e3779b9;

/**
 * A stream that depends on its seed and its name alone, so that a further input changes no other
 * input's values. Number n is the murmur3 finalizer of key + n * STEP; the key is FNV-1a of the
 * name, started from the seed.
 */
export class Random {
  #counter: number;
  #spareNormal: number | undefined = undefined;

  constructor(seed: number, stream: string) {
    let key = 0x811c9dc5 ^ seed;
    for (let at = 0; at < stream.length; at++) key = Math.imul(key ^ stream.charCodeAt(at), 0x01000193);
    this.#counter = mix(key);
  }

  /** A 32-bit word, unsigned. */
  word(): number {
    this.#counter = (this.#counter + STEP) | 0;
    return mix(this.#counter) >>> 0;
  }

  /** In [0, 1). */
  uniform(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** Mean 0, standard deviation 1 (Box-Muller, whose second value is kept for the next call). */
  normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    // 1 - uniform() is in (0, 1]: the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffled<Item>(items: readonly Item[]): Item[] {
    const rest = [...items];
    const result: Item[] = [];
    while (rest.length > 0) result.push(...rest.splice(this.below(rest.length), 1));
    return result;
  }
}

function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
