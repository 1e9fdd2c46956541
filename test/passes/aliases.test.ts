/**
 * Weights under several names, as exporters write modules that share one: through Identity, Transpose, Cast, or by several readers.
 * What is stored stays stored once where all readers agree, and no file grows by more than the copies of what is cut.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder, type Input } from '../../fixtures/graph-builder.js';
import { normals, uniforms } from '../../fixtures/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { showBoth } from '../support/show-graph.js';

const DEAD = [1, 4];

/** A matrix whose columns (or rows) of the numbers in DEAD are zero. */
function matrix(name: string, [rows, columns]: readonly [number, number], dead: 'rows' | 'columns' | 'none' = 'none') {
  const data = normals(7, name, rows * columns).map((value, at) => {
    const index = dead === 'rows' ? Math.floor(at / columns) : at % columns;
    return dead !== 'none' && DEAD.includes(index) ? 0 : value;
  });
  return { data, dims: [rows, columns] };
}

function store(g: GraphBuilder, name: string, { data, dims }: ReturnType<typeof matrix>, dataType = FLOAT): string {
  return g.initializer(name, dims, data, dataType);
}

const matMul = (g: GraphBuilder, x: string, w: string) => g.op('MatMul', [x, w]);

interface Compiled {
  /** Dims of every stored floating-point tensor. */
  readonly stored: readonly string[];
  readonly operators: readonly string[];
  readonly bytes: Uint8Array;
  /** The graph before and after, as text. */
  readonly picture: string;
  readonly before: number;
  readonly after: number;
}

async function compile(g: GraphBuilder): Promise<Compiled> {
  const bytes = g.bytes();
  const { report, ...compiled } = await compileModel(bytes, { align: 1 });
  const written = compiled.encode();
  expect(await verifyModels(bytes, written)).toMatchObject({ equal: true });
  const { graph } = readModel(written);
  const stored = [...graph.initializers()].filter(({ initializer: { dataType } }) => dataType !== INT64);
  return {
    stored: stored.map(({ initializer: { dims } }) => dims.join('x')).toSorted(),
    operators: graph.nodes.map(({ opType }) => opType),
    bytes: written,
    picture: await showBoth(bytes, written),
    before: report.before.parameters,
    after: report.after.parameters,
  };
}

/** Two branches of two layers each: the second layers read what `alias` makes of the first's weights. */
function twoBranches(
  alias: (g: GraphBuilder, w: string) => string,
  { dataType = FLOAT, end = (g: GraphBuilder, hidden: string, w: string): string => matMul(g, hidden, w) } = {},
): GraphBuilder {
  const g = graphBuilder();
  const [w, v] = [
    store(g, 'w', matrix('w', [5, 8], 'columns'), dataType),
    store(g, 'v', matrix('v', [8, 3]), dataType),
  ];
  const first = alias(g, w);
  const reads = [alias(g, v), alias(g, v)];
  const ends = [first, alias(g, w)].map((weights, at) => {
    const hidden = g.relu(matMul(g, g.input(`x${at}`, [2, 5]), weights));
    return at === 0 ? matMul(g, hidden, reads[0] ?? '') : end(g, hidden, reads[1] ?? '');
  });
  for (const value of ends) g.output(value);
  return g;
}

const identity = (g: GraphBuilder, w: string) => g.op('Identity', [w]);

describe('readers that agree', () => {
  test('through Identity: cut once where it is stored', async () => {
    const { stored, operators, before, after, picture } = await compile(twoBranches(identity));
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Identity');
    expect([before, after]).toEqual([64, 48]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      Identity_2_output_0 [8,3] = Identity(v [8,3])
      Identity_3_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_2_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('directly, and held by Constant nodes', async () => {
    const g = graphBuilder();
    const [w, v] = [g.constant(matrix('w', [5, 8], 'columns')), g.constant(matrix('v', [8, 3]))];
    for (const at of [0, 1])
      g.output(matMul(g, g.relu(matMul(g, g.input(`x${at}`, [2, 5]), at === 0 ? w : identity(g, w))), v));
    const { picture, ...figures } = await compile(g);
    expect(figures).toMatchObject({ stored: ['5x6', '6x3'], before: 64, after: 48 });
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Constant_output_0 [5,8] = Constant() value=[5,8]
      Constant_1_output_0 [8,3] = Constant() value=[8,3]
      MatMul_output_0 [2,8] = MatMul(x0, Constant_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Constant_1_output_0)
      Identity_output_0 [5,8] = Identity(Constant_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Constant_1_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, Constant_output_0_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Constant_1_output_0_2 [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, Constant_output_0_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Constant_1_output_0_2 [6,3])
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('through Cast: cut in the type that it is stored in', async () => {
    const cast = (g: GraphBuilder, w: string) => g.op('Cast', [w], { to: FLOAT });
    const { stored, operators, bytes, before, after, picture } = await compile(
      twoBranches(cast, { dataType: FLOAT16 }),
    );
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators.filter((opType) => opType === 'Cast')).toHaveLength(2);
    expect(
      [...readModel(bytes).graph.initializers()].every(({ initializer }) => initializer.dataType === FLOAT16),
    ).toBe(true);
    expect([before, after]).toEqual([64, 48]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Cast_output_0 [5,8] = Cast(w float16 [5,8]) to=1
      Cast_1_output_0 [8,3] = Cast(v float16 [8,3]) to=1
      Cast_2_output_0 [8,3] = Cast(v float16 [8,3]) to=1
      Cast_3_output_0 [5,8] = Cast(w float16 [5,8]) to=1
      MatMul_output_0 [2,8] = MatMul(x0, Cast_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Cast_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Cast_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Cast_2_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      Cast_output_0 [5,6] = Cast(w float16 [5,6]) to=1
      Cast_1_output_0 [6,3] = Cast(v float16 [6,3]) to=1
      MatMul_output_0 [2,6] = MatMul(x0, Cast_output_0)
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Cast_1_output_0)
      MatMul_2_output_0 [2,6] = MatMul(x1, Cast_output_0)
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Cast_1_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0
    `);
  });

  test('a tied embedding: Gather reads the table, MatMul its transpose', async () => {
    const g = graphBuilder();
    const table = store(g, 'table', matrix('table', [9, 6], 'columns'));
    const ids = g.input('ids', [2, 4], INT64);
    const embedded = g.op('Gather', [table, ids], { axis: 0 });
    const hidden = g.relu(matMul(g, embedded, store(g, 'p', matrix('p', [6, 5], 'rows'))));
    const back = matMul(g, hidden, store(g, 'q', matrix('q', [5, 6])));
    g.output(matMul(g, back, g.transpose(table, [1, 0])));
    const { stored, operators, before, after, picture } = await compile(g);
    expect(stored).toEqual(['4x5', '5x4', '9x4']);
    expect(operators).toContain('Transpose');
    expect([before, after]).toEqual([114, 76]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: ids [2,4]
      Gather_output_0 [2,4,6] = Gather(table [9,6], ids) axis=0
      MatMul_output_0 [2,4,5] = MatMul(Gather_output_0, p [6,5])
      Relu_output_0 [2,4,5] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,4,6] = MatMul(Relu_output_0, q [5,6])
      Transpose_output_0 [6,9] = Transpose(table [9,6]) perm=1,0
      MatMul_2_output_0 [2,4,9] = MatMul(MatMul_1_output_0, Transpose_output_0)
      outputs: MatMul_2_output_0
      =>
      inputs: ids [2,4]
      Gather_output_0 [2,4,4] = Gather(table [9,4], ids) axis=0
      MatMul_output_0 [2,4,5] = MatMul(Gather_output_0, p [4,5])
      Relu_output_0 [2,4,5] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,4,4] = MatMul(Relu_output_0, q [5,4])
      Transpose_output_0 [4,9] = Transpose(table [9,4]) perm=1,0
      MatMul_2_output_0 [2,4,9] = MatMul(MatMul_1_output_0, Transpose_output_0)
      outputs: MatMul_2_output_0
    `);
  });

  test('a transpose that alone is read becomes what is stored', async () => {
    const turned = (name: string, dims: readonly [number, number], dead?: 'rows') => (g: GraphBuilder) =>
      g.transpose(store(g, name, matrix(name, dims, dead)), [1, 0]);
    const g = graphBuilder();
    const hidden = g.relu(matMul(g, g.input('x', [2, 5]), turned('w', [8, 5], 'rows')(g)));
    g.output(matMul(g, hidden, turned('v', [3, 8])(g)));
    const { stored, operators, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Transpose');
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,5]
      Transpose_output_0 [5,8] = Transpose(w [8,5]) perm=1,0
      MatMul_output_0 [2,8] = MatMul(x, Transpose_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      Transpose_1_output_0 [8,3] = Transpose(v [3,8]) perm=1,0
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Transpose_1_output_0)
      outputs: MatMul_1_output_0
      =>
      inputs: x [2,5]
      MatMul_output_0 [2,6] = MatMul(x, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v_2 [6,3])
      outputs: MatMul_1_output_0
    `);
  });

  test('normalisation parameters through Cast, where maps of constants are scaled by them', async () => {
    const g = graphBuilder();
    const filters = (name: string, dims: readonly [number, number, number], dead: readonly number[]) => ({
      data: normals(3, name, dims[0] * dims[1] * dims[2] ** 2).map((value, at) =>
        dead.includes(Math.floor(at / (dims[1] * dims[2] ** 2))) ? 0 : value,
      ),
      dims: [dims[0], dims[1], dims[2], dims[2]],
    });
    const x = g.input('x', [1, 3, 7, 7]);
    const hidden = g.relu(
      g.conv(x, filters('c', [24, 3, 1], [0, 3, 5]), { bias: { data: uniforms(3, 'b', 24, 0.1, 1) } }),
    );
    const parameter = (name: string, low: number): Input => {
      const data = uniforms(3, name, 10, low, 2).map((value, at) => (at === 2 && name !== 'variance' ? 0 : value));
      const stored = g.initializer(name, [10], data, FLOAT16);
      return g.op('Cast', [stored], { to: FLOAT });
    };
    const [scale, shift, mean, variance] = [
      parameter('scale', 0.5),
      parameter('shift', -1),
      parameter('mean', -1),
      parameter('variance', 0.5),
    ];
    const wide = g.conv(hidden, filters('d', [10, 24, 3], [2]), { pads: 1 });
    const normal = g.relu(g.batchNorm(wide, { scale, shift, mean, variance }));
    g.output(g.conv(normal, filters('e', [4, 10, 1], [])));
    const { stored, picture } = await compile(g);
    expect(stored.filter((dims) => dims === '9')).toHaveLength(4);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,3,7,7]
      Conv_output_0 [1,24,7,7] = Conv(x, Conv.1 [24,3,1,1], Conv.2 [24])
      Relu_output_0 [1,24,7,7] = Relu(Conv_output_0)
      Cast_output_0 [10] = Cast(scale float16 [10]) to=1
      Cast_1_output_0 [10] = Cast(shift float16 [10]) to=1
      Cast_2_output_0 [10] = Cast(mean float16 [10]) to=1
      Cast_3_output_0 [10] = Cast(variance float16 [10]) to=1
      Conv_1_output_0 [1,10,7,7] = Conv(Relu_output_0, Conv_1.1 [10,24,3,3]) pads=1,1,1,1
      BatchNormalization_output_0 [1,10,7,7] = BatchNormalization(Conv_1_output_0, Cast_output_0, Cast_1_output_0, Cast_2_output_0, Cast_3_output_0)
      Relu_1_output_0 [1,10,7,7] = Relu(BatchNormalization_output_0)
      Conv_2_output_0 [1,4,7,7] = Conv(Relu_1_output_0, Conv_2.1 [4,10,1,1])
      outputs: Conv_2_output_0
      =>
      inputs: x [1,3,7,7]
      prune_compile/flat [147] = Reshape(x, prune_compile/-1 int64 [1] {-1})
      prune_compile/element [1] = Gather(prune_compile/flat, prune_compile/0 int64 [1] {0}) axis=0
      prune_compile/never [1] = Greater(prune_compile/element, prune_compile/element)
      prune_compile/always [1] = Not(prune_compile/never)
      prune_compile/one_1 [1] = Cast(prune_compile/always) to=1
      prune_compile/ones_1_1x1x7x7 [1,1,7,7] = Expand(prune_compile/one_1, prune_compile/1x1x7x7 int64 [4] {1 1 7 7})
      Conv_output_0 [1,21,7,7] = Conv(x, Conv.1 [21,3,1,1], Conv.2 [21])
      Relu_output_0 [1,21,7,7] = Relu(Conv_output_0)
      Cast_output_0 [9] = Cast(scale float16 [9]) to=1
      Cast_1_output_0 [9] = Cast(shift float16 [9]) to=1
      Cast_2_output_0 [9] = Cast(mean float16 [9]) to=1
      Cast_3_output_0 [9] = Cast(variance float16 [9]) to=1
      Conv_1_output_0_constants [1,9,7,7] = Conv(prune_compile/ones_1_1x1x7x7, Conv_1_output_0_constants_weight [9,1,3,3]) pads=1,1,1,1
      Conv_1_output_0 [1,9,7,7] = Conv(Relu_output_0, Conv_1.1 [9,21,3,3]) pads=1,1,1,1
      BatchNormalization_output_0_before_Add [1,9,7,7] = BatchNormalization(Conv_1_output_0, Cast_output_0, Cast_1_output_0, Cast_2_output_0, Cast_3_output_0)
      BatchNormalization_output_0 [1,9,7,7] = Add(BatchNormalization_output_0_before_Add, Conv_1_output_0_constants)
      Relu_1_output_0 [1,9,7,7] = Relu(BatchNormalization_output_0)
      Conv_2_output_0 [1,4,7,7] = Conv(Relu_1_output_0, Conv_2.1 [4,9,1,1])
      outputs: Conv_2_output_0
    `);
  });
});

describe('readers that do not agree', () => {
  test('each set that agrees has one copy of what it keeps', async () => {
    // The last branch needs all channels: they are an output.
    const g = graphBuilder();
    const [w, v] = [store(g, 'w', matrix('w', [5, 8], 'columns')), store(g, 'v', matrix('v', [8, 3]))];
    for (const at of [0, 1])
      g.output(matMul(g, g.relu(matMul(g, g.input(`x${at}`, [2, 5]), identity(g, w))), identity(g, v)));
    g.output(matMul(g, g.input('z', [2, 5]), identity(g, w)));
    const { stored, before, after, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
    expect([before, after]).toEqual([64, 88]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5], z [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      Identity_2_output_0 [5,8] = Identity(w [5,8])
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_2_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      Identity_3_output_0 [8,3] = Identity(v [8,3])
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_3_output_0)
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      MatMul_4_output_0 [2,8] = MatMul(z, Identity_4_output_0)
      outputs: MatMul_1_output_0, MatMul_3_output_0, MatMul_4_output_0
      =>
      inputs: x0 [2,5], x1 [2,5], z [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      MatMul_4_output_0 [2,8] = MatMul(z, w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, MatMul_4_output_0
    `);
  });

  test('nothing is copied that nothing is cut from', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    const u = store(g, 'u', matrix('u', [12, 12]));
    let x = g.input('x', [2, 12]);
    for (let at = 0; at < 4; at++) x = g.relu(matMul(g, x, at === 0 ? w : identity(g, w)));
    x = matMul(g, g.op('MatMul', [x, g.transpose(u, [1, 0])]), u);
    const dead = matMul(g, x, store(g, 'a', matrix('a', [12, 6], 'columns')));
    g.output(matMul(g, g.relu(dead), store(g, 'b', matrix('b', [6, 3]))));
    const { stored, bytes, picture } = await compile(g);
    expect(stored).toEqual(['12x12', '12x12', '12x4', '4x3']);
    expect(bytes.length).toBeLessThan(g.bytes().length);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,12]
      MatMul_output_0 [2,12] = MatMul(x, w [12,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      Identity_output_0 [12,12] = Identity(w [12,12])
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, Identity_output_0)
      Relu_1_output_0 [2,12] = Relu(MatMul_1_output_0)
      Identity_1_output_0 [12,12] = Identity(w [12,12])
      MatMul_2_output_0 [2,12] = MatMul(Relu_1_output_0, Identity_1_output_0)
      Relu_2_output_0 [2,12] = Relu(MatMul_2_output_0)
      Identity_2_output_0 [12,12] = Identity(w [12,12])
      MatMul_3_output_0 [2,12] = MatMul(Relu_2_output_0, Identity_2_output_0)
      Relu_3_output_0 [2,12] = Relu(MatMul_3_output_0)
      Transpose_output_0 [12,12] = Transpose(u [12,12]) perm=1,0
      MatMul_4_output_0 [2,12] = MatMul(Relu_3_output_0, Transpose_output_0)
      MatMul_5_output_0 [2,12] = MatMul(MatMul_4_output_0, u [12,12])
      MatMul_6_output_0 [2,6] = MatMul(MatMul_5_output_0, a [12,6])
      Relu_4_output_0 [2,6] = Relu(MatMul_6_output_0)
      MatMul_7_output_0 [2,3] = MatMul(Relu_4_output_0, b [6,3])
      outputs: MatMul_7_output_0
      =>
      inputs: x [2,12]
      MatMul_output_0 [2,12] = MatMul(x, w [12,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w [12,12])
      Relu_1_output_0 [2,12] = Relu(MatMul_1_output_0)
      MatMul_2_output_0 [2,12] = MatMul(Relu_1_output_0, w [12,12])
      Relu_2_output_0 [2,12] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,12] = MatMul(Relu_2_output_0, w [12,12])
      Relu_3_output_0 [2,12] = Relu(MatMul_3_output_0)
      Transpose_output_0 [12,12] = Transpose(u [12,12]) perm=1,0
      MatMul_4_output_0 [2,12] = MatMul(Relu_3_output_0, Transpose_output_0)
      MatMul_5_output_0 [2,12] = MatMul(MatMul_4_output_0, u [12,12])
      MatMul_6_output_0 [2,4] = MatMul(MatMul_5_output_0, a [12,4])
      Relu_4_output_0 [2,4] = Relu(MatMul_6_output_0)
      MatMul_7_output_0 [2,3] = MatMul(Relu_4_output_0, b [4,3])
      outputs: MatMul_7_output_0
    `);
  });
});

describe('aliases that somebody else sees', () => {
  test('as an output of the model: it stays whole, and its readers share a copy', async () => {
    const g = twoBranches(identity);
    g.output(g.op('Identity', ['w']), [5, 8]);
    const { stored, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      Identity_2_output_0 [8,3] = Identity(v [8,3])
      Identity_3_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_2_output_0)
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, Identity_4_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      Identity_4_output_0 [5,8] = Identity(w [5,8])
      outputs: MatMul_1_output_0, MatMul_3_output_0, Identity_4_output_0
    `);
  });

  test('in a subgraph', async () => {
    const g = twoBranches(identity);
    const branch = (name: string) => {
      const inner = graphBuilder();
      inner.output(inner.op('Identity', ['w'], {}, { outputs: [name] }), [5, 8]);
      return { graph: inner.graph() };
    };
    const condition = g.op('Cast', [g.op('ReduceMax', ['x0'], { keepdims: 0 })], { to: 9 });
    g.output(g.op('If', [condition], { then_branch: branch('then'), else_branch: branch('else') }));
    const { stored, picture } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x0 [2,5], x1 [2,5]
      Identity_output_0 [5,8] = Identity(w [5,8])
      Identity_1_output_0 [8,3] = Identity(v [8,3])
      Identity_2_output_0 [8,3] = Identity(v [8,3])
      Identity_3_output_0 [5,8] = Identity(w [5,8])
      MatMul_output_0 [2,8] = MatMul(x0, Identity_output_0)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, Identity_1_output_0)
      MatMul_2_output_0 [2,8] = MatMul(x1, Identity_3_output_0)
      Relu_1_output_0 [2,8] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, Identity_2_output_0)
      ReduceMax_output_0 = ReduceMax(x0) keepdims=0
      Cast_output_0 = Cast(ReduceMax_output_0) to=9
      If_output_0 [5,8] = If(Cast_output_0) then_branch=… else_branch=… reads w
      outputs: MatMul_1_output_0, MatMul_3_output_0, If_output_0
      =>
      inputs: x0 [2,5], x1 [2,5]
      MatMul_output_0 [2,6] = MatMul(x0, w_2 [5,6])
      Relu_output_0 [2,6] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,3] = MatMul(Relu_output_0, v [6,3])
      MatMul_2_output_0 [2,6] = MatMul(x1, w_2 [5,6])
      Relu_1_output_0 [2,6] = Relu(MatMul_2_output_0)
      MatMul_3_output_0 [2,3] = MatMul(Relu_1_output_0, v [6,3])
      ReduceMax_output_0 = ReduceMax(x0) keepdims=0
      Cast_output_0 = Cast(ReduceMax_output_0) to=9
      If_output_0 [5,8] = If(Cast_output_0) then_branch=… else_branch=… reads w
      outputs: MatMul_1_output_0, MatMul_3_output_0, If_output_0
    `);
  });
});

describe('folding', () => {
  test('of a mask: a weight that is read elsewhere without it is not stored twice', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    const mask = { data: Float32Array.from({ length: 12 }, (_, at) => (at % 3 === 0 ? 0 : 1)), dims: [1, 12] };
    const hidden = g.relu(matMul(g, g.input('x', [2, 12]), g.mul(w, mask)));
    g.output(matMul(g, hidden, w));
    const { stored, operators, before, after, picture } = await compile(g);
    expect(stored).toEqual(['12x12', '1x12']);
    expect(operators.filter((opType) => opType === 'Gather')).toHaveLength(2);
    expect([before, after]).toEqual([144, 144]);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,12]
      Mul_output_0 [12,12] = Mul(w [12,12], Mul.1 [1,12])
      MatMul_output_0 [2,12] = MatMul(x, Mul_output_0)
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w [12,12])
      outputs: MatMul_1_output_0
      =>
      inputs: x [2,12]
      Mul_output_0 [12,12] = Mul(w [12,12], Mul.1 [1,12])
      Mul_output_0_kept [12,8] = Gather(Mul_output_0, Mul_output_0_kept_indices int64 [8] {1 2 4 5 7 8 10 11}) axis=1
      MatMul_output_0 [2,8] = MatMul(x, Mul_output_0_kept)
      Relu_output_0 [2,8] = Relu(MatMul_output_0)
      w_kept [8,12] = Gather(w [12,12], w_kept_indices int64 [8] {1 2 4 5 7 8 10 11}) axis=0
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, w_kept)
      outputs: MatMul_1_output_0
    `);
  });

  test('to a wider type would grow the file', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]), FLOAT16);
    const dead = matMul(g, g.input('x', [2, 5]), store(g, 'a', matrix('a', [5, 12], 'columns')));
    g.output(
      matMul(g, matMul(g, g.relu(dead), store(g, 'b', matrix('b', [12, 12]))), g.op('Cast', [w], { to: FLOAT })),
    );
    const { bytes, operators, picture } = await compile(g);
    expect(operators).toContain('Cast');
    expect(bytes.length).toBeLessThan(g.bytes().length);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [2,5]
      MatMul_output_0 [2,12] = MatMul(x, a [5,12])
      Relu_output_0 [2,12] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, b [12,12])
      Cast_output_0 [12,12] = Cast(w float16 [12,12]) to=1
      MatMul_2_output_0 [2,12] = MatMul(MatMul_1_output_0, Cast_output_0)
      outputs: MatMul_2_output_0
      =>
      inputs: x [2,5]
      MatMul_output_0 [2,10] = MatMul(x, a [5,10])
      Relu_output_0 [2,10] = Relu(MatMul_output_0)
      MatMul_1_output_0 [2,12] = MatMul(Relu_output_0, b [10,12])
      Cast_output_0 [12,12] = Cast(w float16 [12,12]) to=1
      MatMul_2_output_0 [2,12] = MatMul(MatMul_1_output_0, Cast_output_0)
      outputs: MatMul_2_output_0
    `);
  });

  test('nodes that compute the same are one', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    let x = g.op('Gather', [w, g.input('ids', [3], INT64)], { axis: 0 });
    for (let at = 0; at < 3; at++) x = matMul(g, x, g.transpose(w, [1, 0]));
    const dead = matMul(g, x, store(g, 'a', matrix('a', [12, 6], 'columns')));
    g.output(matMul(g, g.relu(dead), store(g, 'b', matrix('b', [6, 3]))));
    const { operators, before, picture } = await compile(g);
    expect(operators.filter((opType) => opType === 'Transpose')).toHaveLength(1);
    expect(before).toBe(144 + 72 + 18);
    expect(picture).toMatchInlineSnapshot(`
      inputs: ids [3]
      Gather_output_0 [3,12] = Gather(w [12,12], ids) axis=0
      Transpose_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_output_0 [3,12] = MatMul(Gather_output_0, Transpose_output_0)
      Transpose_1_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_1_output_0 [3,12] = MatMul(MatMul_output_0, Transpose_1_output_0)
      Transpose_2_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_2_output_0 [3,12] = MatMul(MatMul_1_output_0, Transpose_2_output_0)
      MatMul_3_output_0 [3,6] = MatMul(MatMul_2_output_0, a [12,6])
      Relu_output_0 [3,6] = Relu(MatMul_3_output_0)
      MatMul_4_output_0 [3,3] = MatMul(Relu_output_0, b [6,3])
      outputs: MatMul_4_output_0
      =>
      inputs: ids [3]
      Gather_output_0 [3,12] = Gather(w [12,12], ids) axis=0
      Transpose_output_0 [12,12] = Transpose(w [12,12]) perm=1,0
      MatMul_output_0 [3,12] = MatMul(Gather_output_0, Transpose_output_0)
      MatMul_1_output_0 [3,12] = MatMul(MatMul_output_0, Transpose_output_0)
      MatMul_2_output_0 [3,12] = MatMul(MatMul_1_output_0, Transpose_output_0)
      MatMul_3_output_0 [3,4] = MatMul(MatMul_2_output_0, a [12,4])
      Relu_output_0 [3,4] = Relu(MatMul_3_output_0)
      MatMul_4_output_0 [3,3] = MatMul(Relu_output_0, b [4,3])
      outputs: MatMul_4_output_0
    `);
  });

  test('a shape that is read of a weight holds no old weight in the file', async () => {
    const g = graphBuilder({ opset: 18 });
    const filters = normals(3, 'f', 80 * 4).map((value, at) => (at % 4 === 1 ? 0 : value));
    const w = g.initializer('w', [80, 4, 1, 1], filters);
    const first = normals(3, 'e', 12).map((value, at) => (Math.floor(at / 3) === 1 ? 0 : value));
    const hidden = g.relu(g.conv(g.input('x', [1, 3, 4, 4]), { data: first, dims: [4, 3, 1, 1] }));
    const extent = g.op('Shape', [w], { start: 0, end: 1 });
    const bias = g.op('Expand', [{ data: [0.5], dims: [1] }, extent]);
    g.output(g.op('Conv', [hidden, w, bias], { kernel_shape: [1, 1] }));
    const { bytes, before, picture } = await compile(g);
    expect(bytes.length).toBeLessThan(g.bytes().length);
    // 320 and 12 weights, and the number that the bias is made of.
    expect(before).toBe(333);
    const masked = (await makeMasks(g.bytes(), { granularity: 'unstructured' })).encode('onnx');
    expect([...readModel(masked).graph.initializers()]).toHaveLength(3);
    expect(picture).toMatchInlineSnapshot(`
      inputs: x [1,3,4,4]
      Conv_output_0 [1,4,4,4] = Conv(x, Conv.1 [4,3,1,1])
      Relu_output_0 [1,4,4,4] = Relu(Conv_output_0)
      Shape_output_0 [1] = Shape(w [80,4,1,1]) start=0 end=1
      Expand_output_0 [80] = Expand(Expand.0 [1] {0.5}, Shape_output_0)
      Conv_1_output_0 [1,80,4,4] = Conv(Relu_output_0, w [80,4,1,1], Expand_output_0)
      outputs: Conv_1_output_0
      =>
      inputs: x [1,3,4,4]
      Conv_output_0 [1,3,4,4] = Conv(x, Conv.1 [3,3,1,1])
      Relu_output_0 [1,3,4,4] = Relu(Conv_output_0)
      Expand_output_0 [80] = Expand(Expand.0 [1] {0.5}, Shape_output_0_folded int64 [1] {80})
      Conv_1_output_0 [1,80,4,4] = Conv(Relu_output_0, w [80,3,1,1], Expand_output_0)
      outputs: Conv_1_output_0
    `);
  });
});
