/**
 * Passes and reports find things by fields: names that the compiler itself would give stand in the
 * model already, and mean nothing.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { namedCases } from '../../fixtures/networks/named-cases.js';
import { normals } from '../../fixtures/networks/random.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { explainNode } from '../../src/why.js';
import { showBoth } from '../support/show-graph.js';
import { runPass } from './run-pass.js';

/** A fifth of the weights is there. */
const scattered = (dims: readonly number[]) => ({
  data: Array.from({ length: dims.reduce((total, extent) => total * extent, 1) }, (_, at) => (at % 5 === 0 ? 1 : 0)),
  dims,
});

describe('a layer that becomes a sparse operator', () => {
  /** 16 channels at 8 x 8 places: 64 * 2304 MACs, of which 461 weights are kept. */
  async function figures(others: (g: GraphBuilder, x: string) => string) {
    const g = graphBuilder();
    const x = g.input('x', [1, 16, 8, 8]);
    const y = g.conv(x, scattered([16, 16, 3, 3]), { pads: 1, name: 'c' });
    g.output(others(g, y));
    const { report } = await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER });
    const [layer] = report.layers;
    return { macs: report.after.macs, isSparse: layer?.isSparse, layers: report.sparse?.layers };
  }

  test.each(['c_sparse', 'c_sparse_2', 'other'])('is found beside a node called %s', async (name) => {
    const found = await figures((g, y) => g.op('Abs', [y], {}, { name }));
    expect(found).toEqual({ macs: 64 * 461, isSparse: true, layers: 1 });
  });

  test('is found where the clashing node is a sparse operator itself', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 16, 8, 8]);
    const first = g.conv(x, scattered([16, 16, 3, 3]), { pads: 1, name: 'c' });
    g.output(g.conv(g.op('Abs', [first]), scattered([8, 16, 1, 1]), { name: 'c_sparse' }));
    const { report } = await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER });
    expect(report.layers.map(({ node, isSparse }) => [node, isSparse])).toEqual([
      ['c', true],
      ['c_sparse', true],
    ]);
    expect(report.after.macs).toBe(64 * (461 + 26));
  });
});

describe('what the compiler adds', () => {
  /**
   * Two filters without weights hold 2 and 3, which meet zero padding: a map of the place gives
   * them back.
   */
  function padded(others?: (g: GraphBuilder, x: string) => void): Uint8Array {
    const g = graphBuilder();
    const x = g.input('x', [1, 4, 10, 10]);
    const first = Array.from({ length: 8 * 4 }, (_, at) => (at < 2 * 4 ? 0 : 1 + (at % 3)));
    const hidden = g.relu(
      g.conv(x, { data: first, dims: [8, 4, 1, 1] }, { bias: [2, 3, 0, 0, 0, 0, 0, 0], name: 'first' }),
    );
    const second = { data: normals(3, 'w', 8 * 8 * 9), dims: [8, 8, 3, 3] };
    g.output(g.op('Abs', [g.conv(hidden, second, { pads: 1, name: 'second' })]));
    others?.(g, x);
    return g.bytes();
  }

  async function checked(bytes: Uint8Array) {
    const compiled = await compileModel(bytes, { align: 1 });
    expect((await verifyModels(bytes, compiled.encode(), { seeds: [1] })).equal).toBe(true);
    return compiled;
  }

  test('is no layer, and not so when the compiled file is read again', async () => {
    const compiled = await checked(padded());
    expect(compiled.report.edits.length).toBeGreaterThan(0);
    expect(compiled.report.layers.map(({ node }) => node)).toEqual(['first', 'second']);
    expect(compiled.report.after.channels).toBe(14);
    const { graph } = readModel(compiled.encode());
    expect(graph.nodes.filter(({ origin }) => origin?.kind === 'compensation')).toHaveLength(1);
    expect(await showBoth(padded(), compiled.encode())).toMatchInlineSnapshot(`
      inputs: x [1,4,10,10]
      first_output_0 [1,8,10,10] = Conv(x, first.1 [8,4,1,1], first.2 [8] {2 3 0 0 0 0 0 0})
      Relu_output_0 [1,8,10,10] = Relu(first_output_0)
      second_output_0 [1,8,10,10] = Conv(Relu_output_0, second.1 [8,8,3,3]) pads=1,1,1,1
      Abs_output_0 [1,8,10,10] = Abs(second_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [1,4,10,10]
      first_output_0 [1,6,10,10] = Conv(x, first.1 [6,4,1,1], first.2 [6] {0 0 0 0 0 0})
      Relu_output_0 [1,6,10,10] = Relu(first_output_0)
      prune_compile/ones_of_Relu_output_0 [1,16,10,10] = Conv(Relu_output_0, Relu_output_0_no_weight [16,6,1,1], Relu_output_0_ones [16])
      prune_compile/taps_of_Relu_output_0 [1,16,10,10] = Conv(prune_compile/ones_of_Relu_output_0, Relu_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      second_output_0_constants [1,8,10,10] = Conv(prune_compile/taps_of_Relu_output_0, second_output_0_constants_weight [8,16,1,1])
      second_output_0_before_Add [1,8,10,10] = Conv(Relu_output_0, second.1 [8,6,3,3]) pads=1,1,1,1
      second_output_0 [1,8,10,10] = Add(second_output_0_before_Add, second_output_0_constants)
      Abs_output_0 [1,8,10,10] = Abs(second_output_0)
      outputs: Abs_output_0
    `);
    const again = await inspectModel(compiled.encode());
    expect(again.layers.map(({ node }) => node)).toEqual(['first', 'second']);
    const twice = await compileModel(compiled.encode(), { align: 1 });
    expect(twice.report.changed).toBe(false);
  });

  test('is not taken from values of the model that have its names', async () => {
    const plain = await checked(padded());
    const taken = readModel(plain.encode()).graph.nodes.flatMap(({ origin, outputs: [value] }) =>
      origin !== undefined && value !== undefined ? [value.name] : [],
    );
    expect(taken.length).toBeGreaterThan(1);
    const { report } = await checked(
      padded((g, x) => {
        for (const name of taken) g.output(g.op('Mul', [x, { data: [7], dims: [] }], {}, { name, outputs: [name] }));
      }),
    );
    expect(report.edits).toEqual(plain.report.edits);
  });

  test("a model's own layers are layers, whatever they are called", async () => {
    const g = graphBuilder();
    const x = g.op('Abs', [g.input('x', [1, 4, 10, 10])], {}, { outputs: ['prune_compile/ones'] });
    const weights = (rows: number, columns: number) => ({
      data: normals(1, 'w', rows * columns),
      dims: [rows, columns, 1, 1],
    });
    g.output(
      g.conv(g.conv(x, weights(8, 4), { name: 'a_constants' }), weights(4, 8), { name: 'b_constants_2_sparse' }),
    );
    const { layers, figures } = await inspectModel(g.bytes());
    expect(layers.map(({ node }) => node)).toEqual(['a_constants', 'b_constants_2_sparse']);
    expect(figures.channels).toBe(12);
  });
});

describe('the axis of channels', () => {
  /**
   * x [1, 5, 8] -> product -> + bias -> Relu -> product: every other column of the first is zero,
   * its bias too.
   */
  function sequence(): Uint8Array {
    const g = graphBuilder();
    const first = Float32Array.from(normals(1, 'f1', 8 * 16), (value, at) => (at % 2 === 0 ? 0 : value));
    const product = g.op('MatMul', [g.input('x', [1, 5, 8]), { data: first, dims: [8, 16] }], {}, { name: 'f1' });
    const bias = Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? -1 : 1));
    const hidden = g.relu(g.add(product, { data: bias }, { name: 'b1' }), { name: 'act' });
    const turned = g.transpose(hidden, [0, 2, 1], { name: 'turned' });
    const back = g.transpose(turned, [0, 2, 1]);
    g.output(g.op('MatMul', [back, { data: normals(1, 'f2', 16 * 8), dims: [16, 8] }], {}, { name: 'f2' }));
    return g.bytes();
  }

  test.each(['f1', 'b1', 'act', 'turned'])('of %s is that of the layers, not of the sequence', async (node) => {
    const { channels, groups } = await explainNode(sequence(), node);
    expect(channels).toBe(16);
    const removable = groups.filter(({ state }) => state === 'removable').flatMap((group) => group.channels);
    expect(removable).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    const { report } = await compileModel(sequence(), { align: 1 });
    expect(report.layers[0]?.keptOutputChannels).toBe(16 - removable.length);
  });

  test('of a layer whose channels come last is theirs for constant branches too', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 5, 8]);
    const dead = g.op('MatMul', [x, { data: Array.from({ length: 64 }, () => 0), dims: [8, 8] }]);
    const branch = g.add(dead, { data: Array.from({ length: 8 }, (_, at) => at) });
    g.output(g.op('Abs', [g.add(g.relu(x), branch)]));
    const { result, picture, isEqual } = await runPass('remove-constant-branches', g.bytes());
    expect([result.gains, isEqual]).toEqual([true, true]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,5,8]
      MatMul_output_0 [1,5,8] = MatMul(x, MatMul.1 [8,8])
      Add_output_0 [1,5,8] = Add(MatMul_output_0, Add.1 [8] {0 1 2 3 4 5 6 7})
      Relu_output_0 [1,5,8] = Relu(x)
      Add_1_output_0 [1,5,8] = Add(Relu_output_0, Add_output_0)
      Abs_output_0 [1,5,8] = Abs(Add_1_output_0)
      outputs: Abs_output_0
      =>
      inputs: x [1,5,8]
      MatMul_output_0 [1,5,8] = MatMul(x, MatMul.1 [8,8])
      Add_output_0 [1,5,8] = Add(MatMul_output_0, Add.1 [8] {0 1 2 3 4 5 6 7})
      Relu_output_0 [1,5,8] = Relu(x)
      Add_1_output_0 [1,5,8] = Add(Relu_output_0, Add_1_output_0_constants [8] {0 1 2 3 4 5 6 7})
      Abs_output_0 [1,5,8] = Abs(Add_1_output_0)
      outputs: Abs_output_0
    `);
  });

  test('of a branch of fewer axes is not that of the same number', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 4, 4]);
    const row = g.op('MatMul', [g.input('z', [4, 3]), { data: Array.from({ length: 12 }, () => 0), dims: [3, 4] }]);
    const branch = g.add(row, { data: [1, 2, 3, 4] });
    g.output(g.op('Abs', [g.add(g.relu(x), branch)]));
    const { isEqual, picture } = await runPass('remove-constant-branches', g.bytes());
    expect(isEqual).toBe(true);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,4,4], z [4,3]
      MatMul_output_0 [4,4] = MatMul(z, MatMul.1 [3,4])
      Add_output_0 [4,4] = Add(MatMul_output_0, Add.1 [4] {1 2 3 4})
      Relu_output_0 [2,4,4] = Relu(x)
      Add_1_output_0 [2,4,4] = Add(Relu_output_0, Add_output_0)
      Abs_output_0 [2,4,4] = Abs(Add_1_output_0)
      outputs: Abs_output_0
      => unchanged
    `);
  });
});

test('an extent that is called by a number is not that number', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 4, '6', 6]);
  const z = g.input('z', [1, 4, 6, 6]);
  const zeros = { data: Array.from({ length: 16 }, () => 0), dims: [4, 4, 1, 1] };
  // x may be one row high: then the branch, although constant, gives the sum its height.
  g.output(g.op('Abs', [g.add(g.relu(x), g.conv(z, zeros, { bias: [1, 2, 3, 4] }))]));
  const compiled = await compileModel(g.bytes(), { align: 1 });
  const { equal } = await verifyModels(g.bytes(), compiled.encode(), { seeds: [1], shapes: { x: [1, 4, 1, 6] } });
  expect(equal).toBe(true);
  expect(await showBoth(g.bytes(), compiled.encode())).toMatchInlineSnapshot(`
    inputs: x [1,4,6,6], z [1,4,6,6]
    Relu_output_0 [1,4,6,6] = Relu(x)
    Conv_output_0 [1,4,6,6] = Conv(z, Conv.1 [4,4,1,1], Conv.2 [4] {1 2 3 4})
    Add_output_0 [1,4,6,6] = Add(Relu_output_0, Conv_output_0)
    Abs_output_0 [1,4,6,6] = Abs(Add_output_0)
    outputs: Abs_output_0
    => unchanged
  `);
});

describe('remarks', () => {
  test.each(namedCases().map((entry) => [entry.name, entry.bytes] as const))(
    '%s: every layer that lost channels has one, also where a map of constants is added behind it',
    async (_, bytes) => {
      const { report } = await compileModel(bytes, { align: 1 });
      const cut = report.layers.filter(
        ({ outputChannels, keptOutputChannels }) => (keptOutputChannels ?? outputChannels) < outputChannels,
      );
      const told = report.remarks.filter(({ kind, channels }) => kind === 'applied' && channels !== undefined);
      expect(new Set(told.map(({ node }) => node))).toEqual(new Set(cut.map(({ node }) => node)));
    },
  );
});
