/**
 * A bounded fuzz of the command: attributes, extents and constants that are zero, negative or huge,
 * and damaged mask files. Each ends with a result or one error. `npm run fuzz:models -- --kind
 * model --seed N --cases 1` repeats a case; FUZZ_SEED explores others than the fixed ones.
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { CaseRunner } from '../../fixtures/tools/fuzz/run-cases.js';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const MOST_MS = 900_000;
/** No measurement: what has not ended then never will, on however busy a machine. */
const HANGS_AFTER_MS = 120_000;

const file = fileURLToPath(new URL('../../dist/fixtures/tools/fuzz/case-process.js', import.meta.url));

test.each([
  ['model', 200],
  ['mask', 100],
] as const)(
  `damaged files: %s, %d cases from seed ${SEED}`,
  async (kind, count) => {
    const runner = new CaseRunner({ file, mostMs: HANGS_AFTER_MS });
    const faults: string[] = [];
    const outcomes = new Set<string>();
    try {
      for (let seed = SEED; seed < SEED + count; seed++) {
        const { what, fault } = await runner.run(kind, seed);
        outcomes.add(what);
        if (fault !== undefined) faults.push(`${kind} seed ${seed}: ${fault}`);
      }
    } finally {
      runner.close();
    }
    expect(faults).toEqual([]);
    // Damage that always meets the same fate, or none, proves nothing.
    expect(outcomes.size).toBeGreaterThan(4);
    expect([...outcomes].some((what) => what.startsWith('compile 0'))).toBe(true);
  },
  MOST_MS,
);
