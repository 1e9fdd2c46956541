/** Masks of matrices in Einsum and in com.microsoft's Attention, in both meanings. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { maskedReference } from '../../src/verify/masked-reference.js';
import { verifyModels } from '../../src/verify/verify.js';

const WIDTH = 12;
/** Columns 28 to 31 are the values of one head of three. */
const DEAD = [28, 29, 30, 31];
const FILTERS = 3 * WIDTH;

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'prune-compile-products-'))));
afterAll(() => rmSync(folder, { recursive: true }));

type Layer = (g: GraphBuilder, x: string, weight: string) => string;
const bias = (g: GraphBuilder) => g.initializer('bias', [FILTERS], normals(4, 'bias', FILTERS));

/** The layer, how wide its result is, and how many of its columns stay where masked ones are zero, or dropped. */
const LAYERS: readonly (readonly [name: string, width: number, layer: Layer, zero: number, drop: number])[] = [
  ['Einsum', FILTERS, (g, x, w) => g.add(g.op('Einsum', [x, w], { equation: 'bnd,de->bne' }), bias(g)), 32, 32],
  [
    'Attention',
    WIDTH,
    (g, x, w) => g.op('Attention', [x, w, bias(g)], { num_heads: 3 }, { domain: 'com.microsoft' }),
    36,
    24,
  ],
];

test.each(LAYERS)('%s', async (_, width, layer, zero, drop) => {
  const g = graphBuilder();
  const x = g.input('x', ['batch', 5, WIDTH]);
  const made = layer(g, x, g.initializer('layer.weight', [WIDTH, FILTERS], normals(1, 'w', WIDTH * FILTERS)));
  g.output(g.op('MatMul', [made, { data: normals(2, 'o', width * WIDTH), dims: [width, WIDTH] }]));
  const model = g.bytes();
  const masks = join(folder, 'mask.json');
  const row = Array.from({ length: FILTERS }, (__, filter) => (DEAD.includes(filter) ? 0 : 1));
  writeFileSync(masks, JSON.stringify({ 'layer.weight': Array.from({ length: WIDTH }, () => row) }));
  for (const [meaning, kept] of [
    ['zero', zero],
    ['drop', drop],
  ] as const) {
    const compiled = await compileModel(model, { align: 1, masks: [masks], meaning });
    const output = compiled.encode();
    const reference = compiled.maskPlan === undefined ? model : maskedReference(model, compiled.maskPlan);
    expect(await verifyModels(reference, output)).toMatchObject({ equal: true });
    expect(readModel(output).graph.nodes[0]?.inputs[1]?.initializer?.dims).toEqual([WIDTH, kept]);
  }
});
