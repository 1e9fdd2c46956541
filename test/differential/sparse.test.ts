/**
 * Models with sparse operators compute what the masked ones do: random graphs with random masks, everything sparse that pays by a willing
 * table, alone and behind the removal of channels.
 */
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kernelsPath } from '../../src/runtime/kernels.js';
import { WILLING } from '../support/willing-table.js';
import { check } from '../../fixtures/fuzz/check.js';
import { problems } from '../../fixtures/random-networks/random-graphs.js';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 11);
const RUNS = 200;
const MOST_MS = 300_000;

/** Outputs in the midst of the graph, and seldom a layer without zeros at its end: what sparse operators make is then seen from outside. */
const seenProblems = fc
  .tuple(problems(), fc.array(fc.nat(6), { maxLength: 3 }), fc.constantFrom('none', 'none', 'conv', 'gemm'))
  .map(([problem, ages, head]) => ({ ...problem, head, extraOutputs: [...problem.extraOutputs, ...ages] }));

const isBuilt = existsSync(kernelsPath());
if (!isBuilt) console.log('random sparse graphs are not tested: npm run build:kernels makes their library');

describe.skipIf(!isBuilt).each([
  { name: 'alone', structured: false },
  { name: 'behind the removal of channels', structured: true },
])('sparse operators $name', ({ structured }) => {
  it(
    `${RUNS} random graphs are equal`,
    async () => {
      let [sparse, outputs] = [0, 0];
      const property = fc.asyncProperty(seenProblems, async (problem) => {
        const { failure, sparseLayers, sparseOutputs } = await check(problem, {
          sparse: true,
          structured,
          sparseTarget: WILLING,
        });
        if (sparseLayers > 0) sparse++;
        if (sparseOutputs > 0) outputs++;
        if (failure !== undefined) throw new Error(failure);
      });
      await fc.assert(property, { seed: SEED, numRuns: RUNS });
      // Graphs in which nothing becomes sparse prove nothing.
      expect(sparse).toBeGreaterThan(RUNS / 4);
      expect(outputs).toBeGreaterThan(RUNS / 8);
    },
    MOST_MS,
  );
});
