/**
 * Any text may be a name: also those that every object inherits. Nothing that is looked up by a
 * name of a model or file may find these.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../fixtures/networks/graph-builder.js';
import { normals } from '../fixtures/networks/random.js';
import { benchModels } from '../src/bench/benchmark.js';
import { denseVariant } from '../src/bench/dense.js';
import { ENGINE } from '../src/cli/engine.js';
import { compileModel } from '../src/compile.js';
import { inspectModel } from '../src/inspect.js';
import { makeMasks } from '../src/mask-maker/make-masks.js';
import { byName, ownOf } from '../src/names.js';
import { encodeProto } from '../src/onnx/encode.js';
import { readModel } from '../src/onnx/read.js';
import { randomFeeds } from '../src/runtime/inputs.js';
import { createSession } from '../src/runtime/session.js';
import { verifyModels } from '../src/verify/verify.js';
import { explainNode } from '../src/why.js';
import { run } from './cli/run-command.js';

const INHERITED = ['__proto__', ...Object.getOwnPropertyNames(Object.prototype).filter((name) => name !== '__proto__')];
/** Every role at once is tried with these; the input alone with all. */
const SOME = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prune-compile-names-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Names {
  readonly input?: string;
  readonly symbol?: string;
  readonly weight?: string;
  readonly bias?: string;
  readonly inner?: string;
  readonly node?: string;
  readonly computed?: string;
  readonly output?: string;
}

/**
 * Eight filters of which the last four are zero, a weight that is computed from a constant, and a
 * head.
 */
function network(names: Names): GraphBuilder {
  const { input = 'x', symbol = 'n', weight = 'w', bias = 'b', inner = 'c', node = 'conv' } = names;
  const g = graphBuilder();
  const x = g.input(input, [symbol, 3, 6, 6]);
  const filters = normals(1, 'w', 216).map((value, index) => (index < 108 ? value : 0));
  const w = g.initializer(weight, [8, 3, 3, 3], filters);
  const b = g.initializer(
    bias,
    [8],
    Array.from({ length: 8 }, () => 0),
  );
  const c = g.op('Conv', [x, w, b], { kernel_shape: [3, 3] }, { name: node, outputs: [inner] });
  const head = g.op(
    'Mul',
    [
      { data: normals(2, 'h', 16), dims: [2, 8] },
      { data: [2], dims: [1] },
    ],
    {},
    { outputs: [names.computed ?? 'h'] },
  );
  const y = g.op(
    'Gemm',
    [g.flatten(g.globalAveragePool(g.relu(c))), head],
    { transB: 1 },
    { outputs: [names.output ?? 'y'] },
  );
  g.output(y, [symbol, 2]);
  return g;
}

async function expectCompiled(model: Uint8Array, shapes = {}): Promise<Uint8Array> {
  const compiled = await compileModel(model, { align: 1, shapes });
  expect(compiled.report.after.channels).toBe(compiled.report.before.channels - 4);
  const bytes = compiled.encode();
  expect(await verifyModels(model, bytes, { shapes })).toMatchObject({ equal: true });
  return bytes;
}

describe('names of a model', () => {
  test.each(INHERITED)('an input called %s', async (name) => {
    await expectCompiled(network({ input: name }).bytes());
  });

  const roles = ['symbol', 'weight', 'bias', 'inner', 'node', 'computed', 'output'] as const;
  test.each(roles.flatMap((role) => SOME.map((name) => [role, name] as const)))('%s called %s', async (role, name) => {
    const model = network({ [role]: name }).bytes();
    await expectCompiled(model);
    await inspectModel(model);
    await explainNode(model, role === 'node' ? name : 'conv');
  });

  test.each(SOME)('metadata, domains, functions and attributes called %s', async (name) => {
    const { graph, opsetImport = [], ...model } = network({}).model();
    const metadataProps = [{ key: name, value: name }];
    const [conv, ...others] = graph?.node ?? [];
    const call = { opType: name, domain: name, input: ['c'], output: ['unused'] };
    const inside = { opType: 'Relu', input: ['a'], output: ['b'] };
    const own = { name, domain: name, input: ['a'], output: ['b'], node: [inside] };
    const proto = {
      ...model,
      metadataProps,
      opsetImport: [...opsetImport, { domain: name, version: 1 }],
      functions: [{ ...own, opsetImport: [{ domain: '', version: 17 }] }],
      graph: { ...graph, node: [{ ...conv, metadataProps }, ...others, call] },
    };
    await expectCompiled(encodeProto(proto));
  });

  test.each(SOME)('an operator called %s is refused', async (name) => {
    const g = graphBuilder();
    g.output(g.op(name, [g.input('x', [1, 3])]));
    await expect(compileModel(g.bytes())).rejects.toMatchObject({ code: 'E-MODEL-RUNTIME' });
  });

  test.each(SOME)('masks for a weight called %s, made, read and mapped', async (name) => {
    const dense = join(folder, 'dense.onnx');
    writeFileSync(dense, denseVariant(readModel(network({ weight: name, node: name }).bytes())).bytes);
    const made = await makeMasks(dense, { granularity: 'filter', ratio: 0.5, exclude: ['Gemm*'] });
    for (const format of ['safetensors', 'npz', 'json'] as const) {
      const masks = join(folder, `masks.${format}`);
      made.write(masks, format);
      const { report } = await compileModel(dense, { masks: [masks], align: 1 });
      expect(report.masks?.masks.map(({ weight }) => weight)).toEqual([name]);
      const map = join(folder, 'map.json');
      // A literal would set the prototype.
      writeFileSync(map, `{ ${JSON.stringify(report.masks?.masks[0]?.key)}: ${JSON.stringify(name)} }`);
      const argv = ['inspect', dense, '--masks', masks, '--mask-map', map, '--json'];
      expect(await run(argv, { engine: ENGINE })).toMatchObject({ code: 0, stderr: '' });
    }
  });

  test.each(SOME)('a benchmark and the sizes of an input called %s', async (name) => {
    const model = network({ input: name, output: name === 'toString' ? 'y' : `${name}_` }).bytes();
    const shapes = byName([[name, [3, 3, 6, 6]]]);
    const { shapes: measured } = await benchModels([{ name: 'a', model }], { rounds: 2, warmUps: 0, shapes });
    expect(Object.entries(measured)).toEqual([[name, [3, 3, 6, 6]]]);
    await expectCompiled(model, shapes);
    const path = join(folder, 'shape.onnx');
    writeFileSync(path, model);
    const argv = [path, '--shape', `${name}=2,3,6,6`, '--json', '-q', '-o', join(folder, 'o.onnx')];
    const { code, stdout } = await run(argv, { engine: ENGINE });
    expect(code).toBe(0);
    expect(stdout).toContain(`"${name}":`);
  });

  test('two outputs of which one is called __proto__ come back under their names', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2]);
    g.output(g.op('Neg', [x], {}, { outputs: ['__proto__'] }));
    g.output(g.op('Abs', [x], {}, { outputs: ['proto'] }));
    const session = await createSession(g.bytes());
    const inputs = session.inputMetadata.flatMap((input) => (input.isTensor ? [input] : []));
    const feeds = randomFeeds(inputs, { x: [2] }, 1);
    const [a = 0, b = 0] = (feeds['x']?.data ?? []) as Float32Array;
    const results = await session.run(feeds);
    await session.release();
    expect(Object.entries(results).map(([name, { data }]) => [name, [...(data as Float32Array)]])).toEqual([
      ['__proto__', [-a, -b]],
      ['proto', [Math.abs(a), Math.abs(b)]],
    ]);
  });
});

describe('names of files', () => {
  test.each(SOME)('a mask that nothing is called like: %s', async (name) => {
    const path = join(folder, 'plain.onnx');
    writeFileSync(path, network({}).bytes());
    const masks = join(folder, 'unknown.json');
    writeFileSync(masks, `{ ${JSON.stringify(name)}: [1, 0], "w": { ${JSON.stringify(name)}: 1 } }`);
    const { code, stderr } = await run([path, '--masks', masks, '--no-verify', '-o', join(folder, 'o.onnx')], {
      engine: ENGINE,
    });
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(/\[E-MASK-/);
  });

  test.each(SOME)('a map that names a mask %s, and a config with that key', async (name) => {
    const path = join(folder, 'plain.onnx');
    writeFileSync(path, network({}).bytes());
    const masks = join(folder, 'w.json');
    writeFileSync(masks, '{ "w": { "shape": [8, 3, 3, 3], "remove": [1] } }');
    const map = join(folder, 'odd-map.json');
    writeFileSync(map, `{ ${JSON.stringify(name)}: "w" }`);
    const mapped = await run([path, '--masks', masks, '--mask-map', map], { engine: ENGINE });
    expect([mapped.code, mapped.stderr]).toEqual([2, expect.stringContaining('[E-MASK-MAP]')]);
    const configured = await run([path, '--config', map], { engine: ENGINE });
    expect([configured.code, configured.stderr]).toEqual([2, expect.stringContaining('[E-USAGE]')]);
  });
});

describe('names on the command line', () => {
  test.each(INHERITED.flatMap((name) => [`--${name}`, `--no-${name}`, `--${name}=1`]))('%s', async (word) => {
    const { code, stderr } = await run(['model.onnx', word], { engine: ENGINE });
    expect([code, stderr]).toEqual([2, expect.stringContaining(`there is no option ${word.replace('=1', '')}`)]);
  });

  test.each(SOME)('%s as command, value and extension', async (name) => {
    for (const argv of [
      [name, 'model.onnx'],
      ['m.onnx', '--max-size', `5${name}`],
      ['m.onnx', '--report', `r.${name}`],
      ['mask', 'm.onnx', '-o', `m.${name}`],
      ['m.onnx', '--target', name],
      ['m.onnx', '--skip', name],
      ['m.onnx', '--shape', `${name}=1`],
      ['m.onnx', '--sparse', '--sparse-target', name],
    ])
      expect((await run(argv, { engine: ENGINE })).code, argv.join(' ')).toBe(2);
  });

  test.each(SOME)('PRUNE_COMPILE_%s', async (name) => {
    expect((await run(['m.onnx'], { engine: ENGINE, env: { [`PRUNE_COMPILE_${name}`]: '1' } })).code).toBe(2);
  });
});

test('an object by names has what was put in, and nothing else', () => {
  const record = byName(INHERITED.slice(0, 2).map((name, index) => [name, index]));
  expect(Object.entries(record)).toEqual(INHERITED.slice(0, 2).map((name, index) => [name, index]));
  expect(record['toString']).toBeUndefined();
  expect([ownOf({ a: 1 }, 'a'), ownOf({ a: 1 }, 'valueOf'), ownOf<number>(record, '__proto__')]).toEqual([
    1,
    undefined,
    0,
  ]);
});
