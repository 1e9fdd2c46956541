/**
 * The sparse operators in this process; skipped, saying so, where the native library is not built.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as ort from 'onnxruntime-node';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN, SPARSE_VERSION } from '../../src/ir/graph.js';
import { kernelsPath, kernelsTarget, kernelsVersion, loadKernels, staleReason } from '../../src/runtime/kernels.js';
import { createSession } from '../../src/runtime/user-session.js';
import { TOOL } from '../../src/version.js';
import { needsLibrary } from '../support/needs.js';

const DIMS = [2, 16, 20, 20];

function model(): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['n', 16, 'h', 'w']);
  const weights = (name: string) => {
    const keep = uniforms(3, `${name}#keep`, 16 * 16 * 9);
    return {
      data: normals(3, name, 16 * 16 * 9, 0.2).map((value, at) => ((keep[at] ?? 0) < 0.8 ? 0 : value)),
      dims: [16, 16, 3, 3],
    };
  };
  const first = g.relu(g.conv(x, weights('a'), { pads: 1 }));
  g.output(g.op('Abs', [g.conv(first, weights('b'), { pads: 1 })]));
  return g.bytes();
}

test('are the same to the bit between runs, sessions and numbers of threads', needsLibrary, async () => {
  const compiled = (await compileModel(model(), { sparse: true, sparseTarget: EAGER, shapes: { x: DIMS } })).encode();
  const feed = { x: new ort.Tensor('float32', normals(3, 'x', 2 * 16 * 400), DIMS) };
  const results: Float32Array[] = [];
  for (const intraOpNumThreads of [1, 2, 1]) {
    const session = await createSession(compiled, { intraOpNumThreads });
    for (let run = 0; run < 2; run++) {
      const [output] = Object.values(await session.run(feed));
      if (!(output?.data instanceof Float32Array)) throw new Error('no float output');
      results.push(Float32Array.from(output.data));
    }
    await session.release();
  }
  for (const result of results) expect(result).toEqual(results[0]);
});

test('leave sessions of other models as they were', needsLibrary, async () => {
  const dense = model();
  const before = await ort.InferenceSession.create(dense);
  loadKernels();
  const after = await createSession(dense);
  const feed = { x: new ort.Tensor('float32', normals(4, 'x', 2 * 16 * 400), DIMS) };
  const [one, other] = [await before.run(feed), await after.run(feed)];
  expect(Object.values(one)[0]?.data).toEqual(Object.values(other)[0]?.data);
});

test('sessions are made from all that onnxruntime-node takes', async () => {
  const bytes = model();
  const padded = new Uint8Array(bytes.length + 30);
  padded.set(bytes, 10);
  const sessions = [
    await createSession(bytes, { intraOpNumThreads: 1 }),
    await createSession(Uint8Array.from(bytes).buffer),
    await createSession(padded.buffer, 10, bytes.length, { intraOpNumThreads: 1 }),
  ];
  for (const { inputNames } of sessions) expect(inputNames).toEqual(['x']);
  // The bytes around it are no model.
  await expect(createSession(padded.buffer, 0, bytes.length)).rejects.toThrow('protobuf parsing failed');
});

describe('the library of this platform', () => {
  const glibc = { header: { glibcVersionRuntime: '2.36' } };

  test.each([
    ['linux-x64', { platform: 'linux', arch: 'x64', report: glibc }],
    ['linux-arm64', { platform: 'linux', arch: 'arm64', report: glibc }],
    ['linux-x64-musl', { platform: 'linux', arch: 'x64', report: { header: {} } }],
    ['linux-arm64-musl', { platform: 'linux', arch: 'arm64', report: {} }],
    ['darwin-arm64', { platform: 'darwin', arch: 'arm64', report: { header: {} } }],
    ['win32-x64', { platform: 'win32', arch: 'x64', report: { header: {} } }],
  ])('%s', (folder, platform) => expect(kernelsTarget(platform)).toBe(folder));

  test('says its version in the file, and to whoever loads it', needsLibrary, async () => {
    loadKernels();
    const loaded: { exports: { version?: string } } = { exports: {} };
    process.dlopen(loaded, kernelsPath());
    const version = { version: TOOL.version, operators: SPARSE_VERSION };
    expect(kernelsVersion(readFileSync(kernelsPath()))).toEqual(version);
    expect(kernelsVersion(Buffer.from(loaded.exports.version ?? ''))).toEqual(version);
  });

  test('of another package or with other operators is stale', () => {
    const own = { version: TOOL.version, operators: SPARSE_VERSION };
    expect(staleReason(own)).toBeUndefined();
    expect(staleReason({ ...own, version: '0.0.9' })).toBe(
      `it was built for version 0.0.9 with operators 1, and this package is version ${TOOL.version} with operators 1`,
    );
    expect(staleReason({ ...own, operators: 7 })).toContain('with operators 7, and this package is');
    expect(staleReason(kernelsVersion(Buffer.from('an ELF file without a statement')))).toContain('has no version');
  });
});

test('of which a model wants one that the library does not have: that is said', needsLibrary, async () => {
  const g = graphBuilder();
  g.output(g.op('SparseTomorrow', [g.input('x', [1])], {}, { domain: SPARSE_DOMAIN }));
  const refusal = {
    code: 'E-KERNELS',
    message: expect.stringMatching(
      /the native library of sparse operators cannot be used\n.*\n.*it is older than the model: it has no operator SparseTomorrow\n.*build\.mjs/,
    ),
  };
  // The library may be loaded for this model, or before.
  await expect(createSession(g.bytes())).rejects.toMatchObject(refusal);
  await expect(createSession(g.bytes())).rejects.toMatchObject(refusal);
});

test('refuse a node that they know and that is wrong in their own words', needsLibrary, async () => {
  const g = graphBuilder();
  const x = g.op('Enter', [g.input('x', [1, 1, 28, 28])], {}, { domain: SPARSE_DOMAIN });
  const step = [{ data: [1] }, { data: Uint8Array.of(1) }, { data: [0] }];
  g.output(g.op('SparseChain', [x, ...step], { filters: [1] }, { name: 'wrong', domain: SPARSE_DOMAIN }));
  await expect(createSession(g.bytes())).rejects.toThrow(
    "node 'wrong' (SparseChain): attribute 'channels' must have 1 items",
  );
});

test(
  'say what the machine is: instruction set, and the peak of one core where there is a loop that measures it',
  needsLibrary,
  () => {
    const { isa, fmaPeak, fmaPerCycle } = loadKernels();
    expect(['avx512', 'avx2', 'baseline']).toContain(isa);
    if (isa === 'baseline') return;
    expect(fmaPeak()).toBeGreaterThan(0);
    // A neighbour on the other thread of the core may use up half of it and more; no core does three.
    expect(fmaPerCycle()).toBeGreaterThan(0);
    expect(fmaPerCycle()).toBeLessThan(3);
  },
);
