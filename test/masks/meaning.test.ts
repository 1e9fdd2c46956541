/**
 * `zero` and `drop` through the whole compilation: what is compiled from masks against the
 * reference that multiplies them in the graph, on every form in which a layer's bias and
 * normalisation are written; and each meaning as the other's negative control.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { compileModel, type CompileOptions, type Compiled } from '../../src/compile.js';
import type { MaskOptions } from '../../src/masking/masking.js';
import { maskedReference } from '../../src/verify/masked-reference.js';
import { verifyModels } from '../../src/verify/verify.js';

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'prune-compile-meaning-'))));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function maskFile(contents: unknown): string {
  const path = join(folder, `masks-${files++}.json`);
  writeFileSync(path, JSON.stringify(contents));
  return path;
}

const WIDTH = 8;
const REMOVED = [1, 2, 6];
const weights = (name: string, dims: readonly number[]) => {
  const size = dims.reduce((total, extent) => total * extent, 1);
  return { data: normals(5, name, size, 0.3), dims };
};

type Build = (opset: number) => Uint8Array;

/**
 * A pruned layer with its bias and normalisation in some form, an activation, and a padded reader
 * that sees what is left of it.
 */
const FORMS: Readonly<Record<string, Build>> = {
  'Conv with bias': (opset) =>
    network(opset, (g, x) => g.conv(x, 'first.weight', { pads: 1, bias: weights('b', [WIDTH]) })),
  'Conv, BatchNormalization': (opset) =>
    network(opset, (g, x) =>
      g.batchNorm(g.conv(x, 'first.weight', { pads: 1, bias: weights('b', [WIDTH]) }), {
        scale: weights('scale', [WIDTH]),
        shift: weights('shift', [WIDTH]),
        mean: weights('mean', [WIDTH]),
        variance: { data: uniforms(5, 'variance', WIDTH, 0.5, 1.5), dims: [WIDTH] },
      }),
    ),
  'Conv, Mul, Add': (opset) =>
    network(opset, (g, x) =>
      g.add(
        g.mul(g.conv(x, 'first.weight', { pads: 1 }), weights('scale', [1, WIDTH, 1, 1])),
        weights('shift', [WIDTH, 1, 1]),
      ),
    ),
  'Conv whose bias is shared with another': (opset) =>
    network(
      opset,
      (g, x) => {
        g.initializer('shared', [WIDTH], normals(5, 'shared', WIDTH, 0.3));
        const other = g.conv(x, weights('other', [WIDTH, 3, 3, 3]), { pads: 1, bias: 'shared' });
        return g.concat([g.conv(x, 'first.weight', { pads: 1, bias: 'shared' }), other]);
      },
      2 * WIDTH,
    ),
  'FusedConv with its activation, and what looks like a normalisation after it': (opset) =>
    network(opset, (g, x) => {
      const inputs = [x, 'first.weight', weights('b', [WIDTH])];
      const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], activation: 'Sigmoid' };
      const fused = g.op('FusedConv', inputs, attributes, { domain: 'com.microsoft' });
      return g.add(g.mul(fused, weights('scale', [1, WIDTH, 1, 1])), weights('shift', [WIDTH, 1, 1]));
    }),
  'Conv that is read twice before its normalisation': (opset) =>
    network(
      opset,
      (g, x) => {
        const sums = g.conv(x, 'first.weight', { pads: 1, bias: weights('b', [WIDTH]) });
        return g.concat([g.add(sums, weights('shift', [WIDTH, 1, 1])), sums]);
      },
      2 * WIDTH,
    ),
};

function network(
  opset: number,
  first: (g: ReturnType<typeof graphBuilder>, x: string) => string,
  channels = WIDTH,
): Uint8Array {
  const g = graphBuilder({ opset });
  const x = g.input('x', [1, 3, 'h', 'w']);
  g.initializer('first.weight', [WIDTH, 3, 3, 3], normals(5, 'first', WIDTH * 27, 0.3));
  g.output(g.conv(g.op('Sigmoid', [first(g, x)]), weights('reader', [5, channels, 3, 3]), { pads: 1 }));
  return g.bytes();
}

async function compiled(model: Uint8Array, options: MaskOptions & CompileOptions): Promise<Compiled> {
  return compileModel(model, { align: 1, shapes: { x: [1, 3, 8, 8] }, ...options });
}

async function differs(model: Uint8Array, { maskPlan }: Compiled, candidate: Compiled) {
  const reference = maskPlan === undefined ? model : maskedReference(model, maskPlan);
  return verifyModels(reference, candidate.encode(), { shapes: { x: [1, 3, 8, 8] } });
}

describe.each(Object.keys(FORMS))('%s', (form) => {
  test.each([9, 13, 18])('opset %i', async (opset) => {
    const model = FORMS[form]?.(opset) ?? new Uint8Array(0);
    const masks = [maskFile({ first: { remove: REMOVED } })];
    const zero = await compiled(model, { masks });
    const drop = await compiled(model, { masks, meaning: 'drop' });
    expect(await differs(model, zero, zero)).toMatchObject({ equal: true });
    expect(await differs(model, drop, drop)).toMatchObject({ equal: true });
    expect(drop.report.masks?.droppedFilters).toBe(REMOVED.length);
    // Sigmoid(0) is not 0: the channels of either meaning hold constants, and different ones.
    expect(await differs(model, drop, zero)).toMatchObject({ equal: false });
    expect(await differs(model, zero, drop)).toMatchObject({ equal: false });
    expect(await differs(model, zero, await compiled(model, {}))).toMatchObject({ equal: false });
  });
});

test('without mask files the zeros in the weights are the masks, multiplied in the graph or not', async () => {
  const data = normals(5, 'first', WIDTH * 27, 0.3);
  const keep = Float32Array.from(data, (_, at) => (REMOVED.includes(Math.floor(at / 27)) ? 0 : 1));
  const build = (isMultiplied: boolean) => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 'h', 'w']);
    const dims = [WIDTH, 3, 3, 3];
    const weight = isMultiplied
      ? g.mul({ data: keep, dims }, { data, dims })
      : g.initializer(
          'w',
          dims,
          data.map((value, at) => value * (keep[at] ?? 0)),
        );
    const y = g.conv(x, weight, { pads: 1, kernel: [3, 3], bias: weights('b', [WIDTH]) });
    g.output(g.conv(g.op('Sigmoid', [y]), weights('reader', [5, WIDTH, 3, 3]), { pads: 1 }));
    return g.bytes();
  };
  const [multiplied, zeros] = [build(true), build(false)];
  for (const meaning of ['zero', 'drop'] as const) {
    const one = await compiled(multiplied, { meaning });
    const other = await compiled(zeros, { meaning });
    expect(await differs(multiplied, one, one)).toMatchObject({ equal: true });
    expect(await differs(zeros, other, one)).toMatchObject({ equal: true });
    expect(one.report.after.channels).toBe(other.report.after.channels);
  }
});

test('a Linear on sequences: MatMul with the transposed weight, then Add of the bias', async () => {
  const g = graphBuilder();
  const x = g.input('x', [2, 'n', 4]);
  g.initializer('onnx::MatMul_5', [4, WIDTH], normals(5, 'fc1', 4 * WIDTH, 0.3));
  g.initializer('fc1.bias', [WIDTH], normals(5, 'bias', WIDTH, 0.3));
  const hidden = g.add('fc1.bias', g.op('MatMul', [x, 'onnx::MatMul_5'], {}, { name: '/fc1/MatMul' }));
  g.output(g.op('MatMul', [g.op('Sigmoid', [hidden]), weights('fc2', [WIDTH, 3])]));
  const model = g.bytes();
  const shapes = { x: [2, 5, 4] };
  for (const meaning of ['zero', 'drop'] as const) {
    const made = await compileModel(model, {
      align: 1,
      shapes,
      masks: [maskFile({ fc1: { remove: REMOVED } })],
      meaning,
    });
    const { maskPlan } = made;
    const reference = maskPlan === undefined ? model : maskedReference(model, maskPlan);
    expect(await verifyModels(reference, made.encode(), { shapes })).toMatchObject({ equal: true });
    expect(made.report.before.channels - made.report.after.channels).toBe(REMOVED.length);
  }
});

test('masks that remove nothing are in the weights of the output all the same', async () => {
  const model = FORMS['Conv with bias']?.(17) ?? new Uint8Array(0);
  const made = await compiled(model, { masks: [maskFile({ first: { shape: [8, 3, 3, 3], runs: [3, 2, 211] } })] });
  expect(made.report).toMatchObject({ changed: true, edits: [], masks: { masks: [{ zeros: 2 }] } });
  expect(await differs(model, made, made)).toMatchObject({ equal: true });
  expect(Buffer.compare(Buffer.from(made.encode()), Buffer.from(model))).not.toBe(0);
});

test('a --mask-map that names a mask of no file is a mistake', async () => {
  const model = FORMS['Conv with bias']?.(17) ?? new Uint8Array(0);
  const masks = [maskFile({ first: { remove: [1] } })];
  await expect(compiled(model, { masks, maskMap: { frist: 'first.weight' } })).rejects.toMatchObject({
    code: 'E-MASK-MAP',
    facts: [['near', 'first']],
  });
});

describe("Torch-Pruning's history", () => {
  /**
   * x -> conv1 -> bn1 -> (+ conv2) -> fc: what is pruned of one branch goes from the other, and
   * from the reader.
   */
  function residual(): Uint8Array {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 8, 8]);
    g.initializer('conv1.weight', [WIDTH, 3, 3, 3], normals(5, 'conv1', WIDTH * 27, 0.3));
    g.initializer('conv2.weight', [WIDTH, WIDTH, 1, 1], normals(5, 'conv2', WIDTH * WIDTH, 0.3));
    g.initializer('fc.weight', [4, WIDTH], normals(5, 'fc', 4 * WIDTH, 0.3));
    for (const name of ['weight', 'bias', 'running_mean'])
      g.initializer(`bn1.${name}`, [WIDTH], normals(5, name, WIDTH));
    g.initializer('bn1.running_var', [WIDTH], uniforms(5, 'variance', WIDTH, 0.5, 1.5));
    const stem = g.batchNorm(g.op('Conv', [x, 'conv1.weight'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }), {
      scale: 'bn1.weight',
      shift: 'bn1.bias',
      mean: 'bn1.running_mean',
      variance: 'bn1.running_var',
    });
    const sum = g.add(stem, g.op('Conv', [g.op('Sigmoid', [stem]), 'conv2.weight'], { kernel_shape: [1, 1] }));
    g.output(g.gemm(g.flatten(g.globalAveragePool(g.op('Sigmoid', [sum]))), 'fc.weight'));
    return g.bytes();
  }

  const of = async (history: unknown) => compileModel(residual(), { align: 1, masks: [maskFile(history)] });
  const keptBy = ({ report }: Compiled) => report.layers.map(({ keptOutputChannels }) => keptOutputChannels);

  test('indices count what earlier steps left, also those that began at a normalisation', async () => {
    const once = await of([['conv2', true, [1, 2, 5]]]);
    const steps = await of([
      ['bn1', true, [1]],
      ['conv1', true, [1]],
      ['conv2', true, [3]],
    ]);
    expect(keptBy(once)).toEqual([WIDTH - 3, WIDTH - 3, 4]);
    expect(steps.report.masks?.zeros).toBe(once.report.masks?.zeros);
    const { maskPlan } = once;
    if (maskPlan === undefined) throw new Error('no plan');
    expect(await verifyModels(maskedReference(residual(), maskPlan), steps.encode())).toMatchObject({ equal: true });
    expect(await verifyModels(residual(), steps.encode())).toMatchObject({ equal: false });
  });

  test.each([
    [[['conv2', true, [1, 9]]], 'E-MASK-SHAPE'],
    [
      [
        ['conv2', true, [1]],
        ['conv2', true, [7]],
      ],
      'E-MASK-SHAPE',
    ],
    [
      [
        ['conv2', true, [1]],
        ['conv7', true, [1]],
      ],
      'E-MASK-NO-MATCH',
    ],
  ])('a step that does not fit is an error: %j', async (history, code) => {
    await expect(of(history)).rejects.toMatchObject({ code });
    const masks = [maskFile(history)];
    await expect(compileModel(residual(), { masks, allowUnmatched: true })).rejects.toMatchObject({ code });
  });
});
