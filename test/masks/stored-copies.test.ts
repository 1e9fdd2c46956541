/**
 * A masked parameter that the exporter stored again: turned, in another type, or a part of it. The
 * expected outputs are those of the network whose parameter has the zeros, copies included.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { PruneCompileError } from '../../src/errors.js';
import { DOUBLE, FLOAT } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-copies-'));
const [ROWS, COLUMNS] = [8, 6];
const W = normals(3, 'w', ROWS * COLUMNS);

/** Two rows and single elements, none in the first row. */
const isPruned = (at: number) => [1, 4].includes(Math.floor(at / COLUMNS)) || (at > COLUMNS && at % 7 === 3);
const zeroed = (weight: Float32Array) => weight.map((value, at) => (isPruned(at) ? 0 : value));
const transposed = (weight: Float32Array) =>
  weight.map((_, at) => weight[(at % ROWS) * COLUMNS + Math.floor(at / ROWS)] ?? 0);

/** Adds to the graph what reads the copy; gives what is added to the layer's output. */
type Build = (g: GraphBuilder, w: Float32Array) => string;

const sum = (g: GraphBuilder, value: string) => g.op('ReduceSum', [value], { keepdims: 0 });
const absolute = (g: GraphBuilder, value: string, name = '/Abs') => sum(g, g.op('Abs', [value], {}, { name }));

function model(build: Build, w: Float32Array, copied = w): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [2, COLUMNS]);
  g.initializer('f.weight', [ROWS, COLUMNS], w);
  const y = g.op('Gemm', [x, 'f.weight'], { transB: 1 }, { name: '/f/Gemm' });
  g.output(g.op('Add', [y, build(g, copied)], {}, { name: '/Add' }));
  return g.bytes();
}

const MASK = Array.from({ length: ROWS }, (_, row) =>
  Array.from({ length: COLUMNS }, (__, column) => (isPruned(row * COLUMNS + column) ? 0 : 1)),
);
const masks = join(folder, 'masks.json');
writeFileSync(masks, JSON.stringify({ 'f.weight_mask': MASK }));

const compiled = (build: Build, w = W) => compileModel(model(build, w), { masks: [masks], align: 1 });

async function refusal(build: Build): Promise<PruneCompileError> {
  const error = await compiled(build).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(PruneCompileError);
  return error as PruneCompileError;
}

const COPIES: Record<string, Build> = {
  transposed: (g, w) => absolute(g, g.initializer('t', [COLUMNS, ROWS], transposed(w))),
  'read by a layer, as by a tied decoder': (g, w) => {
    const h = g.op('Relu', [g.op('Gemm', ['x', 'f.weight'], { transB: 1 }, { name: '/f_1/Gemm' })]);
    const t = g.initializer('t', [COLUMNS, ROWS], transposed(w));
    return sum(g, g.op('Gemm', [h, t], { transB: 1 }, { name: '/Gemm' }));
  },
  reshaped: (g, w) => absolute(g, g.initializer('view', [ROWS * COLUMNS], w)),
  'in double precision': (g, w) => {
    const wide = { data: Array.from(w), dims: [ROWS, COLUMNS], dataType: DOUBLE };
    return absolute(g, g.op('Cast', [wide], { to: FLOAT }, { name: '/Cast' }));
  },
  'times one half': (g, w) =>
    absolute(
      g,
      g.initializer(
        'mul',
        [ROWS, COLUMNS],
        w.map((value) => value / 2),
      ),
    ),
};

describe('copies that get the mask', () => {
  test.each(Object.entries(COPIES))('%s', async (_, build) => {
    const bytes = (await compiled(build)).encode();
    expect((await verifyModels(model(build, zeroed(W)), bytes)).equal).toBe(true);
    expect((await verifyModels(model(build, zeroed(W), W), bytes)).equal).toBe(false);
  });
});

const PARTS: Record<string, Build> = {
  'three elements of a row': (g, w) => absolute(g, g.initializer('row', [3], w.slice(COLUMNS, COLUMNS + 3))),
  'three elements of a column': (g, w) => absolute(g, g.initializer('row', [3], transposed(w).slice(0, 3))),
  'a block': (g, w) => absolute(g, g.initializer('row', [2, 6], w.slice(0, 12))),
  'rows in another order': (g, w) =>
    absolute(g, g.initializer('row', [2, 6], Float32Array.from([...w.slice(24, 30), ...w.slice(0, 6)]))),
  'a piece of something longer': (g, w) =>
    absolute(g, g.initializer('row', [60], Float32Array.from([...w, ...normals(9, 'other', 12)]))),
  'each filter divided by its length': (g, w) =>
    absolute(
      g,
      g.initializer(
        'row',
        [ROWS, COLUMNS],
        w.map((value, at) => {
          const row = Math.floor(at / COLUMNS);
          return value / Math.hypot(...w.slice(row * COLUMNS, (row + 1) * COLUMNS));
        }),
      ),
    ),
  'an output of the model': (g, w) => {
    g.initializer('row', [COLUMNS, ROWS], transposed(w));
    g.output('row');
    return g.initializer('zero', [1], [0]);
  },
};

describe('constants that keep an element the mask takes', () => {
  test.each(Object.entries(PARTS))('%s: the error names it', async (_, build) => {
    const error = await refusal(build);
    expect(error.code).toBe('E-MASK-LOST');
    expect(error.what).toContain('the constant row');
  });

  test('what the error suggests gives the right model: zeros in the weights, no masks', async () => {
    for (const build of Object.values(PARTS).slice(0, 2)) {
      const bytes = (await compileModel(model(build, zeroed(W)), { align: 1 })).encode();
      expect((await verifyModels(model(build, zeroed(W)), bytes)).equal).toBe(true);
    }
  });
});

const levels = (count: number, size: number) =>
  normals(5, 'levels', size).map((value) => Math.round(value * (count / 6)) / count);

const HARMLESS: Record<string, { build: Build; w?: Float32Array }> = {
  'a row that is not pruned': { build: (g, w) => absolute(g, g.initializer('row', [6], w.slice(0, 6))) },
  'unrelated numbers': { build: (g) => absolute(g, g.initializer('row', [COLUMNS, ROWS], normals(8, 'q', 48))) },
  'numbers of the same few levels': {
    build: (g) => absolute(g, g.initializer('row', [3], levels(4, 60).slice(50, 53))),
    w: levels(4, 48),
  },
  'a table of positions': {
    build: (g) =>
      absolute(
        g,
        g.initializer(
          'row',
          [48],
          Float32Array.from({ length: 48 }, (_, at) => at / 8),
        ),
      ),
    w: levels(16, 48),
  },
};

const TIED: Record<string, Build> = {
  'a parameter of another name': (g, w) => absolute(g, g.initializer('g.weight', [ROWS, COLUMNS], w), '/g/Abs'),
  'the weight of another module': (g, w) => {
    const own = g.initializer('onnx::MatMul_12', [COLUMNS, ROWS], transposed(w));
    return sum(g, g.op('MatMul', ['x', own], {}, { name: '/g/MatMul' }));
  },
  'a parameter of another name without nodes that say it': (g, w) =>
    sum(g, g.op('Abs', [g.initializer('g.weight', [ROWS, COLUMNS], w)], {}, { name: 'abs' })),
};

describe('another parameter with the same values, perhaps tied to it', () => {
  const write = (name: string, contents: object) => {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(contents));
    return [path];
  };
  const ones = MASK.map((row) => row.map(() => 1));
  const one = { 'f.weight_mask': MASK };
  const both = { ...one, 'g.weight_mask': MASK };

  test.each(Object.entries(TIED))('%s', async (_, build) => {
    const error = await compiled(build).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'E-MASK-AMBIGUOUS' });
    expect((error as Error).message).toContain('f.weight_mask');
    expect((error as Error).message).toContain('g.weight');
    const own = model(build, zeroed(W), W);
    const all = model(build, zeroed(W));
    const ways = [
      { expected: all, options: { masks: write('both', both) } },
      { expected: own, options: { masks: write('ones', { ...one, 'g.weight_mask': ones }) } },
      { expected: own, options: { masks: write('first', one), maskMap: { 'f.weight_mask': 'f.weight' } } },
      { expected: all, options: { masks: write('list', one), maskMap: { 'f.weight_mask': ['f.weight', 'g.weight'] } } },
    ];
    for (const { expected, options } of ways) {
      const made = await compileModel(model(build, W), { ...options, align: 1 });
      expect((await verifyModels(expected, made.encode())).equal).toBe(true);
    }
    expect((await verifyModels(all, own)).equal).toBe(false);
  });

  test.each([1, 0])('an untrained one of nothing but %d is no copy', async (value) => {
    const filled = W.map(() => value);
    const [build] = Object.values(TIED);
    if (build === undefined) return;
    const bytes = (await compiled(build, filled)).encode();
    expect((await verifyModels(model(build, zeroed(filled), filled), bytes)).equal).toBe(true);
  });
});

describe('constants that the mask is not for', () => {
  test.each(Object.entries(HARMLESS))('%s', async (_, { build, w = W }) => {
    const bytes = (await compiled(build, w)).encode();
    expect((await verifyModels(model(build, zeroed(w), w), bytes)).equal).toBe(true);
  });
});

describe('a copy that another module reads turned, as a tied decoder does', () => {
  const tied = (w: Float32Array, turned = transposed(w)) => {
    const g = graphBuilder();
    const x = g.input('x', [2, COLUMNS]);
    g.initializer('dec.weight', [ROWS, COLUMNS], w);
    const t = g.initializer('t', [COLUMNS, ROWS], turned);
    const h = g.op('Relu', [g.op('Gemm', [x, 'dec.weight'], { transB: 1 }, { name: '/enc/Gemm' })]);
    g.output(g.op('Gemm', [h, t], { transB: 1 }, { name: '/dec/Gemm' }));
    return g.bytes();
  };
  const file = (name: string, keys: readonly string[]) => {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(Object.fromEntries(keys.map((key) => [key, MASK]))));
    return [path];
  };

  test('has the mask where the file has the parameter under both names', async () => {
    const both = file('both', ['enc.weight_mask', 'dec.weight_mask']);
    const bytes = (await compileModel(tied(W), { masks: both, align: 1 })).encode();
    expect((await verifyModels(tied(zeroed(W)), bytes)).equal).toBe(true);
    expect((await verifyModels(tied(zeroed(W), transposed(W)), bytes)).equal).toBe(false);
  });

  test('is refused where nothing says whether it is tied', async () => {
    const error = await compileModel(tied(W), { masks: file('one', ['enc.weight_mask']) }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: 'E-MASK-AMBIGUOUS' });
  });
});

describe('vectors with equal values', () => {
  const BIAS = normals(5, 'bias', ROWS);
  const keep = Array.from({ length: ROWS }, (_, row) => (row === 2 ? 0 : 1));
  const path = join(folder, 'vector.json');
  writeFileSync(path, JSON.stringify({ 'f.bias_mask': keep }));
  /** Two layers with one bias: with one weight as well, or with a weight each. */
  const layers = (isWhole: boolean, own = BIAS, other = BIAS) => {
    const g = graphBuilder();
    const x = g.input('x', [2, COLUMNS]);
    g.initializer('f.weight', [ROWS, COLUMNS], W);
    g.initializer('g.weight', [ROWS, COLUMNS], isWhole ? W : normals(4, 'other', ROWS * COLUMNS));
    g.initializer('f.bias', [ROWS], own);
    g.initializer('g.bias', [ROWS], other);
    const [f, h] = ['f', 'g'].map((name) =>
      g.op('Gemm', [x, `${name}.weight`, `${name}.bias`], { transB: 1 }, { name: `/${name}/Gemm` }),
    );
    g.output(g.op('Concat', [f ?? '', h ?? ''], { axis: 1 }));
    return g.bytes();
  };

  test('are two, as the shifts of branches that are added become equal in training', async () => {
    const zeroedBias = BIAS.map((value, row) => value * (keep[row] ?? 0));
    const bytes = (await compileModel(layers(false), { masks: [path], align: 1 })).encode();
    expect((await verifyModels(layers(false, zeroedBias), bytes)).equal).toBe(true);
    expect((await verifyModels(layers(false, zeroedBias, zeroedBias), bytes)).equal).toBe(false);
  });

  test('may be one where the layers have a weight in common, too', async () => {
    const error = await compileModel(layers(true), { masks: [path] }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'E-MASK-AMBIGUOUS' });
  });
});
