/**
 * Weights that are computed from the masked parameter, by the graph or in advance by the exporter.
 * Expected is the network whose parameter has the zeros; where the model cannot give that, an
 * error.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { PruneCompileError } from '../../src/errors.js';
import { verifyModels } from '../../src/verify/verify.js';

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-computed-'));
const [ROWS, COLUMNS] = [8, 6];
const W = normals(3, 'w', ROWS * COLUMNS);
const isPruned = (at: number) => Math.floor(at / COLUMNS) === 1 || at % 5 === 3;
const zeroed = W.map((value, at) => (isPruned(at) ? 0 : value));
const rows = (values: ArrayLike<number>) =>
  Array.from({ length: ROWS }, (_, row) => Array.from(values).slice(row * COLUMNS, (row + 1) * COLUMNS));
const MASK = rows(W.map((_, at) => (isPruned(at) ? 0 : 1)));

function maskFile(name: string, contents: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(contents));
  return path;
}

type Build = (g: GraphBuilder, x: string, w: string) => void;

function model(build: Build, w: Float32Array, name = 'f.weight'): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [2, COLUMNS]);
  build(g, x, g.initializer(name, [ROWS, COLUMNS], w));
  return g.bytes();
}

const sum = (g: GraphBuilder, value: string) => g.op('ReduceSum', [value], { keepdims: 0 });
const gemm = (g: GraphBuilder, x: string, w: string) => g.op('Gemm', [x, w], { transB: 1 }, { name: '/f/Gemm' });
const half = (g: GraphBuilder, w: string) => g.op('Mul', [w, { data: [0.5] }], {}, { name: '/Mul' });
const withSum = (g: GraphBuilder, y: string, value: string) => g.output(g.op('Add', [y, sum(g, value)]));

const GRAPHS: Record<string, Build> = {
  'what scales it is read by another operator': (g, x, w) => {
    const ws = half(g, w);
    withSum(g, gemm(g, x, ws), g.op('Abs', [ws], {}, { name: '/Abs' }));
  },
  'what scales it is an output': (g, x, w) => {
    const ws = half(g, w);
    g.output(gemm(g, x, ws));
    g.output(ws);
  },
  'another operator reads the parameter': (g, x, w) =>
    withSum(g, gemm(g, x, half(g, w)), g.op('Exp', [w], {}, { name: '/Exp' })),
  'turned after it is scaled': (g, x, w) => {
    const scaled = half(g, w);
    const ws = g.op('Transpose', [scaled], {}, { name: '/Transpose' });
    withSum(g, g.op('MatMul', [x, ws], {}, { name: '/f/Gemm' }), g.op('Exp', [scaled], {}, { name: '/Exp' }));
  },
  'divided by its length, as by weight_norm': (g, x, w) => {
    const norm = g.op('ReduceL2', [w], { axes: [1] }, { name: '/f/ReduceL2' });
    const length = g.op('Add', [norm, { data: [0.01] }], {}, { name: '/f/Add' });
    g.output(gemm(g, x, g.op('Div', [w, length], {}, { name: '/f/Div' })));
  },
};

const MAPS: Record<string, Partial<CompileOptions>> = {
  'by its name': {},
  'mapped to the node': { maskMap: { 'f.weight_mask': '/f/Gemm' } },
  'mapped to the initializer': { maskMap: { 'f.weight_mask': 'f.weight' } },
};

describe('a weight that the graph computes has the mask in its parameter', () => {
  const masks = [maskFile('mask', { 'f.weight_mask': MASK })];
  describe.each(Object.entries(GRAPHS))('%s', (_, build) => {
    test.each(Object.entries(MAPS))('%s', async (__, options) => {
      const bytes = (await compileModel(model(build, W), { masks, align: 1, ...options })).encode();
      expect((await verifyModels(model(build, zeroed), bytes)).equal).toBe(true);
      expect((await verifyModels(model(build, W), bytes)).equal).toBe(false);
    });
  });
});

async function refusal(bytes: Uint8Array, contents: object, options: Partial<CompileOptions> = {}) {
  const masks = [maskFile(`refused${Math.random()}`, contents)];
  const error = await compileModel(bytes, { masks, ...options }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(PruneCompileError);
  expect(error).toMatchObject({ code: 'E-MASK-LOST' });
  return error as PruneCompileError;
}

describe('a weight that the exporter computed', () => {
  const lengths = rows(W).map((row) => Math.hypot(...row));
  const normalised = W.map((value, at) => value / (lengths[Math.floor(at / COLUMNS)] ?? 1));
  const layer = (name: string) => (g: GraphBuilder, x: string, w: string) =>
    g.output(g.op('Gemm', [x, w], { transB: 1 }, { name }));
  const folded = (name: string, node = 'layer') => model(layer(node), normalised, name);

  test('by factors that nothing explains', async () => {
    const error = await refusal(folded('onnx::Gemm_9'), { 'f.weight_orig': rows(W), 'f.weight_mask': MASK });
    expect(error.message).toContain('scaled by a factor');
  });

  test.each(['f.parametrizations.weight.original1', 'f.weight_v'])('by weight_norm, the keys say: %s', async (key) => {
    for (const contents of [{ [`${key}_orig`]: rows(W), [`${key}_mask`]: MASK }, { [`${key}_mask`]: MASK }]) {
      const error = await refusal(folded('mul', '/f/Gemm'), contents, {
        maskMap: { [`${key}_mask`]: '/f/Gemm' },
      });
      expect(error.message).toContain('weight_norm');
    }
  });

  test('by what its name says, where the shape alone binds', async () => {
    const error = await refusal(folded('div', 'node_linear'), { 'c.weight': MASK });
    expect(error.message).toContain('as its name says (div)');
  });

  test('a report says what the shape alone binds', async () => {
    const masks = [maskFile('shape', { 'c.weight': MASK })];
    const { report } = await compileModel(folded('onnx::Gemm_9'), { masks });
    expect(report.masks?.masks.map(({ evidence }) => evidence)).toEqual(['shape']);
  });
});

describe('errors say where a mask would be lost', () => {
  test('behind an alias that the model outputs', async () => {
    const build: Build = (g, x, w) => {
      g.output(gemm(g, x, w));
      g.output(g.op('Identity', [w], {}, { name: 'shown' }));
    };
    const error = await refusal(model(build, W), { 'f.weight_mask': MASK });
    expect(error.message).toContain('the model outputs what Identity makes of it');
  });

  test('in subgraphs that alone read the weight', async () => {
    const build: Build = (g, x, w) => {
      const branch = (scale: number) => {
        const inner = graphBuilder();
        inner.output(inner.op('Mul', [w, { data: [scale] }]));
        return { graph: inner.graph() };
      };
      const condition = g.op('Greater', [sum(g, x), { data: [0], dims: [] }]);
      g.output(g.op('If', [condition], { then_branch: branch(1), else_branch: branch(2) }, { name: 'fork' }));
    };
    const error = await refusal(model(build, W), { 'f.weight_mask': MASK });
    expect(error.message).toContain('fork (If)');
  });
});
