/** Which images are marked as tile-major, and how the graph looks then. Nothing is run. */
import { describe, expect, test } from 'vitest';
import type { GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { markTileMajor } from '../../passes/mark-tile-major.js';
import { Editor } from '../../src/ir/editor.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { showBoth } from '../support/show-graph.js';
import { blocked, bottleneck, contextOf, leave, sparse } from './chain-graphs.js';

const SMALL = { size: [8, 8] };

async function marked(bytes: Uint8Array) {
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  const result = await markTileMajor.run({ ...contextOf(), model, editor });
  editor.verify();
  return { model, result, edits: editor.history };
}

async function picture(bytes: Uint8Array): Promise<string> {
  return await showBoth(bytes, encodeModel((await marked(bytes)).model));
}

/** Names of nodes whose result is marked; every mark of a reader belongs to one of them. */
async function writers(build: (g: GraphBuilder, x: string) => void): Promise<string[]> {
  const { model } = await marked(blocked(build));
  const { nodes } = model.graph;
  const names = nodes.filter((node) => node.int('y_tile_major', 0) === 1).map(({ name }) => name);
  for (const node of nodes.filter(({ opType }) => /^Sparse(Conv|Chain)$/.test(opType))) {
    for (const [index, mark] of [
      [0, 'x_tile_major'],
      [4, 'residual_tile_major'],
    ] as const) {
      const isMarked = names.includes(node.inputs[index]?.producer?.name ?? '');
      expect(node.int(mark, 0), `${node.name} ${mark}`).toBe(isMarked ? 1 : 0);
    }
  }
  return names;
}

describe('marks', () => {
  test('what 1x1 convolutions alone read', async () => {
    const bytes = blocked((g, x) => leave(g, sparse(g, 'b', sparse(g, 'a', x, { ...SMALL, kernel: 3 }), SMALL)));
    expect(await picture(bytes)).toMatchInlineSnapshot(`
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a = prune_compile::SparseConv(x, a_values [9], a_bits uint8 [1] {1}, -) channels=4 pads=1,1,1,1 filters=4 x_layout=internal y_layout=internal input_size=8,8 activation=None
      b = prune_compile::SparseConv(a, b_values [9], b_bits uint8 [1] {1}, -) channels=4 filters=4 x_layout=internal y_layout=internal input_size=8,8 activation=None
      Leave_output_0 = prune_compile::Leave(b)
      outputs: Leave_output_0
      =>
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a = prune_compile::SparseConv(x, a_values [9], a_bits uint8 [1] {1}, -) channels=4 pads=1,1,1,1 filters=4 x_layout=internal y_layout=internal input_size=8,8 activation=None y_tile_major=1
      b = prune_compile::SparseConv(a, b_values [9], b_bits uint8 [1] {1}, -) channels=4 filters=4 x_layout=internal y_layout=internal input_size=8,8 activation=None x_tile_major=1
      Leave_output_0 = prune_compile::Leave(b)
      outputs: Leave_output_0
    `);
  });

  test('both sides of sums, in one edit', async () => {
    const bytes = blocked((g, x) => {
      const a = bottleneck(g, 'a', sparse(g, 'in', x, SMALL), SMALL);
      const b = bottleneck(g, 'b', a, SMALL);
      leave(g, sparse(g, 'out', b, { ...SMALL, attributes: { strides: [2, 2] } }));
    });
    const { model, edits } = await marked(bytes);
    const names = model.graph.nodes.filter((node) => node.int('y_tile_major', 0) === 1).map(({ name }) => name);
    expect(names).toEqual(['in', 'a2', 'a3', 'b2', 'b3']);
    expect(edits).toEqual(['tile-major form of 5 images']);
  });

  test('what a global average reads', async () => {
    const average = (g: GraphBuilder, x: string) => g.op('GlobalAveragePool', [x], {}, { domain: SPARSE_DOMAIN });
    expect(await writers((g, x) => g.output(average(g, sparse(g, 'a', x, SMALL))))).toEqual(['a']);
  });

  test.each([
    [1, ['a', 'chain']],
    [3, ['chain']],
  ])('what a chain reads by kernels of %d, and what it leaves', async (kernel, wanted) => {
    const build = (g: GraphBuilder, x: string) => {
      const steps = { channels: [4, 4], filters: [4, 4], group: [1, 1], kernel_shape: [kernel, kernel, 3, 3] };
      const rest = { sources: [0, 1], residuals: [-1, 0], activations: 'None None' };
      const a = sparse(g, 'a', x, SMALL);
      const chain = { name: 'chain', outputs: ['chain'], domain: SPARSE_DOMAIN };
      leave(g, sparse(g, 'b', g.op('SparseChain', [a], { ...steps, ...rest }, chain), SMALL));
    };
    expect(await writers(build)).toEqual(wanted);
  });
});

describe('leaves in planes', () => {
  test.each<[string, (g: GraphBuilder, a: string) => string]>([
    ['a 3x3 kernel reads', (g, a) => sparse(g, 'b', a, { ...SMALL, kernel: 3 })],
    ['a padded 1x1 kernel reads', (g, a) => sparse(g, 'b', a, { ...SMALL, attributes: { pads: [1, 1, 1, 1] } })],
    ['a pool reads', (g, a) => g.op('MaxPool', [a], { kernel_shape: [2, 2] }, { domain: SPARSE_DOMAIN })],
    ['leaves', (_, a) => a],
  ])('what %s', async (_, read) => {
    expect(await writers((g, x) => leave(g, read(g, sparse(g, 'a', x, SMALL))))).toEqual([]);
  });

  test('what a pool reads beside a 1x1 convolution', async () => {
    const build = (g: GraphBuilder, x: string) => {
      const a = sparse(g, 'a', x, SMALL);
      leave(g, a);
      leave(g, sparse(g, 'b', a, SMALL));
    };
    expect(await writers(build)).toEqual([]);
  });

  test('an output of the graph', async () => {
    const build = (g: GraphBuilder, x: string) => {
      const a = sparse(g, 'a', x, SMALL);
      g.output(a);
      leave(g, sparse(g, 'b', a, SMALL));
    };
    expect(await writers(build)).toEqual([]);
  });

  test('a residual whose sum a 3x3 kernel reads, and what is tied to it', async () => {
    const build = (g: GraphBuilder, x: string) => {
      const a = bottleneck(g, 'a', sparse(g, 'in', x, SMALL), SMALL);
      leave(g, sparse(g, 'out', bottleneck(g, 'b', a, SMALL), { ...SMALL, kernel: 3 }));
    };
    expect(await writers(build)).toEqual(['a2', 'b2']);
  });

  test('a result in the layout of ONNX', async () => {
    const build = (g: GraphBuilder, x: string) =>
      g.output(sparse(g, 'b', sparse(g, 'a', x, { ...SMALL, attributes: { y_layout: 'NCHW' } }), SMALL));
    expect(await writers(build)).toEqual([]);
  });

  test('everything, with no edit, in a graph without sparse convolutions', async () => {
    const { result, edits } = await marked(blocked((g, x) => leave(g, x)));
    expect(result.changed).toBe(false);
    expect(edits).toEqual([]);
  });
});
