/**
 * Scattered zeros in an exported model: in every layer but grouped ones the smallest weights go,
 * wherever they stand.
 */
import { ZeroScatterer } from '../../fixtures/networks/scattered-zeros.js';
import type { Node } from '../../src/ir/graph.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';

/** Weights fewer than this are not worth pruning to anybody. */
const FEWEST = 1000;

export function scatterZeros(bytes: Uint8Array, share: number): Uint8Array {
  const { nodes } = readModel(bytes).graph;
  const kept = nodes.filter((node) => !isPruned(node)).map(({ name }) => name);
  return new ZeroScatterer(bytes, kept).bytes({ kind: 'unstructured', share });
}

function isPruned(node: Node): boolean {
  const weights = node.inputs[1]?.initializer;
  return node.int('group', 1) === 1 && weights?.dataType === FLOAT && weights.size >= FEWEST;
}
