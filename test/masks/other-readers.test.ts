/**
 * A masked parameter that others read as well: in PyTorch all of them see the mask. The expected
 * outputs are those of a model with the zeros in its weights, never those of the compiler's own
 * reference.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { PruneCompileError } from '../../src/errors.js';
import { verifyModels } from '../../src/verify/verify.js';

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-readers-'));
const DIMS = [8, 6] as const;
const PRUNED = [1, 4];

/** Rows 1 and 4 are gone. */
const masked = (weight: Float32Array, isMasked: boolean) =>
  weight.map((value, at) => (isMasked && PRUNED.includes(Math.floor(at / DIMS[1])) ? 0 : value));

type Build = (g: GraphBuilder, x: string, w: string) => string;

/** The graph with `f.weight` [8, 6] and `f.bias` [8], dense or with zeros in the weight. */
function model(build: Build, isMasked: boolean, name = 'f.weight'): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [2, 6]);
  const w = g.initializer(name, DIMS, masked(normals(3, 'w', 48), isMasked));
  g.initializer('f.bias', [8], normals(3, 'b', 8));
  g.output(build(g, x, w));
  return g.bytes();
}

function maskFile(key: string): string {
  const path = join(folder, `${key.replaceAll(/\W/g, '_')}.json`);
  writeFileSync(
    path,
    JSON.stringify({
      [key]: Array.from({ length: 8 }, (_, row) => Array.from({ length: 6 }, () => (PRUNED.includes(row) ? 0 : 1))),
    }),
  );
  return path;
}

async function compiled(build: Build, name = 'f.weight') {
  return compileModel(model(build, false, name), { masks: [maskFile(`${name}_mask`)], align: 1 });
}

const layer = (g: GraphBuilder, x: string, w: string, name = '/f/Gemm') =>
  g.op('Gemm', [x, w, 'f.bias'], { transB: 1 }, { name });
const sum = (g: GraphBuilder, value: string) => g.op('ReduceSum', [value], { keepdims: 0 });

const OTHERS: Record<string, Build> = {
  'a layer that computes a constant': (g, x, w) => {
    const constant = layer(g, g.initializer('q', [2, 6], normals(3, 'q', 12)), w, '/f_1/Gemm');
    return g.op('Add', [layer(g, x, w), g.op('Abs', [constant])]);
  },
  'an operator that reads it through a cast to its own type': (g, x, w) =>
    g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [g.op('Cast', [w], { to: 1 })]))]),
  'the norm of a weight normalisation': (g, x, w) => {
    const length = g.op('ReduceL2', [g.op('Cast', [w], { to: 1 })], { axes: [0], keepdims: 1 });
    return layer(g, x, g.op('Mul', [w, g.op('Div', [{ data: [2] }, length])]));
  },
  'an operator without weights': (g, x, w) => g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [w]))]),
  'an operator without weights, through an Identity': (g, x, w) =>
    g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [g.op('Identity', [w])]))]),
};

describe('readers that see the mask', () => {
  test.each(Object.entries(OTHERS))('%s', async (_, build) => {
    const result = await compiled(build);
    const bytes = result.encode();
    expect((await verifyModels(model(build, true), bytes)).equal).toBe(true);
    expect((await verifyModels(model(build, false), bytes)).equal).toBe(false);
    expect(result.report.masks?.zeros).toBe(PRUNED.length * 6);
  });

  test('where no name says a module, whoever reads the tensor', async () => {
    const build: Build = (g, x, w) => {
      const constant = layer(g, g.initializer('q', [2, 6], normals(3, 'q', 12)), w, '/g/Gemm');
      return g.op('Add', [layer(g, x, w), constant]);
    };
    const bytes = (await compiled(build, 'W')).encode();
    expect((await verifyModels(model(build, true, 'W'), bytes)).equal).toBe(true);
  });
});

describe('readers that do not', () => {
  test('of another module, where --mask-map names the one: exporters store equal tensors once', async () => {
    const build: Build = (g, x, w) => g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [w], {}, { name: '/g/Abs' }))]);
    await expect(compiled(build)).rejects.toMatchObject({ code: 'E-MASK-AMBIGUOUS' });
    const maskMap = { 'f.weight_mask': 'f.weight' };
    const result = await compileModel(model(build, false), { masks: [maskFile('f.weight_mask')], maskMap, align: 1 });
    const expected: Build = (g, x, w) => {
      const own = g.initializer('g.weight', DIMS, normals(3, 'w', 48));
      return g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [own]))]);
    };
    expect((await verifyModels(model(expected, true), result.encode())).equal).toBe(true);
  });

  test.each<[string, Build, string]>([
    [
      'a subgraph',
      (g, x, w) => {
        const branch = (scale: number) => {
          const inner = graphBuilder();
          inner.output(inner.op('Mul', [w, { data: [scale] }]));
          return { graph: inner.graph() };
        };
        const condition = g.op('Greater', [sum(g, x), { data: [0], dims: [] }]);
        const chosen = g.op('If', [condition], { then_branch: branch(1), else_branch: branch(2) }, { name: 'fork' });
        return g.op('Add', [layer(g, x, w), sum(g, chosen)]);
      },
      'where fork reads it',
    ],
    [
      'an output of the model, under another name',
      (g, x, w) => {
        g.output(g.op('Identity', [w], {}, { name: 'shown' }));
        return layer(g, x, w);
      },
      'where shown reads it',
    ],
    [
      'in another layout',
      (g, x, w) => {
        const turned = g.op('Transpose', [w], { perm: [1, 0] });
        return g.op('Add', [layer(g, x, w), sum(g, g.op('Abs', [turned], {}, { name: 'turned' }))]);
      },
      'where turned reads it',
    ],
  ])('%s: the error names it', async (_, build, where) => {
    const error = await compiled(build).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(PruneCompileError);
    expect(error).toMatchObject({ code: 'E-MASK-LOST' });
    expect((error as PruneCompileError).what).toContain(where);
  });
});
