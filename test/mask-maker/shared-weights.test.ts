/**
 * Masks for weights under several names: one mask per stored weight, found again by whoever reads
 * the file.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, FLOAT16, INT64 } from '../../src/ir/tensor.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { maskedReference } from '../../src/verify/masked-reference.js';
import { verifyModels } from '../../src/verify/verify.js';

const GRANULARITIES = ['filter', 'channel', 'kernel', 'unstructured', '2x3', '1:2'];

function store(g: GraphBuilder, name: string, dims: readonly [number, number], dataType = FLOAT): string {
  return g.initializer(name, dims, normals(4, name, dims[0] * dims[1]), dataType);
}

/**
 * Three calls of one block of two matrices, the first square. Each further call reads what `alias`
 * makes of them.
 */
function repeated(alias: (g: GraphBuilder, w: string) => string, dataType = FLOAT): Uint8Array {
  const g = graphBuilder();
  let x = g.input('x', [2, 16]);
  const [q, f] = [store(g, 'onnx::MatMul_9', [16, 16], dataType), store(g, 'onnx::MatMul_12', [16, 16], dataType)];
  for (const call of ['', '_1', '_2']) {
    const read = (w: string) => (call === '' && dataType === FLOAT ? w : alias(g, w));
    const hidden = g.relu(g.op('MatMul', [x, read(q)], {}, { name: `/q${call}/MatMul` }));
    x = g.op('MatMul', [hidden, read(f)], {}, { name: `/f${call}/MatMul` });
  }
  g.output(g.op('MatMul', [x, store(g, 'head', [16, 3])], {}, { name: '/p/MatMul' }));
  return g.bytes();
}

function storedBytes(model: Uint8Array): number {
  const floats = [...readModel(model).graph.initializers()].filter(({ initializer }) => initializer.dataType !== INT64);
  return floats.reduce((total, { initializer }) => total + initializer.sizeBytes, 0);
}

/**
 * What is compiled from the file of masks against the masks multiplied in; no weight is stored
 * twice.
 */
async function check(model: Uint8Array, granularity: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-shared-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const made = await makeMasks(model, { granularity });
  const path = join(folder, 'masks.npz');
  made.write(path, 'npz');
  const compiled = await compileModel(model, { masks: [path], align: 1 });
  const { maskPlan, report } = compiled;
  expect(made.report.skipped.filter(({ why }) => why.includes('name'))).toEqual([]);
  expect(report.masks?.zeros).toBe(made.report.zeros);
  expect(report.masks?.unmatched).toEqual([]);
  const reference = maskPlan === undefined ? model : maskedReference(model, maskPlan);
  const written = compiled.encode();
  expect(await verifyModels(reference, written)).toMatchObject({ equal: true });
  expect(await verifyModels(reference, made.encode('onnx'))).toMatchObject({ equal: true });
  expect(storedBytes(written)).toBeLessThanOrEqual(storedBytes(model));
  expect(storedBytes(made.encode('onnx'))).toBe(storedBytes(model));
}

describe.each(GRANULARITIES)('%s', (granularity) => {
  test('through Identity', async () => {
    const model = repeated((g, w) => g.op('Identity', [w]));
    await check(model, granularity);
  });

  test('through Cast', async () => {
    const model = repeated((g, w) => g.op('Cast', [w], { to: FLOAT }), FLOAT16);
    await check(model, granularity);
  });

  test('through Transpose, where shapes do not tell the axes', async () => {
    const model = repeated((g, w) => g.transpose(w, [1, 0]));
    await check(model, granularity);
  });
});

test('a shared weight is masked where it is stored, once', async () => {
  const model = repeated((g, w) => g.op('Identity', [w]));
  const made = await makeMasks(model, { granularity: 'unstructured' });
  expect(made.report.layers.map(({ mask }) => mask)).toEqual(['onnx::MatMul_9', 'onnx::MatMul_12', 'head']);
  const { graph } = readModel(made.encode('onnx'));
  expect([...graph.initializers()].map(({ name }) => name)).toEqual(['onnx::MatMul_9', 'onnx::MatMul_12', 'head']);
});

test('a layer whose name is that of another weight has no mask, and says so', async () => {
  const g = graphBuilder();
  const x = g.input('x', [2, 16]);
  const named = (name: string) => store(g, name, [16, 16]);
  const first = g.relu(g.op('MatMul', [x, named('a.weight_mask')]));
  const second = g.relu(g.op('MatMul', [first, named('b.weight')]));
  g.output(g.op('MatMul', [second, named('c.weight')]));
  const { report } = await makeMasks(g.bytes(), { granularity: 'unstructured' });
  expect(report.layers.map(({ mask }) => mask)).toEqual(['b.weight', 'c.weight']);
  expect(report.skipped).toMatchObject([{ why: expect.stringContaining('name') as unknown }]);
});

describe('a parameter of two names', () => {
  /** A decoder that is tied to its embedding, stored once under the name of one of them. */
  function tied(owner: 'emb' | 'out'): Uint8Array {
    const g = graphBuilder();
    const x = g.input('x', [2, 3], INT64);
    const w = store(g, `${owner}.weight`, [16, 16]);
    const rows = g.op('Gather', [w, x], {}, { name: '/emb/Gather' });
    const turned = g.op('Transpose', [w], { perm: [1, 0] }, { name: '/out/Transpose' });
    const hidden = g.relu(g.op('MatMul', [rows, store(g, 'f.weight', [16, 16])], {}, { name: '/f/MatMul' }));
    g.output(g.op('MatMul', [hidden, turned], {}, { name: '/out/MatMul' }));
    return g.bytes();
  }

  test.each(['emb', 'out'] as const)('the file says that the embedding has no mask, stored as %s', async (owner) => {
    const model = tied(owner);
    const made = await makeMasks(model, { granularity: 'unstructured' });
    expect(made.masks.map(({ name, keep }) => [name, keep.includes(0)])).toEqual([
      ['f.weight', true],
      ['out.weight', true],
      ['emb.weight', false],
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'prune-compile-tied-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'masks.npz');
    made.write(path, 'npz');
    const compiled = await compileModel(model, { masks: [path], align: 1 });
    expect(await verifyModels(made.encode('onnx'), compiled.encode())).toMatchObject({ equal: true });
    expect(await verifyModels(model, compiled.encode())).toMatchObject({ equal: false });
  });
});
