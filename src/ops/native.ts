/**
 * The native operators that hold weights (their contract is in kernels/README.md): how many these
 * would be without zeros.
 */
import { type Node, SPARSE_DOMAIN } from '../ir/graph.js';
import { product } from '../ir/tensor.js';
import type { Operator } from './operator.js';
import type { NativeWeights } from './stored-weights.js';

function native(type: string, nativeWeights: (node: Node) => readonly NativeWeights[]): Operator {
  return { type, domain: SPARSE_DOMAIN, nativeWeights };
}

/** Inputs of a chain for each of its steps: values, bits, bias. */
const STEP_INPUTS = 3;

export const natives: readonly Operator[] = [
  native('SparseConv', (node) => {
    const [channels, filters] = [node.int('channels', 0), node.int('filters', 0)];
    const size = (filters * channels * product(node.ints('kernel_shape') ?? [])) / node.int('group', 1);
    return [{ index: 1, size, outputChannels: filters, isPacked: true }];
  }),
  native('SparseChain', (node) => {
    const [channels, filters, groups] = ['channels', 'filters', 'group'].map((name) => node.ints(name) ?? []);
    const kernels = node.ints('kernel_shape') ?? [];
    const names = stepNames(node);
    return (filters ?? []).map((outputChannels, step) => {
      const kernel = product(kernels.slice(2 * step, 2 * step + 2));
      const size = (outputChannels * (channels?.[step] ?? 0) * kernel) / (groups?.[step] ?? 1);
      const name = names[step] ?? `${node.label} [${step}]`;
      return { name, index: 1 + STEP_INPUTS * step, size, outputChannels, isPacked: true };
    });
  }),
  native('SparseMatMul', (node) => {
    const outputs = node.int('out_features', 0);
    return [{ index: 1, size: node.int('in_features', 0) * outputs, outputChannels: outputs, isPacked: true }];
  }),
  native('DepthwiseConv', (node) => [
    {
      index: 1,
      size: node.inputs[1]?.initializer?.size ?? 0,
      outputChannels: node.int('channels', 0),
      isPacked: false,
    },
  ]),
];

/** As the compiler wrote them; a file of others need not have any. */
function stepNames(node: Node): readonly (string | undefined)[] {
  try {
    const names: unknown = JSON.parse(node.string('names', '[]'));
    return Array.isArray(names) ? names.map((name: unknown) => (typeof name === 'string' ? name : undefined)) : [];
  } catch {
    return [];
  }
}
