/**
 * Masks of quantised weights: what a mask takes away is at its zero point in the compiled model, and
 * in the reference, which says so in the graph.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CODED_FORMS,
  codedLayer,
  type CodedForm,
  CODING,
  dequantize,
  fusedMatrix,
  layerOfCodes,
  parameters,
  quantize,
} from '../../fixtures/networks/coded.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { maskModel } from '../../src/masking/masked-model.js';
import type { MaskOptions } from '../../src/masking/masking.js';
import { readModel } from '../../src/onnx/read.js';
import { maskedReference } from '../../src/verify/masked-reference.js';
import { verifyModels } from '../../src/verify/verify.js';

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'prune-compile-quantised-'))));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function maskFile(contents: unknown): string {
  const path = join(folder, `masks-${files++}.json`);
  writeFileSync(path, JSON.stringify(contents));
  return path;
}

const WIDTH = 6;
const REMOVED = [1, 4];
/** One number per filter, of the first layer. */
const MASK = Array.from({ length: WIDTH }, (_, filter) => (REMOVED.includes(filter) ? 0 : 1));
const TO_THE_BIT = "equal to the bit in ONNX Runtime's integer kernels, whose sums are exact";

/** x -> 6 filters, no one of them dead -> Relu -> a reader. */
function images(form: CodedForm, isPerFilter = false, opset = 17): Uint8Array {
  const g = graphBuilder({ opset });
  const attributes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };
  const first = { name: 'first', dims: [WIDTH, 3, 3, 3], isPerFilter, attributes };
  const hidden = g.relu(codedLayer(g, g.input('x', [1, 3, 6, 6]), form, first));
  g.output(codedLayer(g, hidden, form, { name: 'reader', dims: [4, WIDTH, 3, 3], isPerFilter, attributes }));
  return g.bytes();
}

/** Of matrices the masks are as the tensors are stored: [in, out]. */
function matrices(form: CodedForm): Uint8Array {
  const g = graphBuilder();
  const hidden = g.relu(codedLayer(g, g.input('x', [4, 8]), form, { name: 'first', dims: [8, WIDTH] }));
  g.output(codedLayer(g, hidden, form, { name: 'reader', dims: [WIDTH, 3] }));
  return g.bytes();
}

const columns = Array.from({ length: 8 }, () => MASK);

async function masked(bytes: Uint8Array, options: MaskOptions) {
  const compiled = await compileModel(bytes, { align: 1, ...options });
  const { plan } = await maskModel(readModel(bytes), options);
  if (plan === undefined) throw new Error('there is no mask');
  const reference = maskedReference(bytes, plan);
  const verification = await verifyModels(reference, compiled.encode(), { seeds: [1, 2] });
  return {
    equal: verification.equal,
    toTheBit: verification.notes.includes(TO_THE_BIT),
    removed: compiled.report.before.channels - compiled.report.after.channels,
    bytes: compiled.encode(),
    reference,
  };
}

describe.each(CODED_FORMS)('%s', (form) => {
  test.each([false, true])('a filter is dropped with its bias, a scale per filter: %s', async (isPerFilter) => {
    const masks = [maskFile({ 'first.weight': MASK })];
    const found = await masked(images(form, isPerFilter), { masks, meaning: 'drop' });
    expect(found).toMatchObject({ equal: true, toTheBit: true, removed: REMOVED.length });
  });

  test('a filter gives its bias', async () => {
    const masks = [maskFile({ 'first.weight': MASK })];
    const bytes = images(form);
    const found = await masked(bytes, { masks });
    expect(found).toMatchObject({ equal: true, toTheBit: true });
    // And not what it gave before, nor 0: the two meanings and the model itself differ.
    const dropped = await masked(bytes, { masks, meaning: 'drop' });
    for (const other of [bytes, dropped.reference])
      expect((await verifyModels(other, found.bytes, { seeds: [1] })).equal).toBe(false);
  });

  test('single weights are at their zero points', async () => {
    const dims = [WIDTH, 3, 3, 3];
    const nested = (extents: readonly number[], path: readonly number[] = []): unknown =>
      extents.length === 0
        ? path.reduce((sum, index) => sum + index, 0) % 3 === 0
          ? 0
          : 1
        : Array.from({ length: extents[0] ?? 0 }, (_, at) => nested(extents.slice(1), [...path, at]));
    const found = await masked(images(form, true), { masks: [maskFile({ 'first.weight': nested(dims) })] });
    expect(found).toMatchObject({ equal: true, toTheBit: true, removed: 0 });
    const untouched = await verifyModels(images(form, true), found.bytes, { seeds: [1] });
    expect(untouched.equal).toBe(false);
  });

  test('columns of a matrix', async () => {
    const masks = [maskFile({ 'first.weight_quantized': columns })];
    const found = await masked(matrices(form), { masks, meaning: 'drop', maskLayout: 'stored' });
    expect(found).toMatchObject({ equal: true, toTheBit: true, removed: REMOVED.length });
  });

  test('a share of a code is none', async () => {
    const masks = [maskFile({ 'first.weight': MASK.map((factor) => factor / 2) })];
    const run = masked(images(form), { masks, maskSoft: 'multiply' });
    if (form === 'decoded') expect(await run).toMatchObject({ equal: true });
    else await expect(run).rejects.toMatchObject({ code: 'E-MASK-SOFT' });
  });
});

describe('a bias behind the codes of the sums is dropped', () => {
  const codes = { data: Int8Array.from({ length: WIDTH }, (_, filter) => 40 - 17 * filter) };
  const drop = () => ({ masks: [maskFile({ first: columns })], meaning: 'drop' }) as const;

  test('decoded', async () => {
    const g = graphBuilder();
    const of = { name: 'first', dims: [8, WIDTH], hasBias: false } as const;
    const sums = codedLayer(g, g.input('x', [4, 8]), 'decoded', of);
    const bias = g.op('DequantizeLinear', [codes, { data: [0.02], dims: [] }, { data: Int8Array.of(3), dims: [] }]);
    const hidden = dequantize(g, quantize(g, g.add(sums, bias)));
    g.output(codedLayer(g, hidden, 'decoded', { name: 'reader', dims: [WIDTH, 3] }));
    expect(await masked(g.bytes(), drop())).toMatchObject({ equal: true, toTheBit: true, removed: 2 });
  });

  test.each([0, 3])('as input %i of a QLinearAdd', async (place) => {
    const g = graphBuilder();
    const x = quantize(g, g.input('x', [4, 8]));
    const sums = layerOfCodes(g, x, { name: 'first', dims: [8, WIDTH], hasBias: false });
    const added = [{ data: Uint8Array.from(codes.data, (code) => code + 128) }, ...parameters(CODING)];
    const operands = [sums, ...parameters(CODING)];
    const inputs = place === 0 ? [...added, ...operands] : [...operands, ...added];
    const sum = g.op('QLinearAdd', [...inputs, ...parameters(CODING)], {}, { domain: 'com.microsoft' });
    g.output(dequantize(g, layerOfCodes(g, sum, { name: 'reader', dims: [WIDTH, 3] })));
    expect(await masked(g.bytes(), drop())).toMatchObject({ equal: true, toTheBit: true, removed: 2 });
  });
});

describe.each([false, true])('matrices that scale their sums, which quantise their input: %s', (quantisesItself) => {
  test.each(['inside', 'behind', 'none'])('a bias %s', async (place) => {
    const g = graphBuilder();
    const of = { name: 'first', dims: [8, WIDTH], hasBias: place === 'inside', isPerFilter: true };
    const sums = fusedMatrix(g, g.input('x', [4, 8]), of, quantisesItself);
    const bias = () => g.initializer('first.bias', [WIDTH], normals(3, 'bias', WIDTH));
    const hidden = place === 'behind' ? g.add(sums, bias()) : sums;
    g.output(fusedMatrix(g, g.relu(hidden), { name: 'reader', dims: [WIDTH, 3] }, quantisesItself));
    const masks = [maskFile({ first: columns })];
    const found = await masked(g.bytes(), { masks, meaning: 'drop' });
    expect(found).toMatchObject({ equal: true, toTheBit: true, removed: REMOVED.length });
  });
});

test('of opset 10, where each tensor has one scale', async () => {
  const masks = [maskFile({ 'first.weight': MASK })];
  const found = await masked(images('decoded', false, 10), { masks, meaning: 'drop' });
  expect(found).toMatchObject({ equal: true, toTheBit: true, removed: REMOVED.length });
});

test('the codes of what is left are those of the model', async () => {
  const bytes = images('decoded', true);
  const found = await masked(bytes, { masks: [maskFile({ 'first.weight': MASK })], meaning: 'drop' });
  const stored = (source: Uint8Array) => readModel(source).graph.values.get('first.weight_quantized')?.initializer;
  const [before, after] = [stored(bytes), stored(found.bytes)];
  const kept = [...MASK.keys()].filter((filter) => !REMOVED.includes(filter));
  const perFilter = 27;
  expect([...(after?.numbers() ?? [])]).toEqual(
    kept.flatMap((filter) => [...(before?.numbers().slice(filter * perFilter, (filter + 1) * perFilter) ?? [])]),
  );
});
