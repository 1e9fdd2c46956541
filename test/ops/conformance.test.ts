/**
 * Every operator row against ONNX Runtime: what a row says to be constant is constant, and a change
 * at one input channel reaches no output channel that the row does not link to it. A row without an
 * example fails.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import { type AnalyzedNode, forEachPair } from '../../src/channels/analyzed-node.js';
import type { Facts } from '../../src/channels/facts.js';
import { readModel } from '../../src/onnx/read.js';
import { operators } from '../../src/ops/registry.js';
import { passContext } from '../../src/pipeline.js';
import { createSession } from '../../src/runtime/session.js';
import { CHANNELS, EXAMPLES, exampleModel, SIZE } from './examples.js';
import { ELEMENTWISE } from './examples-elementwise.js';

const DIMS = [2, CHANNELS, SIZE, SIZE];
const COUNT = 2 * CHANNELS * SIZE * SIZE;
/**
 * Scalar functions are computed in double here and by approximations of a few float32 epsilons
 * there.
 */
const CLOSE = 1e-5;

interface Run {
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

async function run(session: ort.InferenceSession, input: Float32Array): Promise<Run> {
  const result = Object.values(await session.run({ x: new ort.Tensor(input, DIMS) }))[0];
  if (result === undefined) throw new Error('no output');
  return { dims: result.dims, values: Array.from(result.data as Float32Array, Number) };
}

/** Calls `visit` with each index along `axis` and the values of that slice. */
function slices({ dims, values }: Run, axis: number): number[][] {
  const inner = dims.slice(axis + 1).reduce((total, dim) => total * dim, 1);
  const extent = dims[axis] ?? 1;
  const found: number[][] = Array.from({ length: extent }, () => []);
  values.forEach((value, at) => found[Math.floor(at / inner) % extent]?.push(value));
  return found;
}

async function factsOf(bytes: Uint8Array): Promise<Facts> {
  return passContext(readModel(bytes)).facts();
}

/** Positions of the output that the facts call constant hold that constant, for two inputs. */
async function checkConstants(bytes: Uint8Array): Promise<number> {
  const facts = await factsOf(bytes);
  const [output] = facts.graphInfo.graph.outputs;
  const session = await createSession(bytes, { optimize: false });
  let checked = 0;
  for (const seed of [1, 2]) {
    const result = await run(session, normals(seed, 'x', COUNT));
    for (const axis of output === undefined ? [] : facts.positions.axesOf(output)) {
      if (axis === undefined) continue;
      for (const [index, values] of slices(result, axis.axis).entries()) {
        const claimed = facts.constant[axis.base + index] ?? Number.NaN;
        if (Number.isNaN(claimed)) continue;
        checked++;
        for (const value of values)
          expect(Math.abs(value - claimed)).toBeLessThanOrEqual(CLOSE * Math.max(1, Math.abs(claimed)));
      }
    }
  }
  await session.release();
  return checked;
}

/**
 * The node that reads the mixed channels, with the link between its channels and the output's, if
 * the row has one.
 */
function channelLink(
  facts: Facts,
): { at: AnalyzedNode; linked: (channel: number) => Set<number>; axis: number } | undefined {
  const mixed = facts.nodes.find(({ node }) => node.name === 'mix')?.node.outputs[0];
  const use = mixed?.uses[0];
  const at = use === undefined ? undefined : facts.nodeOf.get(use.node);
  if (use === undefined || at?.relation?.kind !== 'pointwise' || mixed?.uses.length !== 1) return undefined;
  for (const [number, { input, output }] of at.relation.links.entries()) {
    if (input.index !== use.index || input.axis !== 1 || at.node.outputs[output.index]?.isGraphOutput !== true)
      continue;
    const link = at.links[number];
    const pairs: [number, number][] = [];
    if (link !== undefined) forEachPair(link, (i, j) => pairs.push([i, j]));
    return {
      at,
      axis: output.axis,
      linked: (channel) => new Set(pairs.filter(([i]) => i === channel).map(([, j]) => j)),
    };
  }
  return undefined;
}

/**
 * The same model with the operator's input made a graph output would tell the same; here the bias
 * of one channel moves.
 */
async function checkLocality(apply: Parameters<typeof exampleModel>[0], opset: number): Promise<boolean> {
  const bytes = exampleModel(apply, 0.2, opset);
  const link = channelLink(await factsOf(bytes));
  if (link === undefined) return false;
  // Moving the bias of the dead filter moves exactly one channel of what the operator reads.
  const [before, after] = await Promise.all(
    [0.2, 0.9].map(async (k) => {
      const session = await createSession(exampleModel(apply, k, opset), { optimize: false });
      const result = await run(session, normals(1, 'x', COUNT));
      await session.release();
      return slices(result, link.axis);
    }),
  );
  const allowed = link.linked(1);
  for (const [index, values] of (before ?? []).entries()) {
    const moved = values.some((value, at) => !Object.is(value, after?.[index]?.[at]));
    if (moved) expect(allowed.has(index), `output channel ${index} moved`).toBe(true);
  }
  return true;
}

/** Where all rows say that places stay apart, a change at one place of x reaches no other. */
async function checkPlaces(bytes: Uint8Array): Promise<boolean> {
  const { nodes } = await factsOf(bytes);
  const rows = nodes.filter(({ node }) => node.name !== 'mix').map(({ relation }) => relation);
  if (!rows.every((relation) => relation?.kind === 'pointwise' && relation.samePlace === true)) return false;
  const session = await createSession(bytes, { optimize: false });
  const input = normals(1, 'x', COUNT);
  const before = await run(session, input);
  const changed = SIZE + 2;
  const places = SIZE * SIZE;
  const after = await run(
    session,
    input.map((value, at) => (at % places === changed ? value + 1 : value)),
  );
  await session.release();
  expect(before.dims.slice(2)).toEqual([SIZE, SIZE]);
  for (const [at, value] of before.values.entries())
    if (at % places !== changed) expect(after.values[at], `element ${at} moved`).toBe(value);
  return true;
}

const cases = Object.entries(EXAMPLES).flatMap(([key, examples]) => {
  const [op = '', opset = '17'] = key.split('@');
  return examples.map((apply, index) => ({ key, op, opset: Number(opset), apply, index }));
});

/** Of the newest version of the operator that reads as at opset 17. */
function firstExample(key: string): (typeof cases)[number]['apply'] | undefined {
  return (EXAMPLES[key] ?? EXAMPLES[`${key}@13`] ?? EXAMPLES[`${key}@12`])?.[0];
}

describe('operator rows', () => {
  test('every row has an example', () => {
    const covered = new Set(cases.map(({ op }) => op));
    const known = operators.filter(({ axes }) => axes !== undefined).map(({ type }) => type);
    expect(known.filter((type) => !covered.has(type))).toEqual([]);
  });

  test.each(cases)('$op (opset $opset, example $index): constants are constant', async ({ key, opset, apply }) => {
    let found = 0;
    for (const k of [0, 0.7, -1.3]) found += await checkConstants(exampleModel(apply, k, opset));
    // The scalar function of an elementwise operator is known.
    if (key in ELEMENTWISE) expect(found).toBeGreaterThan(0);
  });

  test.each(cases)('$op (opset $opset, example $index): channels stay apart', async ({ apply, opset }) => {
    await checkLocality(apply, opset);
  });

  test.each(cases)('$op (opset $opset, example $index): places stay apart', async ({ apply, opset }) => {
    await checkPlaces(exampleModel(apply, 0.2, opset));
  });

  test('the checks are not vacuous', async () => {
    for (const key of ['Relu', 'Clip', 'BatchNormalization', 'Add', 'Concat']) {
      const apply = firstExample(key);
      expect(apply !== undefined && (await checkPlaces(exampleModel(apply, 0.2, 17))), key).toBe(true);
    }
    const count = async (key: string) => {
      const apply = firstExample(key);
      if (apply === undefined) return { constants: 0, linked: false };
      return { constants: await checkConstants(exampleModel(apply, 0.7, 17)), linked: await checkLocality(apply, 17) };
    };
    for (const key of ['Relu', 'Sigmoid', 'BatchNormalization', 'MaxPool', 'Pad', 'Concat', 'Slice', 'Transpose']) {
      const { constants, linked } = await count(key);
      expect(constants, key).toBeGreaterThan(0);
      if (key !== 'Concat') expect(linked, key).toBe(true);
    }
  });
});
