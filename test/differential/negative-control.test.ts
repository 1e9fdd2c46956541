/**
 * The suite can fail: each rule here is deliberately wrong, and the property that holds for the
 * right rules (equal.test.ts) must find a counterexample within so many cases of the same
 * generator.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Relation } from '../../src/ops/axes.js';
import type * as Broadcast from '../../src/ops/broadcast.js';
import type { Operator } from '../../src/ops/operator.js';
import type { Site } from '../../src/ops/site.js';
import type * as Registry from '../../src/ops/registry.js';
import type * as Weights from '../../src/channels/weight-matrix.js';
import { zeroUnitsByDirection } from '../../src/ops/recurrent-axes.js';
import { problems, type Step, WINDOWS } from '../../fixtures/networks/random-networks/random-graphs.js';

const REGISTRY = '../../src/ops/registry.js';
const WEIGHTS = '../../src/channels/weight-matrix.js';
const CASES = 1000;
/** Of recurrent operators, by ONNX. */
const BIAS = 3;

afterEach(() => {
  vi.doUnmock(REGISTRY);
  vi.doUnmock(WEIGHTS);
  vi.resetModules();
});

/** Cases until the first counterexample; undefined when none was found. */
async function casesUntilFailure(kinds?: readonly Step['kind'][]): Promise<number | undefined> {
  vi.resetModules();
  const { check } = await import('../../fixtures/tools/fuzz/check.js');
  const property = fc.asyncProperty(problems(kinds), async (problem) => {
    // A model that does not run any more is a failure like a wrong one.
    const { failure } = await check(problem, { align: 1 });
    if (failure !== undefined) throw new Error(failure);
  });
  const { failed, numRuns } = await fc.check(property, { seed: 3, numRuns: CASES, endOnFailure: true });
  return failed ? numRuns : undefined;
}

function alterRow(op: string, alter: (relation: Relation, site: Site) => Relation): void {
  vi.doMock(REGISTRY, async (original) => {
    const registry = await original<typeof Registry>();
    const operatorOf: typeof Registry.operatorOf = (node) => {
      const operator = registry.operatorOf(node);
      if (operator === undefined || node.opType !== op) return operator;
      const axes = (site: Site) => {
        const relation = operator.axes?.(site);
        return relation && alter(relation, site);
      };
      return { ...operator, axes };
    };
    return { ...registry, operatorOf };
  });
}

const withConstant = (relation: Relation, scalar: (x: number) => number): Relation =>
  relation.kind === 'pointwise'
    ? { ...relation, constant: ([x]) => (typeof x === 'number' ? scalar(x) : undefined) }
    : relation;

describe('a wrong rule is found', () => {
  test('Sigmoid(0) = 0', async () => {
    alterRow('Sigmoid', (relation) => withConstant(relation, (x) => (x === 0 ? 0 : 1 / (1 + Math.exp(-x)))));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  test('constants through zero padding go into the bias', async () => {
    alterRow('Conv', (relation) => (relation.kind === 'linear' ? { ...relation, padded: false } : relation));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  test('depthwise convolutions keep constants at the border', async () => {
    alterRow('Conv', (relation) => (relation.kind === 'grouped' ? { ...relation, padded: false } : relation));
    expect(await casesUntilFailure(WINDOWS)).toBeLessThanOrEqual(CASES);
  });

  test('AveragePool keeps constants although it counts the padding', async () => {
    alterRow('AveragePool', (relation) => withConstant(relation, (x) => x));
    expect(await casesUntilFailure(WINDOWS)).toBeLessThanOrEqual(CASES);
  });

  test('Clip has no bounds', async () => {
    alterRow('Clip', (relation) => withConstant(relation, (x) => x));
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });

  test('a constant of codes that is not the zero point goes through padding of a quantised layer', async () => {
    alterRow('QLinearConv', (relation) => (relation.kind === 'linear' ? { ...relation, padded: false } : relation));
    expect(await casesUntilFailure(['quantised'])).toBeLessThanOrEqual(CASES);
  });

  test('a bias of a recurrent unit is none', async () => {
    alterRow('RNN', (relation, site) => {
      if (relation.kind !== 'pointwise' || relation.feedback === undefined) return relation;
      const hidden = site.constant(2)?.dims[2] ?? 0;
      const constant = (index: number) => (index === BIAS ? undefined : site.constant(index));
      const [zeros = []] = zeroUnitsByDirection({ ...site, constant }, hidden, 1, 0);
      return { ...relation, feedback: { ...relation.feedback, zeros } };
    });
    expect(await casesUntilFailure(['recurrent'])).toBeLessThanOrEqual(CASES);
  });

  test('weights that sum to zero are zero', async () => {
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

  test('an unknown operator is elementwise', async () => {
    vi.doMock(REGISTRY, async (original) => {
      const registry = await original<typeof Registry>();
      const { broadcast } = await vi.importActual<typeof Broadcast>('../../src/ops/broadcast.js');
      const guess: Operator = { type: '', axes: (site) => broadcast(site, 1) };
      // All operators of the generator have rows: of one it is forgotten.
      const forgotten = 'InstanceNormalization';
      const operatorOf = (node: Parameters<typeof Registry.operatorOf>[0]) => {
        const operator = registry.operatorOf(node);
        return operator?.axes === undefined || node.opType === forgotten ? { ...operator, ...guess } : operator;
      };
      return { ...registry, operatorOf };
    });
    expect(await casesUntilFailure()).toBeLessThanOrEqual(CASES);
  });
});
