/**
 * Masked and compiled models are equal, for every operator rule at once: random graphs with random
 * masks, run without graph optimisations at two sizes. DIFFERENTIAL_SEED and DIFFERENTIAL_RUNS
 * explore other cases than the fixed ones.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../fixtures/tools/fuzz/check.js';
import { problems, WINDOWS } from '../../fixtures/networks/random-networks/random-graphs.js';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 750);

describe.each([
  { name: 'all steps', align: 1, kinds: undefined, seed: SEED },
  { name: 'all steps', align: 'auto', kinds: undefined, seed: SEED + 1 },
  { name: 'windows', align: 1, kinds: WINDOWS, seed: SEED + 2 },
] as const)('random graphs of $name, align $align', ({ align, kinds, seed }) => {
  test(`${RUNS} cases are equal, and a second compile changes nothing`, async () => {
    const counts = { skipped: 0, cancelling: 0, shrunk: 0 };
    const property = fc.asyncProperty(problems(kinds), async (problem) => {
      const { skipped, cancels, removed, failure } = await check(problem, { align });
      if (skipped) counts.skipped++;
      if (cancels) counts.cancelling++;
      if (removed > 0) counts.shrunk++;
      if (failure !== undefined) throw new Error(failure);
    });
    await fc.assert(property, { seed, numRuns: RUNS });
    // Problems that do not load, or whose rounding hides errors, or that nothing is removed from,
    // prove nothing.
    expect(counts.skipped).toBeLessThan(RUNS / 25);
    expect(counts.cancelling).toBeLessThan(RUNS / 100);
    expect(counts.shrunk).toBeGreaterThan(RUNS / 4);
  });
});
