/**
 * Real networks with four fifths of their weights zero, as sparse operators: outputs are equal, and
 * whole stages stay in the operators' layout. Depthwise convolutions keep all their weights, as
 * people prune. What a network must leave stays outside: classifiers of one row, squeezed images of
 * one pixel, first layers that save less than moving their data costs.
 */
import { describe, expect, test } from 'vitest';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { expectClose } from '../support/closeness.js';
import { scatterZeros } from '../support/scattered-zeros.js';
import { loadRealModel, loadRealModelUntil } from '../support/real-models.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { needsLibrary } from '../support/needs.js';

const ZEROS = 0.8;
const IMAGE = [1, 3, 224, 224];

interface Network {
  readonly name: string;
  readonly sizes?: Readonly<Record<string, readonly number[]>>;
  /** The classifier of VGG is 124 million weights: the network ends before it. */
  readonly until?: string;
  /** Operators of the library, in the order of the alphabet. */
  readonly own: string;
}

const NETWORKS: readonly Network[] = [
  // The ten convolutions of its first stage are one chain, and three units of its second stage are.
  { name: 'resnet50.dynamo', own: '1 GlobalAveragePool, 1 MaxPool, 1 SparseChain, 43 SparseConv' },
  { name: 'vgg16_bn.legacy', until: '/Flatten_output_0', own: '1 Leave, 5 MaxPool, 13 SparseConv' },
  { name: 'squeezenet1_1.legacy', own: '8 Concat, 1 GlobalAveragePool, 3 MaxPool, 26 SparseConv' },
  {
    name: 'densenet121.dynamo',
    sizes: { x: IMAGE },
    own: '3 AveragePool, 58 Concat, 62 DepthwiseConv, 1 GlobalAveragePool, 1 MaxPool, 120 SparseConv',
  },
  {
    name: 'mobilenet_v2.legacy_bn',
    sizes: { input: IMAGE },
    own: '16 DepthwiseConv, 1 GlobalAveragePool, 33 SparseConv',
  },
  {
    name: 'mobilenet_v3_large.legacy',
    sizes: { input: IMAGE },
    own: '14 DepthwiseConv, 9 GlobalAveragePool, 8 Scale, 29 SparseConv',
  },
  { name: 'unet_resnet18.dynamo', own: '4 Concat, 1 MaxPool, 30 SparseConv, 5 Upsample' },
  { name: 'bert_l4.dynamo', sizes: { xs_0: [2, 16], xs_1: [2, 16] }, own: '24 SparseMatMul' },
  { name: 'hf_vit_l4.dynamo', own: '1 SparseConv, 24 SparseMatMul' },
];

function ownOperators(model: Uint8Array): string {
  const counts = new Map<string, number>();
  for (const { domain, opType } of readModel(model).graph.nodes)
    if (domain === SPARSE_DOMAIN) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  return [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([opType, count]) => `${count} ${opType}`)
    .join(', ');
}

describe('80 % zeros', needsLibrary, () => {
  test.each(NETWORKS)('$name', async ({ name, sizes = {}, until, own }) => {
    const plain = await (until === undefined ? loadRealModel(name) : loadRealModelUntil(name, until));
    const masked = scatterZeros(plain, ZEROS);
    const output = (
      await compileModel(masked, { sparse: true, sparseTarget: PAYS_FROM_30_PERCENT, shapes: sizes })
    ).encode();
    expect(ownOperators(output)).toBe(own);
    await expectClose(masked, output, sizes);
  });
});
