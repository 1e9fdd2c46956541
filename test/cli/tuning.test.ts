/** --tune: with a clock that says what a test wants, and once with the real one. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { ENGINE } from '../../src/cli/engine.js';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { readModel } from '../../src/onnx/read.js';
import type { CompileReport } from '../../src/report/types.js';
import type { Timer } from '../../src/compile/tuning.js';
import { verifyModels } from '../../src/verify/verify.js';
import { modelFolder, run } from './run-command.js';
import { needsLibrary } from '../support/needs.js';

function weights(name: string, dims: readonly number[], zeros: number) {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const chance = uniforms(5, `${name}#zeros`, size, 0, 1);
  return { data: normals(5, name, size, 0.2).map((value, at) => ((chance[at] ?? 0) < zeros ? 0 : value)), dims };
}

/** Two equal convolutions with a residual, a larger one, and a matrix product. */
function model(dims: readonly (number | string)[] = [1, 32, 24, 24]): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', dims);
  const first = g.relu(g.conv(x, weights('a', [32, 32, 3, 3], 0.9), { pads: 1, name: 'first' }));
  const second = g.relu(g.conv(first, weights('b', [32, 32, 3, 3], 0.9), { pads: 1, name: 'second' }));
  const last = g.conv(second, weights('c', [64, 32, 1, 1], 0.9), { name: 'last' });
  const rows = g.reshape(g.op('Transpose', [last], { perm: [0, 2, 3, 1] }), [-1, 64]);
  g.output(g.op('Abs', [g.op('MatMul', [rows, weights('d', [64, 48], 0.9)], {}, { name: 'product' })]));
  return g.bytes();
}

const operators = (bytes: Uint8Array) =>
  readModel(bytes)
    .graph.nodes.filter(({ domain }) => domain === SPARSE_DOMAIN)
    .map(({ name }) => name.replace(/_sparse$/, ''));

/** Says that layers with such inputs are so many times as fast, and the whole model too. */
function clock(speedups: Readonly<Record<string, number>>, whole: number) {
  const asked: string[] = [];
  const timer: Timer = (dense, sparse, { shapes }) => {
    const { graph } = readModel(dense);
    const names = graph.nodes.map(({ opType }) => opType).join(' ');
    // A layer, and an activation behind it.
    const isLayer = graph.nodes.length <= 2;
    asked.push(isLayer ? names : 'whole');
    expect(operators(sparse)).not.toEqual([]);
    expect(Object.keys(shapes)).not.toEqual([]);
    const speedup = isLayer ? (speedups[names] ?? 0.5) : whole;
    return Promise.resolve({ denseMs: 12, sparseMs: 12 / speedup, isFaster: speedup > 1 });
  };
  return { timer, asked };
}

const LAYERS = { 'Conv Relu': 4, Conv: 4, MatMul: 0.5 };

describe('with a clock of its own', needsLibrary, () => {
  test('every kind of layer is measured once, the larger first, then the whole; what was measured decides', async () => {
    const { timer, asked } = clock(LAYERS, 2);
    const steps: string[] = [];
    const made = await compileModel(model(), {
      sparse: true,
      tune: timer,
      onStep: ({ step, detail = '' }) => steps.push(`${step} ${detail}`),
    });
    expect(asked).toEqual(['Conv Relu', 'MatMul', 'Conv', 'whole']);
    expect(operators(made.encode()).filter((name) => !/_(enter|leave)/.test(name))).toEqual([
      'first',
      'second',
      'last',
    ]);
    expect(await verifyModels(model(), made.encode())).toMatchObject({ equal: true });
    const messages = made.report.remarks.map(({ node = 'model', message }) => `${node}: ${message}`);
    expect(messages).toContain('model: layers were chosen by measuring 4 layers (docs/sparse.md)');
    expect(messages.find((text) => text.startsWith('first'))).toMatch(
      /^first: sparse at \d+\.\d % zeros, with Relu, measured 4\.00x as fast$/,
    );
    expect(messages.find((text) => text.startsWith('product'))).toMatch(
      /^product: kept dense: measured 0\.50x as fast/,
    );
    expect(messages).toContain('model: the whole model takes 6.00 ms with sparse operators and 12.0 ms without');
    expect(steps).toContain('sparse 4 layers measured, of 3 kinds');
    expect(made.report.options).toMatchObject({ sparse: true, tune: true });
  });

  test('where no layer is faster nothing is changed, and the whole is not measured', async () => {
    const { timer, asked } = clock({}, 2);
    const made = await compileModel(model(), { sparse: true, tune: timer });
    expect([made.report.changed, asked.includes('whole')]).toEqual([false, false]);
    expect(Buffer.from(made.encode()).equals(model())).toBe(true);
  });

  test('where the whole is not faster the model stays dense, byte for byte, and the report says so', async () => {
    const { timer, asked } = clock(LAYERS, 0.9);
    const made = await compileModel(model(), { sparse: true, tune: timer });
    expect(asked.at(-1)).toBe('whole');
    expect(made.report.changed).toBe(false);
    expect(Buffer.from(made.encode()).equals(model())).toBe(true);
    expect(made.report.options).toMatchObject({ sparse: true, tune: true });
    expect(made.report.remarks.at(-1)).toEqual({
      pass: 'convert-sparse',
      about: 'sparse',
      kind: 'missed',
      message:
        'the whole model takes 13.3 ms with sparse operators and 12.0 ms without, which is not faster: it is kept dense',
    });
    expect(made.report.steps.map(({ step }) => step)).toContain('tune');
  });

  test('where the whole is not faster, what other passes did stays, as if nothing sparse had been asked for', async () => {
    const { timer } = clock(LAYERS, 0.9);
    const dead = () => {
      const g = graphBuilder();
      const first = weights('a', [32, 32, 3, 3], 0.9);
      // Four filters of which nothing is left.
      first.data.fill(0, 0, 4 * 32 * 9);
      const y = g.relu(g.conv(g.input('x', [1, 32, 24, 24]), first, { pads: 1, name: 'first' }));
      g.output(g.conv(y, weights('c', [64, 32, 1, 1], 0.9), { name: 'last' }));
      return g.bytes();
    };
    const made = await compileModel(dead(), { structured: true, sparse: true, tune: timer });
    const dense = await compileModel(dead(), { structured: true });
    expect([made.report.changed, operators(made.encode())]).toEqual([true, []]);
    const { graph, ...rest } = readModel(made.encode()).proto;
    expect(graph).toEqual(readModel(dense.encode()).proto.graph);
    expect(rest.opsetImport).toEqual(readModel(dense.encode()).proto.opsetImport);
    // The file says by which options it was made, and is larger by these words.
    expect(made.report.after).toEqual({ ...dense.report.after, sizeBytes: made.report.after.sizeBytes });
    expect(made.report.edits).toEqual(dense.report.edits);
    expect(made.report.sparse).toBeUndefined();
    expect(await verifyModels(dead(), made.encode())).toMatchObject({ equal: true });
  });

  test('a model of open sizes is measured at those of --shape, and right at others', async () => {
    const { timer } = clock(LAYERS, 2);
    const open = model(['n', 32, 24, 24]);
    const made = await compileModel(open, { sparse: true, tune: timer, shapes: { x: [1, 32, 24, 24] } });
    expect(made.report.changed).toBe(true);
    expect(await verifyModels(open, made.encode(), { shapes: { x: [2, 32, 24, 24] } })).toMatchObject({ equal: true });
  });

  test('a scalar among the inputs has no size to leave open; an input of unknown rank has', async () => {
    const { timer, asked } = clock(LAYERS, 2);
    const g = graphBuilder();
    const scaled = g.mul(g.input('x', [1, 32, 24, 24]), g.input('s', []));
    g.output(g.relu(g.conv(scaled, weights('a', [32, 32, 3, 3], 0.9), { pads: 1, name: 'first' })));
    const made = await compileModel(g.bytes(), { sparse: true, tune: timer });
    expect([asked, operators(made.encode())]).toEqual([['Conv Relu', 'whole'], ['first']]);
    expect(await verifyModels(g.bytes(), made.encode())).toMatchObject({ equal: true });

    const { proto } = readModel(g.bytes());
    delete proto.graph?.input?.find(({ name }) => name === 's')?.type?.tensorType?.shape;
    await expect(compileModel(encodeProto(proto), { sparse: true, tune: timer })).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: '--tune measures at one size, and the size of the input s is not fixed',
    });
  });

  test('an open size is an error that names the input, and what is contradictory is one too', async () => {
    const { timer, asked } = clock(LAYERS, 2);
    const tune = (options: object) =>
      compileModel(model(['n', 32, 'h', 24]), { sparse: true, tune: timer, ...options });
    await expect(tune({})).rejects.toMatchObject({
      code: 'E-SHAPE',
      what: '--tune measures at one size, and the size of the input x is not fixed',
      facts: [
        ['shape', 'n x 32 x h x 24'],
        ['try', '--shape x=1,32,224,24'],
      ],
    });
    await expect(tune({ sparse: false })).rejects.toMatchObject({ code: 'E-USAGE' });
    await expect(tune({ sparseTarget: 'avx2' })).rejects.toMatchObject({ code: 'E-USAGE' });
    await expect(compileModel(model(), { sparseTarget: 'avx2' })).rejects.toMatchObject({ code: 'E-USAGE' });
    expect(asked).toEqual([]);
  });
});

describe('the command', needsLibrary, () => {
  test('measures for real: whatever comes out is equal, and the report says what was measured', async () => {
    const { model: path, at } = modelFolder();
    writeFileSync(path, model());
    const { code, stdout, stderr } = await run([path, '-o', at('out.onnx'), '--sparse', '--tune', '--json'], {
      engine: ENGINE,
    });
    expect(code, stderr).toBe(0);
    const { verification, remarks, options } = JSON.parse(stdout) as CompileReport;
    expect(verification).toMatchObject({ equal: true });
    expect(options).toMatchObject({ sparse: true, tune: true });
    expect(remarks.map(({ message }) => message).join('\n')).toMatch(
      /chosen by measuring 4 layers|the whole model takes/,
    );
  });

  test('wants --sparse', async () => {
    const { model: path } = modelFolder();
    writeFileSync(path, model());
    const { code, stderr } = await run([path, '--tune', '-q'], { engine: ENGINE });
    expect([code, stderr.includes('--tune does not fit the other options')]).toEqual([2, true]);
  });
});
