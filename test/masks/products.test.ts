/**
 * Masks of layers whose filters are not on the first axis of the weight: products with the matrix on
 * either side, and transposed convolutions.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { product } from '../../src/ir/tensor.js';
import { maskModel } from '../../src/masking/masked-model.js';
import { readModel } from '../../src/onnx/read.js';
import { maskedReference } from '../../src/verify/masked-reference.js';
import { verifyModels } from '../../src/verify/verify.js';

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'prune-compile-products-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const MICROSOFT = { domain: 'com.microsoft' };
const [IN, HIDDEN, OUT] = [6, 8, 3];
const DEAD = [1, 4, 5];
const AXES = { in: IN, out: HIDDEN, one: 1, tap: 2 };
type AxisName = keyof typeof AXES;

interface Layer {
  readonly name: string;
  /** Of the weight `a.weight`, as it is stored. */
  readonly axes: readonly AxisName[];
  readonly network: (g: GraphBuilder, weights: string) => string;
}

function stored(g: GraphBuilder, name: string, dims: readonly number[]): string {
  return g.initializer(name, dims, normals(4, name, product(dims)));
}

/** Rows [2, 5, IN] or columns [2, IN, 5] -> a layer with a bias -> Relu -> a reader. */
const rows = (g: GraphBuilder, apply: (x: string) => string) => {
  const hidden = g.relu(g.add(apply(g.input('x', [2, 5, IN])), stored(g, 'a.bias', [HIDDEN])));
  return g.op('MatMul', [hidden, stored(g, 'b.weight', [HIDDEN, OUT])]);
};
const columns = (g: GraphBuilder, apply: (x: string) => string) => {
  const hidden = g.relu(g.add(apply(g.input('x', [2, IN, 5])), stored(g, 'a.bias', [HIDDEN, 1])));
  return g.op('MatMul', [stored(g, 'b.weight', [OUT, HIDDEN]), hidden]);
};
const fused = (g: GraphBuilder, inputs: readonly string[], attributes: object) =>
  g.op('FusedMatMul', inputs, { ...attributes }, { name: 'a', ...MICROSOFT });

const LAYERS: readonly Layer[] = [
  {
    name: 'MatMul with the matrix on the left',
    axes: ['out', 'in'],
    network: (g, w) => columns(g, (x) => g.op('MatMul', [w, x], {}, { name: 'a' })),
  },
  {
    name: 'MatMul with a matrix of rank 3',
    axes: ['one', 'in', 'out'],
    network: (g, w) => rows(g, (x) => g.op('MatMul', [x, w], {}, { name: 'a' })),
  },
  {
    name: 'FusedMatMul',
    axes: ['in', 'out'],
    network: (g, w) => rows(g, (x) => fused(g, [x, w], {})),
  },
  {
    name: 'FusedMatMul transB',
    axes: ['out', 'in'],
    network: (g, w) => rows(g, (x) => fused(g, [x, w], { transB: 1 })),
  },
  {
    name: 'FusedMatMul with the turned matrix on the left',
    axes: ['in', 'out'],
    network: (g, w) => columns(g, (x) => fused(g, [w, x], { transA: 1 })),
  },
  {
    name: 'Gemm transA',
    axes: ['in', 'out'],
    network: (g, w) => {
      const x = g.input('x', [IN, 5]);
      const hidden = g.op('Gemm', [x, w, stored(g, 'a.bias', [HIDDEN])], { transA: 1 }, { name: 'a' });
      return g.op('MatMul', [g.relu(hidden), stored(g, 'b.weight', [HIDDEN, OUT])]);
    },
  },
  {
    name: 'ConvTranspose',
    axes: ['in', 'out', 'tap', 'tap'],
    network: (g, w) => {
      const inputs = [g.input('x', [1, IN, 4, 4]), w, stored(g, 'a.bias', [HIDDEN])];
      const hidden = g.op('ConvTranspose', inputs, { kernel_shape: [2, 2], strides: [2, 2] }, { name: 'a' });
      return g.conv(g.relu(hidden), stored(g, 'b.weight', [OUT, HIDDEN, 1, 1]));
    },
  },
];

function networkOf({ axes, network }: Layer): { bytes: Uint8Array; dims: readonly number[] } {
  const g = graphBuilder();
  const dims = axes.map((axis) => AXES[axis]);
  g.output(network(g, stored(g, 'a.weight', dims)));
  return { bytes: g.bytes(), dims };
}

function maskFile(contents: unknown): string {
  const path = join(folder, 'masks.json');
  writeFileSync(path, JSON.stringify(contents));
  return path;
}

/** Row-major numbers as lists in lists. */
function nested(values: readonly number[], [extent = 1, ...others]: readonly number[]): unknown {
  const inner = product(others);
  if (others.length === 0) return values;
  return Array.from({ length: extent }, (_, at) => nested(values.slice(at * inner, (at + 1) * inner), others));
}

async function masked(bytes: Uint8Array, mask: unknown, meaning: 'zero' | 'drop') {
  const options = { masks: [maskFile({ 'a.weight': mask })], maskLayout: 'stored', meaning } as const;
  const compiled = await compileModel(bytes, { align: 1, ...options });
  const { plan } = await maskModel(readModel(bytes), options);
  if (plan === undefined) throw new Error('there is no mask');
  const { equal } = await verifyModels(maskedReference(bytes, plan), compiled.encode(), { seeds: [1, 2] });
  return {
    equal,
    removed: compiled.report.before.channels - compiled.report.after.channels,
    weights: readModel(compiled.masked()).graph.values.get('a.weight')?.initializer?.numbers(),
  };
}

describe.each(LAYERS)('$name', (layer) => {
  const { bytes, dims } = networkOf(layer);
  const outAxis = layer.axes.indexOf('out');
  const inner = product(dims.slice(outAxis + 1));
  const ofFilters = Array.from({ length: product(dims) }, (_, at) =>
    DEAD.includes(Math.floor(at / inner) % HIDDEN) ? 0 : 1,
  );

  test.each(['zero', 'drop'] as const)('whole filters go, meaning %s', async (meaning) => {
    const found = await masked(bytes, nested(ofFilters, dims), meaning);
    expect(found).toMatchObject({ equal: true, removed: DEAD.length });
  });

  test('one number per filter', async () => {
    const perFilter = Array.from({ length: HIDDEN }, (_, filter) => (DEAD.includes(filter) ? 0 : 1));
    expect(await masked(bytes, perFilter, 'drop')).toMatchObject({ equal: true, removed: DEAD.length });
  });

  test('single elements are zero, and no others', async () => {
    const keep = Array.from({ length: product(dims) }, (_, at) => (at % 5 === 2 ? 0 : 1));
    const { equal, removed, weights } = await masked(bytes, nested(keep, dims), 'zero');
    expect({ equal, removed }).toEqual({ equal: true, removed: 0 });
    expect(Array.from(weights ?? [], (value) => (value === 0 ? 0 : 1))).toEqual(keep);
  });
});
