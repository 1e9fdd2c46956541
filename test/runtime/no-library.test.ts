/**
 * Where the native library is missing: what the doctor says, and what --sparse decides by. A file
 * of its own, because it replaces a module.
 */
import { expect, test, vi } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { diagnose } from '../../src/doctor.js';
import { createSession } from '../../src/runtime/user-session.js';
import { verifyModels } from '../../src/verify/verify.js';

vi.mock('../../src/runtime/kernels.js', async (original) => {
  const { PruneCompileError } = await import('../../src/errors.js');
  return {
    ...(await original<object>()),
    kernelsPath: () => '/nowhere/kernels.so',
    loadKernels: () => {
      throw new PruneCompileError('E-KERNELS', { what: 'no library', facts: [['why', 'it is not there']] });
    },
  };
});

test('the doctor names the command that makes it', async () => {
  const { kernels, costTable, missing } = await diagnose();
  expect(kernels).toEqual({ path: '/nowhere/kernels.so', found: false, loads: false, why: 'it is not there' });
  expect(costTable).toMatchObject({ name: 'baseline', notes: [expect.stringContaining('does not load here')] });
  expect(missing).toContainEqual({
    what: 'the native library of sparse operators',
    get: expect.stringMatching(/^node .*kernels.build\.mjs \(builds it; needs a C\+\+20 compiler\)$/),
  });
});

test('--sparse decides by the baseline, and says why; a target that is named needs no library', async () => {
  const g = graphBuilder();
  const weights = { data: Array.from({ length: 256 }, (_, at) => at % 2), dims: [16, 16, 1, 1] };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 16, 8, 8]), weights)]));
  const said = async (options: object) =>
    (await compileModel(g.bytes(), { sparse: true, ...options })).report.remarks.map(({ message }) => message);
  const [note, table] = await said({});
  expect(note).toContain('the native library does not load here');
  expect(table).toContain('by the cost table "baseline"');
  expect((await said({ sparseTarget: 'avx2' }))[0]).toContain('by the cost table "avx2"');
});

test('verifying a sparse model is an error then, not a difference', async () => {
  const g = graphBuilder();
  const weights = { data: Array.from({ length: 256 }, (_, at) => at % 2), dims: [16, 16, 1, 1] };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 16, 8, 8]), weights)]));
  const sparse = (await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER })).encode();
  await expect(verifyModels(g.bytes(), sparse)).rejects.toMatchObject({ code: 'E-KERNELS' });
});

test('sessions of models without sparse operators need no library, and those of others say what is missing', async () => {
  const g = graphBuilder();
  const weights = { data: Array.from({ length: 256 }, (_, at) => at % 2), dims: [16, 16, 1, 1] };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 16, 8, 8]), weights)]));
  expect((await createSession(g.bytes())).inputNames).toEqual(['x']);
  const sparse = (await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER })).encode();
  await expect(createSession(sparse)).rejects.toMatchObject({
    code: 'E-KERNELS',
    message: 'no library\n  why: it is not there',
  });
  // Errors of ONNX Runtime itself pass through, also of a file with such a name.
  for (const other of [Buffer.from('no model'), '/nowhere/prune_compile.onnx'])
    await expect(createSession(other)).rejects.not.toHaveProperty('code', 'E-KERNELS');
});
