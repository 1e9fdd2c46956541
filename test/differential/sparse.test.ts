/**
 * Models with sparse operators compute what the masked ones do: random graphs with random masks,
 * everything sparse that has 30 % zeros, alone and after the removal of channels.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { check } from '../../fixtures/tools/fuzz/check.js';
import { problems } from '../../fixtures/networks/random-networks/random-graphs.js';
import { needsLibrary } from '../support/needs.js';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 11);
const RUNS = 200;

/**
 * Outputs in the midst of the graph, and seldom a layer without zeros at its end: what sparse
 * operators make is then seen from outside.
 */
const seenProblems = fc
  .tuple(problems(), fc.array(fc.nat(6), { maxLength: 3 }), fc.constantFrom('none', 'none', 'conv', 'gemm'))
  .map(([problem, ages, head]) => ({ ...problem, head, extraOutputs: [...problem.extraOutputs, ...ages] }));

describe.each([
  { name: 'alone', structured: false },
  { name: 'behind the removal of channels', structured: true },
])('sparse operators $name', needsLibrary, ({ structured }) => {
  test(`${RUNS} random graphs are equal`, async () => {
    let [sparse, outputs] = [0, 0];
    const property = fc.asyncProperty(seenProblems, async (problem) => {
      const { failure, sparseLayers, sparseOutputs } = await check(problem, {
        sparse: true,
        structured,
        sparseTarget: PAYS_FROM_30_PERCENT,
      });
      if (sparseLayers > 0) sparse++;
      if (sparseOutputs > 0) outputs++;
      if (failure !== undefined) throw new Error(failure);
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS });
    // Graphs in which nothing becomes sparse prove nothing.
    expect(sparse).toBeGreaterThan(RUNS / 4);
    expect(outputs).toBeGreaterThan(RUNS / 8);
  });
});
