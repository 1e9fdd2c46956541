/**
 * inspect on models that were compiled with --sparse: what is stored, layer by layer; no native
 * library is needed for that.
 */
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { ZeroScatterer } from '../../fixtures/networks/scattered-zeros.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';
import { renderInspection } from '../../src/report/inspection.js';
import { explainNode } from '../../src/why.js';

/** Every `step`-th of so many weights is there. */
const scattered = (dims: readonly number[], step: number) => ({
  data: Array.from({ length: dims.reduce((total, extent) => total * extent, 1) }, (_, at) => (at % step === 0 ? 1 : 0)),
  dims,
});

/** A grouped convolution and a product become sparse; a convolution without zeros stays dense. */
async function sparseModel(): Promise<Uint8Array> {
  const g = graphBuilder();
  const x = g.input('x', [1, 16, 8, 8]);
  const grouped = g.conv(x, scattered([16, 8, 3, 3], 4), { pads: 1, group: 2, name: 'grouped' });
  const product = g.op('MatMul', [g.relu(grouped), scattered([8, 24], 8)], {}, { name: 'product' });
  g.output(g.conv(product, scattered([4, 16, 1, 1], 1), { name: 'last' }));
  return (await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER })).encode();
}

test('sparse and dense layers with their share of zeros and the weights kept', async () => {
  const { layers, remarks, figures, sparse } = await inspectModel(await sparseModel());
  expect([layers, remarks]).toEqual([[], []]);
  expect(sparse?.layers).toEqual([
    {
      node: 'grouped_sparse',
      opType: 'prune_compile::SparseConv',
      isSparse: true,
      outputChannels: 16,
      weights: 1152,
      keptWeights: 288,
      sparsity: 0.75,
    },
    {
      node: 'product_sparse',
      opType: 'prune_compile::SparseMatMul',
      isSparse: true,
      outputChannels: 24,
      weights: 192,
      keptWeights: 24,
      sparsity: 0.875,
    },
    { node: 'last', opType: 'Conv', isSparse: false, outputChannels: 4, weights: 64, keptWeights: 64, sparsity: 0 },
  ]);
  expect(figures).toMatchObject({ parameters: 288 + 24 + 64, zeros: 0, channels: 44 });
});

test('in words', async () => {
  const text = renderInspection({ ...(await inspectModel(await sparseModel())), model: 'sparse.onnx' });
  expect(text.split('\n').slice(1)).toEqual([
    'compiled with --sparse: 2 layers sparse, 1 dense',
    "376 parameters stored; 73.3 % of the layers' weights are zero",
    '',
    'weights  kept   zeros  layer',
    '  1 152   288  75.0 %  SparseConv grouped_sparse',
    '    192    24  87.5 %  SparseMatMul product_sparse',
    '     64    64   0.0 %  Conv last',
    '',
    'To see what could still be removed, and why layers are dense, inspect the model',
    'that this one was compiled from, or compile that model with --report.',
    '',
  ]);
});

test('layers inside subgraphs are not counted, and that is said', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 16, 8, 8]);
  const branch = () => {
    const inner = graphBuilder();
    inner.output(inner.conv(x, scattered([16, 16, 1, 1], 1)));
    return { graph: inner.graph() };
  };
  g.output(g.conv(x, scattered([16, 16, 3, 3], 8), { pads: 1, name: 'outside' }));
  g.output(g.op('If', [{ data: [true], dims: [] }], { then_branch: branch(), else_branch: branch() }));
  const bytes = (await compileModel(g.bytes(), { sparse: true, sparseTarget: EAGER })).encode();
  const inspection = await inspectModel(bytes);
  expect([inspection.sparse?.layers.length, inspection.subgraphLayers]).toEqual([1, 2]);
  const text = renderInspection(inspection);
  expect(text).toContain('compiled with --sparse: 1 layer sparse, 0 dense\n');
  expect(text).toContain('not counted: 2 layers inside If, Loop or Scan, which are compiled on their own\n');
});

test('counts are those of the report that went with the model', async () => {
  const network = resnet('resnet18', {
    masks: 'zeros',
    choice: { kind: 'inner', fraction: 0.5 },
    batchNorm: 'kept',
    size: 64,
    width: 16,
  });
  const bytes = new ZeroScatterer(network.bytes()).bytes({ kind: 'unstructured', share: 0.9 });
  const compiled = await compileModel(bytes, { structured: true, sparse: true, sparseTarget: EAGER });
  const { figures, sparse } = await inspectModel(compiled.encode());
  const { parameters, zeros, channels, nodes } = compiled.report.after;
  expect(figures).toMatchObject({ parameters, zeros, channels, nodes });
  expect(sparse?.layers.filter(({ isSparse }) => isSparse)).toHaveLength(compiled.report.sparse?.layers ?? 0);
  // What the compiler added is in nobody's list.
  expect(sparse?.layers.some(({ node }) => node.includes('_constants'))).toBe(false);
  expect(sparse?.others.map(({ op }) => op)).not.toContain('SparseConv');
});

test('what asks for more is an error that says where to ask', async () => {
  const model = await sparseModel();
  await expect(explainNode(model, 'last')).rejects.toMatchObject({
    code: 'E-MODEL-SPARSE',
    message: expect.stringContaining('try: the model that it was compiled from; prune-compile inspect lists'),
  });
  await expect(inspectModel(model, { meaning: 'drop' })).rejects.toMatchObject({ code: 'E-MODEL-SPARSE' });
});
