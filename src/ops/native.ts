/**
 * The native operators that hold weights (their contract is in kernels/README.md): how many these
 * would be without zeros.
 */
import { type Node, SPARSE_DOMAIN } from '../ir/graph.js';
import { product } from '../ir/tensor.js';
import type { Operator } from './operator.js';
import type { NativeWeights } from './stored-weights.js';

function native(type: string, nativeWeights: (node: Node) => NativeWeights): Operator {
  return { type, domain: SPARSE_DOMAIN, nativeWeights };
}

export const natives: readonly Operator[] = [
  native('SparseConv', (node) => {
    const [channels, filters] = [node.int('channels', 0), node.int('filters', 0)];
    const size = (filters * channels * product(node.ints('kernel_shape') ?? [])) / node.int('group', 1);
    return { size, outputChannels: filters, isPacked: true };
  }),
  native('SparseMatMul', (node) => {
    const outputs = node.int('out_features', 0);
    return { size: node.int('in_features', 0) * outputs, outputChannels: outputs, isPacked: true };
  }),
  native('DepthwiseConv', (node) => ({
    size: node.inputs[1]?.initializer?.size ?? 0,
    outputChannels: node.int('channels', 0),
    isPacked: false,
  })),
];
