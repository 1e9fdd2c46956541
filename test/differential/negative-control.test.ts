/**
 * The suite can fail: each rule here is deliberately wrong, and the property that holds for the right rules (equal.test.ts)
 * must find a counterexample within so many cases of the same generator.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as Elementwise from '../../src/ops/elementwise.js';
import type { OpRow, Relation, Site } from '../../src/ops/relation.js';
import type * as Table from '../../src/ops/table.js';
import type * as Weights from '../../src/analysis/weights.js';
import { problems, WINDOWS } from '../../fixtures/random-networks/random-graphs.js';

const TABLE = '../../src/ops/table.js';
const WEIGHTS = '../../src/analysis/weights.js';
const CASES = 1000;

afterEach(() => {
  vi.doUnmock(TABLE);
  vi.doUnmock(WEIGHTS);
  vi.resetModules();
});

/** Cases until the first counterexample; undefined when none was found. */
async function casesUntilFailure(kinds?: typeof WINDOWS): Promise<number | undefined> {
  vi.resetModules();
  const { check } = await import('../../fixtures/fuzz/check.js');
  const property = fc.asyncProperty(problems(kinds), async (problem) => {
    // A model that does not run any more is a failure like a wrong one.
    const { failure } = await check(problem, { align: 1 });
    if (failure !== undefined) throw new Error(failure);
  });
  const { failed, numRuns } = await fc.check(property, { seed: 3, numRuns: CASES, endOnFailure: true });
  return failed ? numRuns : undefined;
}

function alterRow(op: string, alter: (relation: Relation, site: Site) => Relation): void {
  vi.doMock(TABLE, async (original) => {
    const table = await original<typeof Table>();
    const rowOf: typeof Table.rowOf = (node) => {
      const row = table.rowOf(node);
      if (row === undefined || node.opType !== op) return row;
      const relate = (site: Site) => {
        const relation = row.relate(site);
        return relation && alter(relation, site);
      };
      return { ...row, relate };
    };
    return { ...table, rowOf };
  });
}

const withConstant = (relation: Relation, scalar: (x: number) => number): Relation =>
  relation.kind === 'pointwise'
    ? { ...relation, constant: ([x]) => (typeof x === 'number' ? scalar(x) : undefined) }
    : relation;

describe('a wrong rule is found', () => {
  it('Sigmoid(0) = 0', async () => {
    alterRow('Sigmoid', (relation) => withConstant(relation, (x) => (x === 0 ? 0 : 1 / (1 + Math.exp(-x)))));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  it('constants through zero padding go into the bias', async () => {
    alterRow('Conv', (relation) => (relation.kind === 'linear' ? { ...relation, padded: false } : relation));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  it('depthwise convolutions keep constants at the border', async () => {
    alterRow('Conv', (relation) => (relation.kind === 'grouped' ? { ...relation, padded: false } : relation));
    expect(await casesUntilFailure(WINDOWS)).toBeLessThanOrEqual(CASES);
  });

  it('AveragePool keeps constants although it counts the padding', async () => {
    alterRow('AveragePool', (relation) => withConstant(relation, (x) => x));
    expect(await casesUntilFailure(WINDOWS)).toBeLessThanOrEqual(CASES);
  });

  it('Clip has no bounds', async () => {
    alterRow('Clip', (relation) => withConstant(relation, (x) => x));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  it('weights that sum to zero are zero', async () => {
    vi.doMock(WEIGHTS, async (original) => {
      const { WeightMatrix } = await original<typeof Weights>();
      class Summed extends WeightMatrix {
        override connects(output: number, input: number): boolean {
          return this.sum(output, input) !== 0;
        }
      }
      return { WeightMatrix: Summed };
    });
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  it('an unknown operator is elementwise', async () => {
    vi.doMock(TABLE, async (original) => {
      const table = await original<typeof Table>();
      const { broadcast } = await vi.importActual<typeof Elementwise>('../../src/ops/elementwise.js');
      const guess: OpRow = { op: '', relate: (site) => broadcast(site, 1) };
      return { ...table, rowOf: (node: Parameters<typeof Table.rowOf>[0]) => table.rowOf(node) ?? guess };
    });
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });
});
