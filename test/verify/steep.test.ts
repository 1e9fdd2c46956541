/**
 * Sums that cancel behind a root: a rounding becomes a large number there, in a right model too.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';
import { needsLibrary } from '../support/needs.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';

const WIDTH = 32;
const ROWS = 16;

interface Edit {
  readonly isReversed?: boolean;
  /** Wrong: of one weight of the sums that cancel, of those beside them, and of the roots. */
  readonly weight?: number;
  readonly beside?: number;
  readonly root?: number;
  /** Whether there is nothing but roots. */
  readonly isAlone?: boolean;
}

/**
 * sqrt(|a - b|), where a and b are the same sum of 32 constants in two orders, beside a sum of the
 * inputs. No input moves the constants, so that the noise of the output shows nothing of them.
 */
function rooted({ isReversed = false, weight = 0, beside = 0, root = 0, isAlone = false }: Edit = {}): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['n', WIDTH]);
  const weights = normals(5, 'w', ROWS * WIDTH, 0.3);
  const constants = normals(5, 'constants', WIDTH);
  const order = Array.from({ length: WIDTH }, (_, at) => (isReversed ? WIDTH - 1 - at : at));
  const turned = order.map((_, at) => (at * 7) % WIDTH);
  const bias = { data: order.map((at) => constants[at] ?? 0) };
  const features = g.gemm(x, { data: new Float32Array(WIDTH * WIDTH), dims: [WIDTH, WIDTH] }, { bias });
  const rows = (places: readonly number[], change: number) => ({
    data: Float32Array.from({ length: ROWS * WIDTH }, (_, at) => {
      const [row, column] = [Math.floor(at / WIDTH), at % WIDTH];
      return (weights[row * WIDTH + (places[column] ?? 0)] ?? 0) + (at === 5 ? change : 0);
    }),
    dims: [ROWS, WIDTH],
  });
  const a = g.gemm(features, rows(order, 0));
  const inTurn = g.op('Gather', [features, int64(turned)], { axis: 1 });
  const b = g.gemm(
    inTurn,
    rows(
      turned.map((at) => order[at] ?? 0),
      weight,
    ),
  );
  const roots = g.mul(g.op('Sqrt', [g.op('Abs', [g.op('Sub', [a, b])])]), scalar(1 + root));
  const others = g.gemm(x, rows([...order.keys()], beside));
  g.output(
    isAlone ? g.op('Identity', [roots], {}, { outputs: ['y'] }) : g.concat([roots, others], 1, { outputs: ['y'] }),
  );
  return g.bytes();
}

describe('roots of sums that cancel', () => {
  const reference = rooted();

  test('may differ by what rounding does there, which is said', async () => {
    const result = await verifyModels(reference, rooted({ isReversed: true }));
    expect(result.equal).toBe(true);
    expect(result.difference).toBeGreaterThan(1e-5);
    expect(result.notes.join()).toMatch(/values of output "y" move by up to \S+ of its scale under rounding alone/);
    expect(result.boundReason).toMatch(/elsewhere \d\.\de-[67]/);
  });

  test.each<[string, Edit]>([
    ['a weight of a sum that cancels', { weight: 1e-3 }],
    ['a weight beside them', { beside: 1e-4 }],
    ['the roots, all a hundredfold', { root: 99 }],
  ])('negative control: a wrong edit of %s is found', async (_, edit) => {
    expect((await verifyModels(reference, rooted({ ...edit, isReversed: true }))).equal).toBe(false);
  });

  test('are found where there is nothing else', async () => {
    const alone = rooted({ isAlone: true });
    expect((await verifyModels(alone, rooted({ isAlone: true, weight: 1e-3, isReversed: true }))).equal).toBe(false);
  });
});

/**
 * Constants all over, whose mean cancels: in float32 it is 3e-9 instead of 0, and the root of that
 * 7e-3 of the other values.
 */
function cancelledMean(shift = 0): Uint8Array {
  const g = graphBuilder({ opset: 10 });
  const x = g.input('x', [2, 6, 3, 8]);
  const vector = (data: readonly number[]) => ({ data });
  const dead = g.conv(x, { data: new Float32Array(4 * 6 * 15), dims: [4, 6, 3, 5] }, { pads: [2, 0, 2, 1] });
  const normal = g.batchNorm(
    dead,
    {
      scale: vector([1, -2, -1, 2]),
      shift: vector([-1 + shift, 2, 1, -1]),
      mean: vector([-1, 3, 1, 1]),
      variance: vector([4, 1, 1, 4]),
    },
    { epsilon: 1e-3 },
  );
  const cut = g.slice(normal, { axes: [1, 3], starts: [1, 1], ends: [3, 4] });
  const sums = g.add(g.mul({ data: [0, 0, 2, -3, -1], dims: [1, 5, 1] }, cut), scalar(-3));
  const mean = g.globalAveragePool(sums);
  const doubled = g.add(g.transpose(mean, [0, 2, 1, 3]), g.reshape(mean, [2, 1, 2, 1]));
  const gated = g.mul(g.op('Sigmoid', [doubled]), doubled);
  g.output(g.op('Sqrt', [g.op('Abs', [gated])], {}, { outputs: ['y'] }));
  return g.bytes();
}

describe('a mean of constants that cancels, with sparse operators', needsLibrary, () => {
  test('equals what is compiled from it', async () => {
    const reference = cancelledMean();
    const compiled = await compileModel(reference, { sparse: true, sparseTarget: PAYS_FROM_30_PERCENT });
    const { equal, reason } = await verifyModels(reference, compiled.encode());
    expect(reason).toBeUndefined();
    expect(equal).toBe(true);
  });
});
