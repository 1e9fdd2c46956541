/**
 * Weights under several names, as exporters write modules that share one: through Identity, Transpose, Cast, or by several readers.
 * What is stored stays stored once where all readers agree, and no file grows by more than the copies of what is cut.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder, type Input } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

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
    const { stored, operators, before, after } = await compile(twoBranches(identity));
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Identity');
    expect([before, after]).toEqual([64, 48]);
  });

  test('directly, and held by Constant nodes', async () => {
    const g = graphBuilder();
    const [w, v] = [g.constant(matrix('w', [5, 8], 'columns')), g.constant(matrix('v', [8, 3]))];
    for (const at of [0, 1])
      g.output(matMul(g, g.relu(matMul(g, g.input(`x${at}`, [2, 5]), at === 0 ? w : identity(g, w))), v));
    expect(await compile(g)).toMatchObject({ stored: ['5x6', '6x3'], before: 64, after: 48 });
  });

  test('through Cast: cut in the type that it is stored in', async () => {
    const cast = (g: GraphBuilder, w: string) => g.op('Cast', [w], { to: FLOAT });
    const { stored, operators, bytes, before, after } = await compile(twoBranches(cast, { dataType: FLOAT16 }));
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators.filter((opType) => opType === 'Cast')).toHaveLength(2);
    expect(
      [...readModel(bytes).graph.initializers()].every(({ initializer }) => initializer.dataType === FLOAT16),
    ).toBe(true);
    expect([before, after]).toEqual([64, 48]);
  });

  test('a tied embedding: Gather reads the table, MatMul its transpose', async () => {
    const g = graphBuilder();
    const table = store(g, 'table', matrix('table', [9, 6], 'columns'));
    const ids = g.input('ids', [2, 4], INT64);
    const embedded = g.op('Gather', [table, ids], { axis: 0 });
    const hidden = g.relu(matMul(g, embedded, store(g, 'p', matrix('p', [6, 5], 'rows'))));
    const back = matMul(g, hidden, store(g, 'q', matrix('q', [5, 6])));
    g.output(matMul(g, back, g.transpose(table, [1, 0])));
    const { stored, operators, before, after } = await compile(g);
    expect(stored).toEqual(['4x5', '5x4', '9x4']);
    expect(operators).toContain('Transpose');
    expect([before, after]).toEqual([114, 76]);
  });

  test('a transpose that alone is read becomes what is stored', async () => {
    const turned = (name: string, dims: readonly [number, number], dead?: 'rows') => (g: GraphBuilder) =>
      g.transpose(store(g, name, matrix(name, dims, dead)), [1, 0]);
    const g = graphBuilder();
    const hidden = g.relu(matMul(g, g.input('x', [2, 5]), turned('w', [8, 5], 'rows')(g)));
    g.output(matMul(g, hidden, turned('v', [3, 8])(g)));
    const { stored, operators } = await compile(g);
    expect(stored).toEqual(['5x6', '6x3']);
    expect(operators).not.toContain('Transpose');
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
    const { stored } = await compile(g);
    expect(stored.filter((dims) => dims === '9')).toHaveLength(4);
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
    const { stored, before, after } = await compile(g);
    expect(stored).toEqual(['5x6', '5x8', '6x3']);
    expect([before, after]).toEqual([64, 88]);
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
    const { stored, bytes } = await compile(g);
    expect(stored).toEqual(['12x12', '12x12', '12x4', '4x3']);
    expect(bytes.length).toBeLessThan(g.bytes().length);
  });
});

describe('aliases that somebody else sees', () => {
  test('as an output of the model: it stays whole, and its readers share a copy', async () => {
    const g = twoBranches(identity);
    g.output(g.op('Identity', ['w']), [5, 8]);
    expect((await compile(g)).stored).toEqual(['5x6', '5x8', '6x3']);
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
    expect((await compile(g)).stored).toEqual(['5x6', '5x8', '6x3']);
  });
});

describe('folding', () => {
  test('of a mask: a weight that is read elsewhere without it is not stored twice', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    const mask = { data: Float32Array.from({ length: 12 }, (_, at) => (at % 3 === 0 ? 0 : 1)), dims: [1, 12] };
    const hidden = g.relu(matMul(g, g.input('x', [2, 12]), g.mul(w, mask)));
    g.output(matMul(g, hidden, w));
    const { stored, operators, before, after } = await compile(g);
    expect(stored).toEqual(['12x12', '1x12']);
    expect(operators.filter((opType) => opType === 'Gather')).toHaveLength(2);
    expect([before, after]).toEqual([144, 144]);
  });

  test('to a wider type would grow the file', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]), FLOAT16);
    const dead = matMul(g, g.input('x', [2, 5]), store(g, 'a', matrix('a', [5, 12], 'columns')));
    g.output(
      matMul(g, matMul(g, g.relu(dead), store(g, 'b', matrix('b', [12, 12]))), g.op('Cast', [w], { to: FLOAT })),
    );
    const { bytes, operators } = await compile(g);
    expect(operators).toContain('Cast');
    expect(bytes.length).toBeLessThan(g.bytes().length);
  });

  test('nodes that compute the same are one', async () => {
    const g = graphBuilder();
    const w = store(g, 'w', matrix('w', [12, 12]));
    let x = g.op('Gather', [w, g.input('ids', [3], INT64)], { axis: 0 });
    for (let at = 0; at < 3; at++) x = matMul(g, x, g.transpose(w, [1, 0]));
    const dead = matMul(g, x, store(g, 'a', matrix('a', [12, 6], 'columns')));
    g.output(matMul(g, g.relu(dead), store(g, 'b', matrix('b', [6, 3]))));
    const { operators, before } = await compile(g);
    expect(operators.filter((opType) => opType === 'Transpose')).toHaveLength(1);
    expect(before).toBe(144 + 72 + 18);
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
    const { bytes, before } = await compile(g);
    expect(bytes.length).toBeLessThan(g.bytes().length);
    // 320 and 12 weights, and the number that the bias is made of.
    expect(before).toBe(333);
    const masked = (await makeMasks(g.bytes(), { granularity: 'unstructured' })).encode('onnx');
    expect([...readModel(masked).graph.initializers()]).toHaveLength(3);
  });
});
