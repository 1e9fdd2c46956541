/**
 * Networks that choose: their sums may be ordered otherwise in a right model, and ties fall to the
 * other side.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder, int64, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { BOOL, FLOAT, INT64 } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';

const HALF = 8;
const SIZE = 6;
const IMAGE = 3;
/** The second half of the features are those of the first in this order. */
const COPIES = [3, 6, 0, 7, 1, 5, 2, 4];

interface Edit {
  /** Of the features: a right edit, which sums them otherwise. */
  readonly isReversed?: boolean;
  /**
   * Wrong edits: of the scores in front of the choice, of the boxes, of what is done with the
   * chosen ones.
   */
  readonly score?: number;
  readonly box?: number;
  readonly chosen?: number;
  readonly overlap?: number;
  readonly isRenamed?: boolean;
}

/**
 * Two maps of scores that are equal for every input, but for the order in which 8 features are
 * summed.
 */
function tiedScores(g: GraphBuilder, { isReversed = false, score = 0 }: Edit = {}) {
  const weights = normals(3, 'features', HALF * IMAGE * 9, 0.3);
  const filters = [...Array.from({ length: HALF }, (_, at) => at), ...COPIES];
  const order = filters.map((_, at) => (isReversed ? filters.length - 1 - at : at));
  const features = order.flatMap((at) => {
    const filter = filters[at] ?? 0;
    return [...weights.subarray(filter * IMAGE * 9, (filter + 1) * IMAGE * 9)];
  });
  const sums = normals(3, 'sums', HALF, 0.5);
  const reads = [0, 1].flatMap((map) =>
    order.map((at) => (Math.floor(at / HALF) === map ? (sums[filters[at] ?? 0] ?? 0) + (at === 9 ? score : 0) : 0)),
  );
  const x = g.input('x', [1, IMAGE, SIZE, SIZE]);
  const seen = g.relu(g.conv(x, { data: features, dims: [2 * HALF, IMAGE, 3, 3] }, { pads: 1 }));
  const scores = g.conv(seen, { data: reads, dims: [2, 2 * HALF, 1, 1] });
  return { x, seen, scores };
}

const ANCHORS = 2 * SIZE * SIZE;

/** Chooses the 10 best of 72 places, then those that do not overlap, and gives boxes and places. */
function detector(edit: Edit = {}): Uint8Array {
  const g = graphBuilder();
  const { seen, scores } = tiedScores(g, edit);
  const name = (wish: string) => (edit.isRenamed === true ? `other_${wish}` : wish);
  const flat = g.reshape(scores, [ANCHORS]);
  const [best = '', places = ''] = g.ops('TopK', [flat, int64([10])], {}, { outputs: [name('best'), name('places')] });
  const scale = 1 + (edit.box ?? 0);
  const boxWeights = normals(3, 'boxes', 8 * HALF, 0.5).map((value) => scale * value);
  // Only the first half is read: its own order of sums does not matter here.
  const order = edit.isReversed === true ? [...Array(16).keys()].toReversed() : [...Array(16).keys()];
  const reads = Array.from({ length: 8 }, (_, out) =>
    order.map((at) => (at < HALF ? (boxWeights[out * HALF + at] ?? 0) : 0)),
  ).flat();
  const raw = g.conv(seen, { data: reads, dims: [8, 16, 1, 1] });
  const boxes = g.reshape(g.transpose(raw, [0, 2, 3, 1]), [ANCHORS, 4]);
  const chosen = g.op('Gather', [boxes, places], { axis: 0 });
  const widened = g.mul(chosen, scalar(1 + (edit.chosen ?? 0)));
  const kept = g.op(
    'NonMaxSuppression',
    [
      g.reshape(widened, [1, 10, 4]),
      g.reshape(best, [1, 1, 10]),
      int64([5]),
      scalar(0.5 + (edit.overlap ?? 0)),
      scalar(-9),
    ],
    {},
    { outputs: [name('kept')] },
  );
  g.output(g.op('Identity', [widened], {}, { outputs: ['boxes'] }));
  g.output(g.op('Identity', [places], {}, { outputs: ['labels'] }), undefined, INT64);
  g.output(g.op('Identity', [kept], {}, { outputs: ['rows'] }), undefined, INT64);
  return g.bytes();
}

describe('a detector whose scores are tied', () => {
  const reference = detector();

  test('equals one that orders the ties otherwise, and says so', async () => {
    const result = await verifyModels(reference, detector({ isReversed: true }));
    expect(result).toMatchObject({ equal: true, upToTies: true });
    expect(result.bound).toBeLessThan(1e-5);
    const [note = ''] = result.notes.filter((text) => text.startsWith('compared up to ties'));
    expect(note).toMatch(/what TopK .*, NonMaxSuppression .* read is equal within the bound/);
    expect(note).toMatch(/the compiled model chooses [1-9]\d* of \d+ values differently/);
  });

  test('whatever the values are called', async () => {
    const result = await verifyModels(reference, detector({ isReversed: true, isRenamed: true }));
    expect(result).toMatchObject({ equal: true, upToTies: true });
  });

  test('needs no such comparison for itself', async () => {
    const result = await verifyModels(reference, reference);
    expect(result.equal).toBe(true);
    expect(result.upToTies).toBeUndefined();
  });

  test.each<[string, Edit, RegExp]>([
    ['a score in front of the choice', { score: 1e-3 }, /^what TopK .* reads differs by \S+ of its scale/],
    ['the boxes that are chosen from', { box: 1e-4 }, /^(output "boxes"|what NonMax\S+ .* reads) differs by/],
    ['what is done with the chosen boxes', { chosen: 1e-4 }, /^(output "boxes"|what NonMax\S+ .* reads) differs by/],
    ['how far boxes may overlap', { overlap: 0.1 }, /^what NonMax\S+ .* reads differs by/],
  ])('negative control: a wrong edit of %s is found, whatever the order', async (_, edit, reason) => {
    for (const isReversed of [false, true]) {
      const result = await verifyModels(reference, detector({ ...edit, isReversed }));
      expect(result.equal).toBe(false);
      if (isReversed) expect(result.reason).toMatch(reason);
    }
  });
});

/**
 * `build` makes something discontinuous of the difference of two sums that are equal but for
 * rounding.
 */
function jumping(build: (g: GraphBuilder, tie: string) => string, { factor = 1, ...edit }: Edit & { factor?: number }) {
  const g = graphBuilder({ opset: 18 });
  const { scores } = tiedScores(g, edit);
  const [first = '', second = ''] = g.split(scores, [1, 1]);
  const tie = g.op('Sub', [first, second]);
  g.output(g.mul(g.add(build(g, tie), g.mul(first, scalar(0.5))), scalar(factor), { outputs: ['y'] }));
  return g.bytes();
}

const asFloat = (g: GraphBuilder, value: string) => g.op('Cast', [value], { to: FLOAT });

describe('other operators that jump where sums are tied', () => {
  test.each<[string, (g: GraphBuilder, tie: string) => string]>([
    ['Sign', (g, tie) => g.op('Sign', [tie])],
    ['Floor', (g, tie) => g.op('Floor', [tie])],
    ['Ceil', (g, tie) => g.op('Ceil', [tie])],
    ['Round', (g, tie) => g.op('Round', [g.add(tie, scalar(0.5))])],
    ['Cast to whole numbers', (g, tie) => asFloat(g, g.op('Cast', [g.add(tie, scalar(1))], { to: INT64 }))],
    ['Greater', (g, tie) => asFloat(g, g.op('Greater', [tie, scalar(0)]))],
    ['LessOrEqual', (g, tie) => asFloat(g, g.op('LessOrEqual', [tie, scalar(0)]))],
    ['Equal', (g, tie) => asFloat(g, g.op('Equal', [tie, scalar(0)]))],
    ['Cast to bool', (g, tie) => asFloat(g, g.op('Cast', [tie], { to: BOOL }))],
    ['Where', (g, tie) => g.op('Where', [g.op('Greater', [tie, scalar(0)]), scalar(2), scalar(-1)])],
    ['ArgMax', (g, tie) => asFloat(g, g.op('ArgMax', [g.concat([tie, g.op('Neg', [tie])])], { axis: 1 }))],
    ['ArgMin', (g, tie) => asFloat(g, g.op('ArgMin', [g.concat([tie, g.op('Neg', [tie])])], { axis: 1 }))],
    ['Hardmax', (g, tie) => g.op('Hardmax', [g.concat([tie, g.op('Neg', [tie])])], { axis: 1 })],
    ['NonZero', (g, tie) => asFloat(g, g.op('Size', [g.op('NonZero', [g.op('Abs', [tie])])]))],
    ['Unique', (g, tie) => asFloat(g, g.op('Size', [g.op('Unique', [tie])]))],
    ['ThresholdedRelu', (g, tie) => g.op('ThresholdedRelu', [g.add(tie, scalar(1))], { alpha: 1 })],
    ['QuantizeLinear', (g, tie) => asFloat(g, g.op('QuantizeLinear', [g.add(tie, scalar(0.5)), scalar(1)]))],
  ])('%s', async (_, build) => {
    const reference = jumping(build, {});
    const right = await verifyModels(reference, jumping(build, { isReversed: true }));
    expect(right).toMatchObject({ equal: true, upToTies: true });
    expect(right.bound).toBeLessThan(1e-4);
    for (const wrong of [{ score: 1e-3 }, { factor: 1.001 }]) {
      const { equal } = await verifyModels(reference, jumping(build, { ...wrong, isReversed: true }));
      expect(equal).toBe(false);
    }
  });

  test('inside a subgraph', async () => {
    const branch = (factor: number) => {
      const inner = graphBuilder({ opset: 18 });
      inner.output(inner.mul(inner.op('Sign', ['tie']), scalar(factor), { outputs: ['signs'] }));
      return { graph: inner.graph() };
    };
    const build = (edit: Edit & { factor?: number; inner?: number }) => {
      const g = graphBuilder({ opset: 18 });
      const { scores } = tiedScores(g, edit);
      const [first = '', second = ''] = g.split(scores, [1, 1]);
      g.op('Sub', [first, second], {}, { outputs: ['tie'] });
      const always = { data: [true], dims: [] };
      const signs = g.op('If', [always], { then_branch: branch(edit.inner ?? 1), else_branch: branch(2) });
      g.output(g.mul(g.add(signs, first), scalar(edit.factor ?? 1), { outputs: ['y'] }));
      return g.bytes();
    };
    const reference = build({});
    expect(await verifyModels(reference, build({ isReversed: true }))).toMatchObject({ equal: true, upToTies: true });
    for (const wrong of [{ score: 1e-3 }, { factor: 1.001 }])
      expect((await verifyModels(reference, build({ ...wrong, isReversed: true }))).equal).toBe(false);
    // Another subgraph is another function: it is given no choices.
    const other = await verifyModels(reference, build({ inner: 1.001, isReversed: true }));
    expect(other.upToTies).toBeUndefined();
    expect(other.notes.join()).toMatch(/errors below \S+ cannot be seen/);
  });
});

describe('random numbers in the model', () => {
  const build = (factor: number) => {
    const g = graphBuilder();
    const x = g.input('x', [1, 64]);
    const noise = g.op('RandomNormalLike', [x]);
    g.output(g.gemm(g.add(x, noise), { data: normals(1, 'w', 256).map((value) => factor * value), dims: [4, 64] }));
    return g.bytes();
  };

  test('are the same for both models', async () => {
    const result = await verifyModels(build(1), build(1));
    expect(result.equal).toBe(true);
    expect(result.bound).toBeLessThan(1e-5);
  });

  test('hide no wrong edit', async () => {
    expect((await verifyModels(build(1), build(1.0001))).equal).toBe(false);
  });
});
