/** docs/report.schema.json says what is printed, no less and no more. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { benchModels } from '../../src/bench/benchmark.js';
import type { Benchmark } from '../../src/bench/results.js';
import { compileModel } from '../../src/compile.js';
import { withConclusions } from '../../src/exploration/conclusions.js';
import { renderJson } from '../../src/report/json.js';
import { sparseReport } from '../../src/report/sparse.js';
import type { CompileReport } from '../../src/report/types.js';
import { measureAccuracy } from '../../src/samples/accuracy.js';
import { readGiven } from '../../src/samples/given.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyOnProvider } from '../../src/verify/on-provider.js';
import { traceModels } from '../../src/verify/trace.js';
import { verifyModels } from '../../src/verify/verify.js';
import { exploration, point } from '../explore/sample.js';
import { copier, folder, npy } from '../samples/given-files.js';
import { parameters, smallNet } from '../verify/small-net.js';
import { BENCHMARK, DIFFERENT, MACHINE, REPORT, VERIFICATION } from './sample.js';

const text = readFileSync(new URL('../../docs/report.schema.json', import.meta.url), 'utf8');
const validate = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(
  JSON.parse(text) as object,
);
/** The same, where nothing may be that is not listed. */
const closed = new Ajv2020({ allErrors: true }).compile(
  JSON.parse(text, (key, value: unknown) =>
    isListed(key, value) ? { ...value, additionalProperties: false } : value,
  ) as object,
);

/** The options of a compilation and the extents of inputs have names of their own. */
function isListed(key: string, value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'properties' in value && key !== 'properties';
}

function check(document: unknown): void {
  const printed: unknown = JSON.parse(renderJson(document));
  expect([validate(printed), validate.errors]).toEqual([true, null]);
  expect([closed(printed), closed.errors]).toEqual([true, null]);
}

test('explore', () => {
  const { format: _format, ...found } = withConclusions(
    exploration([point('filter', 0.5, 2), { ...point('2:4', 0.5, 0.8), problem: { code: 'E-USAGE', what: 'w' } }]),
  );
  check({ ...found, missing: 2 });
  const { timing } = point('filter', 0.5, 1.9);
  const dense = { parameters: 1, macs: null, sizeBytes: 3, accuracy: 94 };
  const points = [{ ...point('filter', 0.5, 2), accuracy: 93, sparseLayers: 1 }];
  const whole = withConclusions({ ...found, format: 'prune-compile exploration', dense, points });
  const { format: _again, ...both } = whole;
  check({ ...both, shard: { index: 1, count: 2 }, int8: { timing, sizeBytes: 1, cpu: 'c' }, missing: 0 });
  check({ ...both, int8: { problem: 'wave (Sin) cannot be quantised here' }, missing: 0 });
});

describe('compile', () => {
  const masks: NonNullable<CompileReport['masks']> = {
    meaning: 'drop',
    files: [{ path: 'm.pth', format: 'PyTorch (zip)', sha256: 'abc', tensors: [] }],
    masks: [
      {
        file: 'm.pth',
        key: 'a',
        weight: 'w',
        node: 'n',
        shape: [4],
        evidence: 'name',
        granularity: 'filter',
        zeros: 3,
        isFromZeros: false,
        values: 'same',
      },
    ],
    zeros: 3,
    unmatched: [],
    unmaskedLayers: ['x'],
    droppedFilters: 1,
  };

  test('with everything that there may be', () => {
    const sparse = sparseReport(1, ['by a table'], { path: '/lib.so', isFound: true });
    const origin = { machine: MACHINE, date: '2026-11-30T12:34:56.789Z', command: 'prune-compile a.onnx' };
    check({ ...REPORT, ...origin, masks, sparse, verification: VERIFICATION, benchmarks: [BENCHMARK] });
    check({ ...REPORT, output: undefined, verification: { ...DIFFERENT, reason: 'r', difference: Number.NaN } });
  });

  test('of a real model', async () => {
    const net = parameters();
    const [w1, b1] = [Float32Array.from(net.w1), Float32Array.from(net.b1)];
    w1.fill(0, 0, 54);
    b1.fill(0, 0, 2);
    const model = smallNet({ ...net, w1, b1 });
    const { report, encode } = await compileModel(model);
    expect(report.remarks.length).toBeGreaterThan(0);
    const benchmark = await benchModels([{ name: 'masked', model }], { rounds: 2, warmUps: 1 });
    check({ ...report, verification: await verifyModels(model, encode()), benchmarks: [benchmark] });
  });
});

test('verify and bench', async () => {
  const net = parameters();
  const [one, other] = [smallNet(net), smallNet({ ...net, b2: net.b2.map((value) => value + 1) })];
  const verification = await verifyModels(one, other);
  check({ schema: 1, reference: 'a', candidate: 'b', verification, trace: await traceModels(one, other) });
  const { write } = folder();
  const model = copier(['n', 7]);
  const inputs = write('x.npy', npy(FLOAT, [1, 7], [1, 2, 3, 4, 5, 6, 7]));
  const given = await readGiven(model, { inputs, labels: write('y.txt', '6\n') });
  const accuracy = await measureAccuracy([{ name: 'it', model }], given);
  check({ schema: 1, benchmarks: [BENCHMARK], accuracy });
});

test('on other providers', async () => {
  const model = smallNet(parameters());
  const open = () => createSession(model);
  const there = await verifyOnProvider(model, model, { provider: 'cuda', open });
  const verifications = [await verifyModels(model, model), there];
  check({ schema: 1, reference: 'a', candidate: 'a', verifications });
  const providerOptions = [{ name: 'use_tf32', value: '0' }];
  const benchmark: Benchmark = { ...BENCHMARK, provider: 'cuda', providerOptions, tf32: false, hasOpenBatch: true };
  check({ schema: 1, benchmarks: [benchmark] });
});

test('nothing else passes', () => {
  expect(validate({ schema: 1, reference: 'a', candidate: 'b' })).toBe(false);
  expect(validate({ ...REPORT, schema: 2 })).toBe(false);
  expect(validate({ schema: 1 })).toBe(false);
  const [layer] = REPORT.layers;
  expect(validate(JSON.parse(renderJson({ ...REPORT, layers: [{ ...layer, sparsity: 2 }] })))).toBe(false);
});

test('every field of the report has its line in docs/report.md', () => {
  const page = readFileSync(new URL('../../docs/report.md', import.meta.url), 'utf8');
  const fields = new Set([...text.matchAll(/"(\w+)": \{\n/g)].map(([, name = '']) => name));
  const words = new Set(page.split(/\W+/));
  const places = new Set([
    'properties',
    'items',
    'additionalProperties',
    'anyOf',
    'defs',
    'figures',
    'layer',
    'remark',
    'tool',
    'contender',
    'comparison',
    'gain',
  ]);
  expect([...fields].filter((name) => !words.has(name) && !places.has(name))).toEqual([]);
});
