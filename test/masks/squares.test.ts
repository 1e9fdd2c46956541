/**
 * Which way a matrix lies follows from evidence alone: a square one gets the answer that an oblong
 * one gets by the same path, or is refused. A matrix with other extents than a square's must not
 * decide by them what a square could not.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { Layout } from '../../src/masks/expand.js';
import { bind, codeOf, mask, slotsOf, tensor, values } from './bound-masks.js';

interface Path {
  readonly opType: 'MatMul' | 'Gemm';
  /** Gemm: whether the weight is stored as [out, in]. */
  readonly transB: boolean;
  readonly holder: 'initializer' | 'Constant';
  /** Name of the tensor, and of the node. */
  readonly stored: string;
  readonly node: string;
  readonly key: string;
  readonly format: 'PyTorch (zip)' | 'ONNX';
  /** Whether the file has the weights too, in the layout of the mask. */
  readonly hasValues: boolean;
  readonly isMapped: boolean;
}

const path: fc.Arbitrary<Path> = fc.record({
  opType: fc.constantFrom('MatMul', 'Gemm'),
  transB: fc.boolean(),
  holder: fc.constantFrom('initializer', 'Constant'),
  stored: fc.constantFrom('fc.weight', 'onnx::MatMul_7', 'linear_0.w_0', 'fc/kernel:0'),
  node: fc.constantFrom('/fc/MatMul', 'MatMul__3'),
  key: fc.constantFrom('fc.weight_mask', 'fc', 'onnx::MatMul_7', 'linear_0.w_0', 'fc/kernel', 'arr_0'),
  format: fc.constantFrom('PyTorch (zip)', 'ONNX'),
  hasValues: fc.boolean(),
  isMapped: fc.boolean(),
});

/**
 * [in, out] weights with a mask of some rows of `layout`: which elements of the operand it prunes,
 * or the refusal.
 */
async function outcome(given: Path, extents: { input: number; output: number }, layout: Layout): Promise<string> {
  const { opType, holder, stored, node, key, format, hasValues, isMapped } = given;
  const { input, output } = extents;
  const isTurned = opType === 'Gemm' && given.transB;
  const dims = isTurned ? [output, input] : [input, output];
  const size = input * output;
  const elements = values('square', size);
  const g = graphBuilder();
  const x = g.input('x', [2, input]);
  if (holder === 'initializer') g.initializer(stored, dims, elements);
  else g.constant({ dims, data: elements }, { outputs: [stored] });
  g.output(g.op(opType, [x, stored], opType === 'Gemm' ? { transB: isTurned ? 1 : 0 } : {}, { name: node }));
  const slots = await slotsOf(g);

  // The first filter and one weight more, as the operand has them; and the same in the layout of
  // the file.
  const outAxis = isTurned ? 0 : 1;
  const at = (filter: number, column: number) => (outAxis === 0 ? filter * input + column : column * output + filter);
  const zeros = [...Array.from({ length: input }, (_, column) => at(0, column)), at(1, 2)];
  const isAsStored = layout === 'stored' || isTurned;
  const turn = (place: number) => (place % output) * input + Math.floor(place / output);
  const own = isAsStored ? dims : [output, input];
  const contents: Record<string, unknown> = { [key]: mask(own, isAsStored ? zeros : zeros.map(turn)) };
  if (hasValues) {
    const weights = Array.from({ length: size }, (_, place) =>
      isAsStored ? (elements[place] ?? 0) : (elements[(place % input) * output + Math.floor(place / input)] ?? 0),
    );
    contents[`${key.replace(/_mask$/, '')}_orig`] = tensor(own, weights);
  }
  const options = isMapped ? { map: { [key]: stored } } : {};
  try {
    const { bindings } = bind(slots, contents, { format, ...options });
    const found = bindings.flatMap(({ mask: { factors } }) =>
      [...factors.keys()].filter((place) => factors[place] === 0),
    );
    const isRight = found.toSorted((a, b) => a - b).join() === zeros.toSorted((a, b) => a - b).join();
    return isRight ? `right${bindings[0]?.evidence === 'shape' ? ' by shape' : ''}` : 'wrong';
  } catch (error) {
    return error instanceof Error && 'code' in error ? 'refused' : 'crashed';
  }
}

const ALLOWED = [
  'right, oblong right',
  'refused, oblong refused',
  // In a layout that the path does not have, a square mask looks like one that has it. Oblong ones
  // are refused for it.
  'wrong, oblong refused',
  // An oblong shape is evidence where there is no other.
  'refused, oblong right by shape',
];

test('no square mask is turned where an oblong one is not', async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(path, fc.constantFrom<Layout>('torch', 'stored'), async (given, layout) => {
      const square = await outcome(given, { input: 4, output: 4 }, layout);
      const oblong = await outcome(given, { input: 4, output: 3 }, layout);
      const pair = `${square}, oblong ${oblong}`;
      seen.set(pair, (seen.get(pair) ?? 0) + 1);
      expect(ALLOWED).toContain(pair);
    }),
    { numRuns: 400, seed: 7 },
  );
  expect(seen.get('right, oblong right')).toBeGreaterThan(50);
});

describe('a square matrix', () => {
  const build = async (name: string, holder: Path['holder'] = 'initializer') => {
    const g = graphBuilder();
    const x = g.input('x', [2, 4]);
    if (holder === 'initializer') g.initializer(name, [4, 4], values('s', 16));
    else g.constant({ dims: [4, 4], data: values('s', 16) }, { outputs: [name] });
    g.output(g.op('MatMul', [x, name], {}, { name: 'p2o.MatMul.0' }));
    return slotsOf(g);
  };
  const placesOf = (bound: ReturnType<typeof bind>) =>
    bound.bindings.flatMap(({ mask: { factors } }) => [...factors.keys()].filter((at) => factors[at] === 0));

  test('in a Constant node under its own name is in its own layout, as an initializer is', async () => {
    const contents = { 'linear_0.w_0': mask([4, 4], [1]) };
    for (const holder of ['initializer', 'Constant'] as const)
      expect(placesOf(bind(await build('linear_0.w_0', holder), contents))).toEqual([1]);
  });

  test('behind a Cast has the axes of the tensor that the key names', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 4]);
    g.initializer('w', [4, 4], values('s', 16), 11);
    g.output(g.op('MatMul', [x, g.op('Cast', ['w'], { to: 1 })]));
    expect(placesOf(bind(await slotsOf(g), { w: mask([4, 4], [1]) }))).toEqual([1]);
  });

  test('by its shape alone is refused, and settled by --mask-layout', async () => {
    const slots = await build('const_fold_opt__12');
    const contents = { arr_0: mask([4, 4], [1]) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-AMBIGUOUS');
    expect(placesOf(bind(slots, contents, { layout: 'stored' }))).toEqual([1]);
    expect(placesOf(bind(slots, contents, { layout: 'torch' }))).toEqual([4]);
  });

  test('a mask that fits only when it is turned is refused, with the option that turns it', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 4]);
    g.initializer('fc.weight', [4, 3], values('s', 12));
    g.output(g.op('MatMul', [x, 'fc.weight'], {}, { name: '/fc/MatMul' }));
    const slots = await slotsOf(g);
    const contents = { 'fc.weight_mask': mask([3, 4], [1]) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-SHAPE');
    expect(placesOf(bind(slots, contents, { layout: 'torch' }))).toEqual([3]);
  });
});
