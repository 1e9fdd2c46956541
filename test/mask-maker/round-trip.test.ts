/**
 * What `mask` writes is read again as what it was, for every way in which a model holds a weight:
 * the same zeros at the same places, and keys and layouts as docs/masks.md promises them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { makeMasks, type MaskFormat } from '../../src/mask-maker/make-masks.js';
import { readModel } from '../../src/onnx/read.js';

const FORMATS = ['safetensors', 'npz', 'json'] as const satisfies readonly MaskFormat[];
const LAYERS = ['Conv', 'ConvTranspose', 'Gemm transB', 'Gemm', 'MatMul', 'FusedMatMul', 'FusedMatMul transB'] as const;
const NAMES = ['own', 'automatic', 'bare'] as const;
const HOLDERS = ['initializer', 'Constant', 'Identity', 'shared'] as const;
const GRANULARITIES = ['unstructured', 'filter', '2x3'] as const;

interface Case {
  readonly layer: (typeof LAYERS)[number];
  readonly holder: (typeof HOLDERS)[number];
  readonly naming: (typeof NAMES)[number];
  readonly isSquare: boolean;
  readonly granularity: (typeof GRANULARITIES)[number];
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  layer: fc.constantFrom(...LAYERS),
  holder: fc.constantFrom(...HOLDERS),
  naming: fc.constantFrom(...NAMES),
  isSquare: fc.boolean(),
  granularity: fc.constantFrom(...GRANULARITIES),
  seed: fc.nat(1000),
});

const IN = 6;
const OUT = 4;
/** The layer's second weight, under its own name: a file of one mask has less to go by. */
const HEAD = 'head.weight';

function nameOf({ naming, layer }: Case): string {
  const [operator = ''] = layer.split(' ');
  return { own: 'body.weight', automatic: `onnx::${operator}_12`, bare: 'W' }[naming];
}

/** In the axes that the file has them in. */
function dimsOf({ layer, isSquare }: Case): readonly number[] {
  const out = isSquare ? IN : OUT;
  const isInFirst = ['ConvTranspose', 'Gemm', 'MatMul', 'FusedMatMul'].includes(layer);
  return [...(isInFirst ? [IN, out] : [out, IN]), ...(layer.startsWith('Conv') ? [3, 3] : [])];
}

function network(entry: Case): Uint8Array {
  const { layer, holder, isSquare } = entry;
  const g = graphBuilder();
  const isImage = layer.startsWith('Conv');
  const [operator = ''] = layer.split(' ');
  const name = nameOf(entry);
  const dims = dimsOf(entry);
  const data = normals(
    entry.seed,
    'weight',
    dims.reduce((product, extent) => product * extent, 1),
  );
  if (holder === 'Constant') g.op('Constant', [], { value: { data, dims } }, { outputs: [name] });
  else g.initializer(name, dims, data);
  const weight = holder === 'Identity' ? g.op('Identity', [name], {}, { outputs: [`${name}_alias`] }) : name;
  const attributes = isImage
    ? { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
    : layer.endsWith('transB')
      ? { transB: 1 }
      : {};
  const domain = operator === 'FusedMatMul' ? 'com.microsoft' : '';
  const apply = (x: string, count: string) =>
    g.op(operator, [x, weight], attributes, { name: `/body${count}/${operator}`, domain });
  const first = g.relu(apply(g.input('x', isImage ? [1, IN, 5, 5] : [2, IN]), ''));
  // A second call of the module, where its output can be its input.
  const body = holder === 'shared' && isSquare ? g.relu(apply(first, '_1')) : first;
  const width = isSquare ? IN : OUT;
  const headDims = isImage ? [3, width, 1, 1] : [width, 3];
  g.initializer(HEAD, headDims, normals(entry.seed, 'head', 3 * width));
  g.output(
    isImage
      ? g.op('Conv', [body, HEAD], { kernel_shape: [1, 1] }, { name: '/head/Conv' })
      : g.op('MatMul', [body, HEAD], {}, { name: '/head/MatMul' }),
  );
  return g.bytes();
}

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-round-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Where the weights that layers read are zero, in the layout of each reader. */
function zerosOf(bytes: Uint8Array): Record<string, readonly number[]> {
  const { graph } = readModel(bytes);
  const readers = graph.nodes.filter(({ name }) => /^\/(body|head)/.test(name));
  return Object.fromEntries(
    readers.map(({ name, inputs: [, weight] }) => {
      let value = weight;
      while (value?.producer?.opType === 'Identity') [value] = value.producer.inputs;
      const tensor = value?.initializer ?? value?.producer?.tensor('value');
      if (tensor === undefined) throw new Error(`${name} has no weight`);
      return [name, [...tensor.numbers().keys()].filter((at) => tensor.numbers()[at] === 0)];
    }),
  );
}

test('the same zeros at the same places, in every format', async () => {
  const kinds = new Set<string>();
  const property = fc.asyncProperty(cases, async (entry) => {
    const model = network(entry);
    const { granularity, seed, holder } = entry;
    const made = await makeMasks(model, { granularity, criterion: 'random', seed, ratio: 0.5 });
    const expected = zerosOf(made.encode('onnx'));
    const mask = made.masks.find(({ name }) => name !== HEAD);
    if (mask !== undefined) {
      kinds.add(`${entry.layer}, ${holder}`);
      expect(expected[`/body/${entry.layer.split(' ')[0]}`]).not.toEqual([]);
      // A stored weight goes under its own name, as it is stored.
      expect([mask.name, mask.dims]).toEqual([nameOf(entry), dimsOf(entry)]);
      const zeros = [...mask.keep.keys()].filter((at) => mask.keep[at] === 0);
      expect(zeros).toEqual(expected[`/body/${entry.layer.split(' ')[0]}`]);
    }
    for (const format of FORMATS) {
      const path = join(folder, `masks.${format}`);
      writeFileSync(path, made.encode(format));
      const { masked } = await compileModel(model, { masks: [path], passes: [] });
      expect(zerosOf(masked() as Uint8Array), format).toEqual(expected);
    }
  });
  await fc.assert(property, { seed: 16, numRuns: 120 });
  expect(kinds.size).toBeGreaterThan(LAYERS.length * 2);
}, 300_000);
