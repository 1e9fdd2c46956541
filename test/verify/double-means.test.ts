/** Float32 means of constant channels drift, and a compiled model holds the constant itself. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { INT64 } from '../../src/ir/tensor.js';
import { compileModel } from '../../src/compile.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { withDoubleMeans } from '../../src/verify/double-means.js';
import { verifyModels } from '../../src/verify/verify.js';
import { needsLibrary } from '../support/needs.js';

/**
 * Widths that are no multiple of 4 stay out of the optimiser's blocked layout: no other kernel then
 * shows how far the mean drifts.
 */
const CHANNELS = 13;
const DEAD = 4;
const CLASSES = 10;
const CONSTANTS = [0.1, 0.3, 0.7, 1.1];

interface Head {
  readonly mean: 'GlobalAveragePool' | 'ReduceMean';
  readonly opset: number;
  /** Whether the output reads the constant channels alone. */
  readonly isConstant?: boolean;
  readonly constants?: readonly number[];
  readonly dims?: readonly (number | string)[];
}

/**
 * Convolution with four dead filters that have a bias, Relu, mean over 224 x 224 places,
 * classifier.
 */
function classifier({ mean, opset, isConstant = false, constants = CONSTANTS, dims = [1, 3, 224, 224] }: Head) {
  const g = graphBuilder({ opset });
  const bias = normals(5, 'bias', CHANNELS, 0.2);
  bias.set(constants);
  const weights = normals(5, 'a', CHANNELS * 27, 0.2).fill(0, 0, DEAD * 27);
  const convolved = g.conv(
    g.input('x', dims),
    { data: weights, dims: [CHANNELS, 3, 3, 3] },
    { pads: 1, bias: { data: bias } },
  );
  const relu = g.relu(convolved);
  const pooled =
    mean === 'GlobalAveragePool'
      ? g.flatten(g.globalAveragePool(relu))
      : opset >= 18
        ? g.op('ReduceMean', [relu, { data: [2, 3], dataType: INT64 }], { keepdims: 0 })
        : g.op('ReduceMean', [relu], { axes: [2, 3], keepdims: 0 });
  const classes = normals(5, 'classes', CHANNELS * CLASSES, 0.5);
  const read = classes.map((value, at) => (isConstant && at % CHANNELS >= DEAD ? 0 : value));
  g.output(g.gemm(pooled, { data: read, dims: [CLASSES, CHANNELS] }, { outputs: ['classes'] }));
  // Somebody needs the other channels.
  if (isConstant) g.output(g.conv(relu, { data: normals(5, 'b', CHANNELS), dims: [1, CHANNELS, 1, 1] }));
  return g.bytes();
}

const HEADS: readonly Head[] = (['GlobalAveragePool', 'ReduceMean'] as const).flatMap((mean) =>
  [17, 18].flatMap((opset) => [false, true].map((isConstant) => ({ mean, opset, isConstant }))),
);

describe('means of constant channels over 224 x 224 places', () => {
  test.each(HEADS)('$mean, opset $opset, constant output: $isConstant', async (head) => {
    const model = classifier(head);
    const made = await compileModel(model);
    expect(made.report.after.channels).toBeLessThan(made.report.before.channels);
    const { equal, outputs, notes } = await verifyModels(model, made.encode());
    // No more is allowed than without this.
    const bound = 16 * 2 ** -23;
    expect([equal, outputs?.[0]]).toEqual([true, expect.objectContaining({ name: 'classes', bound })]);
    expect(outputs?.[0]?.difference).toBeLessThan(bound);
    expect(notes.join('\n')).toMatch(/float32 means over many places drift: compared with means taken in double/);
  });

  const NATIVE = HEADS.filter(({ isConstant }) => isConstant !== true);
  test.each(NATIVE)('and by native operators: $mean, opset $opset', needsLibrary, async (head) => {
    const model = classifier(head);
    const made = await compileModel(model, { sparse: true, sparseTarget: PAYS_FROM_30_PERCENT });
    expect(withDoubleMeans(made.encode())).toBeUndefined();
    expect(await verifyModels(model, made.encode())).toMatchObject({ equal: true });
  });

  test('at free sizes too', async () => {
    const model = classifier({ mean: 'ReduceMean', opset: 17, dims: ['n', 3, 'h', 'w'] });
    const made = await compileModel(model);
    expect(await verifyModels(model, made.encode())).toMatchObject({ equal: true });
  });

  test.each(HEADS)(
    'a constant that is off by less than the drift is found: $mean, $opset, $isConstant',
    async (head) => {
      // 1e-5 of one constant: the mean of the reference is off by more than that.
      const moved = classifier({ ...head, constants: CONSTANTS.map((value, at) => (at === 2 ? value + 1e-5 : value)) });
      const made = await compileModel(moved);
      expect(await verifyModels(classifier(head), made.encode())).toMatchObject({ equal: false });
    },
  );

  test('noise of a mean hides no error: a bias that is off by 1e-4', async () => {
    // As many channels as fill the optimiser's blocks: its own kernel drifts otherwise, which
    // counts as noise.
    const model = (bias: number) => {
      const g = graphBuilder();
      const biases = normals(5, 'biases', 16, 0.2).map((value, at) => value + (at === 3 ? bias : 10));
      const weights = { data: normals(5, 'w', 16 * 27, 0.01), dims: [16, 3, 3, 3] };
      const convolved = g.conv(g.input('x', [1, 3, 224, 224]), weights, { pads: 1, bias: { data: biases } });
      g.output(g.globalAveragePool(g.relu(convolved)));
      return g.bytes();
    };
    const { equal, bound, notes } = await verifyModels(model(10), model(10 + 1e-4));
    expect([equal, notes]).toEqual([false, [expect.stringMatching(/compared with means in double precision/)]]);
    expect(bound).toBeLessThan(4e-6);
    expect(await verifyModels(model(10), model(10))).toMatchObject({ equal: true, bound });
  });

  test('what a mean does not explain is not looked at again', async () => {
    const head = { mean: 'ReduceMean', opset: 17 } as const;
    const moved = classifier({ ...head, constants: [0.2, 0.3, 0.7, 1.1] });
    const { equal, notes } = await verifyModels(classifier(head), moved);
    expect([equal, notes]).toEqual([false, []]);
  });
});

describe('withDoubleMeans', () => {
  test('computes the same', async () => {
    for (const head of HEADS) {
      const dims = [1, 3, 8, 8];
      const model = classifier({ ...head, dims });
      const sharper = withDoubleMeans(model);
      expect(sharper && (await verifyModels(model, sharper))).toMatchObject({ equal: true });
    }
  });

  test('is undefined without means', () => {
    const g = graphBuilder();
    g.output(g.relu(g.input('x', [1, 4])));
    expect(withDoubleMeans(g.bytes())).toBeUndefined();
  });
});
