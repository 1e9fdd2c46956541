/**
 * Nothing that can be removed is kept: on small networks, what trials in ONNX Runtime show to be
 * removable (removable.ts, which knows nothing of src/channels) is gone from the compiled model.
 * Allowed beyond that are one channel for each width that would be zero, and what
 * fixtures/known-limits.txt says; here every limit has a predicate of its own. A limit that no case
 * meets fails the test: its line, and its predicate, are then to be removed.
 *
 * DIFFERENTIAL_SEED and DIFFERENTIAL_RUNS explore other cases than the fixed ones.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { type Allowance, allowanceOf, type Expected } from './allowance.js';
import { type Findings, findRemovable } from './removable.js';
import { buildSmall } from './small-model.js';
import { type SmallProblem, smallProblems } from './small-networks.js';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 400);

/** Lines of fixtures/known-limits.txt, by the predicate that stands for them here. */
const LIMITS = {
  /**
   * Removable with these weights and at this size, but not with all weights that are zero at the
   * same places.
   */
  values:
    'nothing bounds activations: a filter that only the signs of its weights keep from ever leaving zero behind a Relu stays, as does what only the static size of an image makes constant (a pooled map)',
  constantSums:
    'an Add of which either operand could be left out (both hold a constant per channel, or nothing behind it needs them) is not weighed: both stay, or the one that is tied to an axis that must stay',
  constantGates:
    'a Mul by a value that holds a constant per channel keeps the branch that computes it: only added branches are taken away',
  fromConstants:
    'layers that nothing but constants reach, behind a convolution that got a map of ones to read, are not narrowed: runtimes compute them once, when they load the model',
  noGain:
    'a model in which nothing but layers that reach no output could go is left as it is: nothing of it was pruned',
} as const;
type Limit = keyof typeof LIMITS;
const LIMIT_NAMES = Object.keys(LIMITS) as Limit[];

const ALL: Expected = { constantSums: true, constantGates: true };
const NOW: Expected = { constantSums: false, constantGates: false };

interface Checked {
  /** Channels that trials show to be removable, by zeros and within the limits. */
  readonly removable: number;
  /** Layers with more channels than they need, and no limit that says why. */
  readonly shortfalls: readonly string[];
  readonly limits: readonly Limit[];
}

async function check(problem: SmallProblem, options: CompileOptions = {}): Promise<Checked> {
  const trial = buildSmall(problem, 'trial');
  const { byZeros, byValues } = await findRemovable(trial.bytes, trial.structure, problem.seed);
  const plain = buildSmall(problem, 'plain').bytes;
  const compiled = await compileModel(plain, { align: 1, ...options });
  const bytes = compiled.encode();
  const widths = widthsOf(bytes);
  const allow = (findings: Findings, expected: Expected) => allowanceOf(trial.structure, findings, expected);
  const over = ({ most }: Allowance) =>
    [...most].flatMap(([layer, allowed]) => {
      const width = widths.get(layer) ?? 0;
      return width > allowed ? [{ layer, text: `${layer} has ${width} output channels, and needs ${allowed}` }] : [];
    });
  const allowance = allow(byZeros, NOW);
  const found = over(allowance);
  const reaching = compiled.report.changed ? undefined : namesOfReaching(plain);
  const reached = namesOfReached(bytes);
  const shortfalls = found.filter(({ layer }) => reaching?.has(layer) !== false && reached.has(layer));
  const limits: Limit[] = [];
  if (found.some(({ layer }) => reaching?.has(layer) === false)) limits.push('noGain');
  if (found.some(({ layer }) => !reached.has(layer))) limits.push('fromConstants');
  if (over(allow(byValues, NOW)).length > found.length) limits.push('values');
  for (const limit of ['constantSums', 'constantGates'] as const)
    if (over(allow(byZeros, { ...ALL, [limit]: false })).length < over(allow(byZeros, ALL)).length) limits.push(limit);
  return { removable: allowance.removable, shortfalls: shortfalls.map(({ text }) => text), limits };
}

/** Output channels by the name of the node; read from the model itself, not from the report. */
function widthsOf(bytes: Uint8Array): Map<string, number> {
  const { graph } = readModel(bytes);
  return new Map(graph.nodes.map(({ name, inputs }) => [name, inputs[1]?.initializer?.dims[0] ?? 0]));
}

/** Nodes that reach an output of the model. */
function namesOfReaching(bytes: Uint8Array): Set<string> {
  const { graph } = readModel(bytes);
  const nodes = new Set(graph.outputs.flatMap(({ producer }) => producer ?? []));
  for (const { inputs } of nodes)
    for (const value of inputs) if (value?.producer !== undefined) nodes.add(value.producer);
  return new Set([...nodes].map(({ name }) => name));
}

/** Nodes that an input of the model reaches. */
function namesOfReached(bytes: Uint8Array): Set<string> {
  const { graph } = readModel(bytes);
  const nodes = new Set(graph.inputs.flatMap(({ uses }) => uses.map(({ node }) => node)));
  for (const { outputs } of nodes)
    for (const value of outputs) for (const { node } of value?.uses ?? []) nodes.add(node);
  return new Set([...nodes].map(({ name }) => name));
}

describe('maximality on small networks', () => {
  test(`nothing removable is kept in ${RUNS} cases`, async () => {
    const counts = { removable: 0, values: 0, constantSums: 0, constantGates: 0, fromConstants: 0, noGain: 0 };
    const property = fc.asyncProperty(smallProblems, async (problem) => {
      const { removable, shortfalls, limits } = await check(problem);
      if (removable > 0) counts.removable++;
      for (const limit of limits) counts[limit]++;
      if (shortfalls.length > 0) throw new Error(shortfalls.join('; '));
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS });
    // Trials that find nothing would prove nothing.
    expect(counts.removable).toBeGreaterThan(RUNS / 2);
    // A limit that nothing meets has been lifted; one that excuses half of the cases would hide
    // everything.
    for (const limit of LIMIT_NAMES) {
      expect(counts[limit], limit).toBeGreaterThan(0);
      expect(counts[limit], limit).toBeLessThan(RUNS / 8);
    }
  });

  test.each(LIMIT_NAMES)('the limit %s is written down', (limit) => {
    const lines = readFileSync(new URL('../../fixtures/known-limits.txt', import.meta.url), 'utf8').split('\n');
    expect(lines).toContain(LIMITS[limit]);
  });

  test('a compiler that removes no channels is found out', async () => {
    const property = fc.asyncProperty(smallProblems, async (problem) => {
      const { shortfalls } = await check(problem, { skip: ['remove-channels'] });
      return shortfalls.length === 0;
    });
    const { failed } = await fc.check(property, { seed: SEED, numRuns: 25, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
