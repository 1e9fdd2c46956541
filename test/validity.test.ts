/**
 * Models that hold together as graphs, and that nothing can compute: one error each, before anybody
 * divides by zero or loops for ever.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder, int64 } from '../fixtures/networks/graph-builder.js';
import { normals } from '../fixtures/networks/random.js';
import { compileModel } from '../src/compile.js';
import { inspectModel } from '../src/inspect.js';
import { verifyModels } from '../src/verify/verify.js';
import { failureFrom } from './onnx/failure.js';

const CHECKER =
  'try: python -c "import onnx; onnx.checker.check_model(\'model.onnx\', full_check=True)" and export it again';

function windowed(opType: string, attributes: Record<string, number | readonly number[]>): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 4, 8, 8]);
  const weights = opType.startsWith('Conv') ? [g.initializer('w', [4, 4, 3, 3], normals(1, 'w', 144))] : [];
  g.output(g.op(opType, [x, ...weights], { kernel_shape: [3, 3], ...attributes }, { name: 'node' }));
  return g.bytes();
}

const refusal = (model: Uint8Array) =>
  compileModel(model).then(
    () => 'compiled',
    (error: unknown) => failureFrom(error),
  );

describe('attributes', () => {
  const kinds = ['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'LpPool'];
  const values = [0, -1, -(2 ** 40)];
  const cases = kinds.flatMap((op) =>
    ['strides', 'kernel_shape', 'dilations', ...(op.startsWith('Conv') ? ['group'] : [])].flatMap((name) =>
      values.map((value) => [op, name, value] as const),
    ),
  );
  test.each(cases)('%s with %s %d', async (op, name, value) => {
    expect(await refusal(windowed(op, { [name]: name === 'group' ? value : [1, value] }))).toEqual({
      code: 'E-MODEL-INVALID',
      what: 'the model has a node that cannot be computed: node',
      facts: [`why: ${name} is ${name === 'group' ? value : `1, ${value}`}, and may not be below 1`, CHECKER],
    });
  });

  test('pads below zero', async () => {
    expect(await refusal(windowed('Conv', { pads: [0, -1, 0, 0] }))).toMatchObject({
      facts: ['why: pads is 0, -1, 0, 0, and may not be below 0', CHECKER],
    });
  });

  test('inside a branch', async () => {
    const inner = graphBuilder({ name: 'branch' });
    inner.output(inner.op('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [0, 1] }, { name: 'pool' }));
    const other = graphBuilder({ name: 'other' });
    other.output(other.op('Relu', ['x'], {}, { name: 'relu' }));
    const g = graphBuilder();
    g.input('x', [1, 4, 8, 8]);
    const condition = g.input('condition', [], 9);
    const branches = { then_branch: { graph: inner.graph() }, else_branch: { graph: other.graph() } };
    g.output(g.op('If', [condition], branches));
    expect(await refusal(g.bytes())).toMatchObject({ what: 'the model has a node that cannot be computed: pool' });
  });
});

describe('groups', () => {
  test('that do not divide the filters, and that do not fit what comes in', async () => {
    expect(await refusal(windowed('Conv', { group: 3 }))).toMatchObject({
      facts: ['why: 4 filters are not 3 equal groups', CHECKER],
    });
    expect(await refusal(windowed('Conv', { group: 2 }))).toMatchObject({
      facts: ['why: its weight has 4 channels in each of 2 groups, and 4 come in', CHECKER],
    });
  });
});

test('a model without outputs', async () => {
  const g = graphBuilder();
  g.relu(g.input('x', [1, 4]));
  expect(await refusal(g.bytes())).toMatchObject({
    code: 'E-MODEL-INVALID',
    facts: expect.arrayContaining(['why: it has no outputs, so there is nothing to compute']),
  });
});

test('two readers of one value of which the extents are in doubt', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 'h', 'w']);
  const c = g.conv(x, g.initializer('w', [4, 3, 1, 1], normals(1, 'w', 12)));
  const pools = [2, 3].map((size) => g.maxPool(c, [size, size], { strides: 2, pads: 1, ceilMode: true }));
  for (const pool of pools) g.output(pool);
  const model = g.bytes();
  const compiled = await compileModel(model);
  expect(await verifyModels(model, compiled.encode())).toMatchObject({ equal: true });
  await inspectModel(model);
});

test('what a model computes wrongly for itself is its own fault, also where folding finds it first', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 4, 2, 2]);
  const target = g.concat([g.op('Shape', [x], { end: 2 }), int64([-2, 2])], 0);
  g.output(g.op('Reshape', [x, target]));
  expect(await refusal(g.bytes())).toMatchObject({
    code: 'E-MODEL-RUNTIME',
    what: 'the model does not run on random inputs',
  });
});

describe('extents', () => {
  function convolved(dims: readonly number[], after: (g: GraphBuilder, y: string) => string): Uint8Array {
    const g = graphBuilder();
    const y = g.conv(g.input('x', dims), g.initializer('w', [4, 3, 1, 1], normals(1, 'w', 12)));
    g.output(after(g, g.relu(y)));
    return g.bytes();
  }

  test.each([2e7, 2 ** 31])('%d columns have no positions, and are too many to run', async (columns) => {
    const model = convolved([1, 3, 1, columns], (_, y) => y);
    expect(await inspectModel(model)).toMatchObject({ removableChannels: 0, figures: { channels: 4 } });
    expect((await compileModel(model)).report.changed).toBe(false);
  });

  test('an input that cannot be made up', async () => {
    const model = convolved([1, 3, 2 ** 16, 2 ** 16], (_, y) => y);
    await expect(verifyModels(model, model)).rejects.toMatchObject({
      code: 'E-MODEL-LIMIT',
      what: `the input x has ${3 * 2 ** 32} elements, too many to generate`,
    });
  });

  test('more channels than are followed', async () => {
    const model = convolved([1, 3, 2, 2], (g, y) => g.pad(y, [0, 0, 0, 0, 0, 2 ** 40, 0, 0]));
    expect(await refusal(model)).toMatchObject({
      code: 'E-MODEL-LIMIT',
      what: expect.stringMatching(
        /^the channel axes of the model have 10995116278\d\d positions, more than can be analysed$/,
      ),
      facts: [
        `where: axis 1 of Pad_output_0 has ${2 ** 40 + 4}`,
        'why: the limit is 8388608, or the number of values that the model stores',
        'try: export the model again at the size it is used at',
      ],
    });
  });

  test('a few numbers that become very many are left to the run', async () => {
    const model = convolved([1, 3, 2, 2], (g, y) =>
      g.mul(y, g.reduceMean(g.op('ConstantOfShape', [int64([1, 4, 2 ** 23, 1])], { value: { data: [2] } }), [2, 3])),
    );
    const { report } = await compileModel(model);
    expect(report.after.parameters).toBeLessThan(100);
  });
});
