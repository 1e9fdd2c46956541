/**
 * Mask files and masked models: what is written is what the compiler reads, whatever the format and
 * the exporter.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { makeMasks, type MadeMasks, type MaskFormat } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';
import { loadRealModel } from '../support/real-models.js';
import { matrixNetwork, plainNetwork, residualNetwork } from './networks.js';

const FILES = ['safetensors', 'npz', 'json'] as const satisfies readonly MaskFormat[];

function fileOf(made: MadeMasks, format: MaskFormat): string {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-masks-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, `masks.${format}`);
  expect(made.write(path, format)).toBe(made.encode(format).length);
  return path;
}

/** Zeros of every weight after the masks of the file. */
async function zerosByWeight(model: Uint8Array, path: string): Promise<Map<string, number>> {
  const { report } = await compileModel(model, { masks: [path], passes: [] });
  expect(report.masks?.unmatched).toEqual([]);
  expect(report.masks?.masks.every(({ evidence }) => evidence === 'name' || evidence === 'module')).toBe(true);
  return new Map(report.masks?.masks.map(({ key, zeros }) => [key, zeros]));
}

async function checkFiles(model: Uint8Array, made: MadeMasks): Promise<void> {
  const expected = new Map(made.report.layers.map(({ mask, zeros }) => [mask, zeros]));
  const masked = made.encode('onnx');
  for (const format of FILES) {
    const path = fileOf(made, format);
    expect(await zerosByWeight(model, path)).toEqual(expected);
    const { masked: byFile } = await compileModel(model, { masks: [path] });
    const [one, other] = [byFile(), masked].map((bytes) => weightsOf(bytes as Uint8Array));
    expect(one).toEqual(other);
  }
}

function weightsOf(bytes: Uint8Array): Map<string, string> {
  const initializers = [...readModel(bytes).graph.initializers()];
  return new Map(
    initializers.map(({ name, initializer }) => [name, Buffer.from(initializer.bytes()).toString('base64')]),
  );
}

const GRANULARITIES = ['filter', 'channel', 'kernel', 'unstructured', '2x3', '1:2'];

describe('every format gives the same weights', () => {
  test.each(GRANULARITIES)('convolutions, %s', async (granularity) => {
    const model = plainNetwork({ hasNorm: true });
    await checkFiles(model, await makeMasks(model, { granularity }));
  });

  // The second matrix is square: nothing but its name tells how it is stored.
  test.each(GRANULARITIES)('matrices [in, out], %s', async (granularity) => {
    const model = matrixNetwork();
    await checkFiles(model, await makeMasks(model, { granularity, criterion: 'random' }));
  });

  test('the model itself is not changed, and only masked elements of its copy are zero', async () => {
    const model = residualNetwork();
    const made = await makeMasks(model, { groups: 'residual' });
    const [before, after] = [readModel(model), readModel(made.encode('onnx'))].map(({ graph }) => graph);
    for (const { name, keep } of made.masks) {
      const old = before?.values.get(name)?.initializer?.numbers() ?? [];
      const now = after?.values.get(name)?.initializer?.numbers() ?? [];
      expect([...now]).toEqual([...old].map((value, at) => (keep[at] === 1 ? value : 0)));
    }
    expect(made.encode('safetensors')).toEqual((await makeMasks(model, { groups: 'residual' })).encode('safetensors'));
  });
});

test('weights that are Constant nodes, and one weight for two layers', async () => {
  const graph = graphBuilder({ constantNodes: true });
  const x = graph.input('x', [1, 4, 5, 5]);
  const data = Array.from({ length: 64 }, (_, index) => ((index * 37) % 64) - 31.5);
  const shared = graph.initializer('shared.weight', [4, 4, 2, 2], data);
  const first = graph.relu(graph.conv(x, shared, { name: '/first/Conv', kernel: [2, 2] }));
  const second = graph.relu(graph.conv(first, shared, { name: '/second/Conv', kernel: [2, 2] }));
  const flat = graph.flatten(graph.globalAveragePool(second));
  graph.output(graph.gemm(flat, { data: [1, 2, 3, 4, 5, 6, 7, 8], dims: [2, 4] }, { name: '/fc/Gemm' }), [1, 2]);
  const model = graph.bytes();
  const made = await makeMasks(model, {});
  expect(made.report.layers.map(({ units, masked }) => [units, masked])).toEqual([[4, 2]]);
  for (const format of FILES) {
    const { report } = await compileModel(model, { masks: [fileOf(made, format)] });
    expect(report.after.channels).toBe(made.report.after.channels);
  }
});

describe('real exports', () => {
  test.each([
    's_resnet18.plain.legacy',
    's_resnet18.plain.dynamo',
    's_resnet18.ln0_hooks.legacy',
    's_resnet18.rand_hooks.legacy_nofold',
    's_resnet10.fp16.legacy',
    's_mobilenet.plain.legacy_bn',
    'cifar_resnet20b.legacy_kiai',
    'cifar_resnet20b.legacy_op9',
  ])('%s: a file gives what was promised', async (name) => {
    const model = await loadRealModel(name);
    const made = await makeMasks(model, { groups: 'residual' });
    for (const format of FILES) {
      const { report } = await compileModel(model, { masks: [fileOf(made, format)] });
      expect(report.before.channels - report.after.channels).toBe(made.report.removableChannels);
    }
    const path = join(mkdtempSync(join(tmpdir(), 'prune-compile-masks-')), 'masked.onnx');
    onTestFinished(() => rmSync(join(path, '..'), { recursive: true, force: true }));
    writeFileSync(path, made.encode('onnx'));
    const { report } = await compileModel(path);
    expect(report.before.channels - report.after.channels).toBe(made.report.removableChannels);
  });
});
