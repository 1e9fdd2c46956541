/** Sparse layers whose results are outputs of the model: names, types, shapes and order stay. */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyModels } from '../../src/verify/verify.js';
import { compiled, batchNorm, SHAPES, sparseWeights, vector } from './sparse-models.js';
import { needsLibrary } from '../support/needs.js';

describe('results that are outputs of the model', needsLibrary, () => {
  const weights = (out: number, extent = 3) => sparseWeights([out, 16, extent, extent], 0.8);
  const conv = (g: GraphBuilder, x: string, out = 16) => g.conv(x, weights(out), { pads: 1, bias: vector('b', out) });

  /** Names, types and shapes, in order. */
  async function outputsOf(bytes: Uint8Array) {
    const session = await createSession(bytes);
    const { outputMetadata } = session;
    await session.release();
    return outputMetadata;
  }

  test.each<[string, (g: GraphBuilder, x: string) => readonly string[], readonly string[], readonly string[]]>([
    ['a convolution', (g, x) => [conv(g, x)], ['SparseConv'], ['SparseConv']],
    [
      'one with all that may be behind it',
      (g, x) => [g.relu(g.add(batchNorm(g, conv(g, x), 16), x))],
      ['SparseConv'],
      ['Enter', 'SparseConv'],
    ],
    [
      'read by a sparse and a dense operator as well',
      (g, x) => {
        const y = g.relu(conv(g, x));
        return [g.op('Abs', [conv(g, y, 8)]), y, g.op('Neg', [y])];
      },
      ['Abs', 'Leave', 'Neg'],
      ['Leave', 'SparseConv', 'SparseConv'],
    ],
    [
      'read by sparse operators alone',
      (g, x) => {
        const y = conv(g, x);
        return [conv(g, y, 8), y];
      },
      ['SparseConv', 'Leave'],
      ['Leave', 'SparseConv', 'SparseConv'],
    ],
    // Nothing may be fused behind a value that must survive.
    [
      'the sum before an activation',
      (g, x) => {
        const sum = g.add(conv(g, x), x);
        return [g.relu(sum), sum];
      },
      ['Relu', 'SparseConv'],
      ['Enter', 'SparseConv'],
    ],
    [
      'a value inside a composed activation',
      (g, x) => {
        const y = conv(g, x);
        const gate = g.op('Sigmoid', [y]);
        return [g.mul(y, gate), gate];
      },
      ['Mul', 'Sigmoid'],
      ['SparseConv'],
    ],
    [
      'the residual of another layer',
      (g, x) => {
        const y = conv(g, x);
        return [y, g.relu(g.add(conv(g, conv(g, y)), y))];
      },
      ['Leave', 'SparseConv'],
      ['Leave', 'SparseConv', 'SparseConv', 'SparseConv'],
    ],
    [
      'an input of the model that two layers read, and their sum',
      (g, x) => [g.add(conv(g, x), conv(g, x))],
      ['SparseConv'],
      ['Enter', 'SparseConv', 'SparseConv'],
    ],
    [
      'a matrix product with its bias and activation',
      (g, x) => [g.relu(g.add(g.op('MatMul', [x, sparseWeights([12, 20], 0.8)]), vector('b', 20)))],
      ['SparseMatMul'],
      ['SparseMatMul'],
    ],
    [
      'a Gemm that is read again',
      (g, x) => {
        const y = g.gemm(g.reshape(x, [-1, 12]), sparseWeights([20, 12], 0.8), { bias: vector('b', 20) });
        return [g.relu(y), y];
      },
      ['Relu', 'SparseMatMul'],
      ['SparseMatMul'],
    ],
  ])('%s', async (_, build, makers, natives) => {
    for (const dims of [SHAPES.x, ['n', 16, 'h', 12]]) {
      const model = (shapes?: ReadonlyMap<string, readonly (number | string)[]>) => {
        const g = graphBuilder();
        for (const y of build(g, g.input('x', dims))) g.output(y, shapes?.get(y));
        return g.bytes();
      };
      // Shapes of outputs are written down, as ONNX requires: they are not inferred for custom
      // operators.
      const bytes = model(
        new Map((await outputsOf(model())).map((value) => [value.name, value.isTensor ? value.shape : []])),
      );
      const made = await compiled(bytes, { shapes: SHAPES });
      expect(made.natives.toSorted()).toEqual(natives);
      expect(readModel(made.output).graph.outputs.map(({ producer }) => producer?.opType)).toEqual(makers);
      expect(await verifyModels(bytes, made.output, { shapes: SHAPES })).toMatchObject({ equal: true });
      expect(await outputsOf(made.output)).toEqual(await outputsOf(bytes));
    }
  });

  test('a value that a branch reads by its name', async () => {
    const g = graphBuilder();
    const y = g.relu(conv(g, g.input('x', SHAPES.x)));
    const branch = (opType: string) => {
      const inner = graphBuilder({ name: opType });
      inner.op(opType, [y], {}, { outputs: [`${opType}_inner`] });
      inner.output(`${opType}_inner`);
      return { graph: inner.graph() };
    };
    const condition = g.constant({ data: [1], dims: [], dataType: 9 });
    const taken = g.op('If', [condition], { then_branch: branch('Abs'), else_branch: branch('Neg') });
    g.output(taken);
    g.output(g.op('Tanh', [conv(g, y)]));
    const { output, natives } = await compiled(g.bytes());
    expect(natives.toSorted()).toEqual(['Leave', 'SparseConv', 'SparseConv']);
    expect(await verifyModels(g.bytes(), output)).toMatchObject({ equal: true });
  });

  test('the comparison detects swapped outputs', async () => {
    const model = (isSwapped: boolean) => {
      const g = graphBuilder();
      const x = g.input('x', SHAPES.x);
      const conv1x1 = (name: string) => g.conv(x, { data: normals(11, name, 16 * 16, 0.3), dims: [16, 16, 1, 1] });
      const values = [conv1x1('first'), conv1x1('second')];
      for (const value of isSwapped ? values.toReversed() : values) g.output(value);
      return g.bytes();
    };
    const { output } = await compiled(model(false));
    expect(await verifyModels(model(false), output)).toMatchObject({ equal: true });
    expect(await verifyModels(model(true), output)).toMatchObject({ equal: false });
  });
});
