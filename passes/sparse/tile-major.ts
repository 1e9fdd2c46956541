/**
 * Which images of sparse convolutions may be tile-major: their contract is in kernels/README.md.
 *
 * A reader must take every tile for itself: a convolution with a 1x1 kernel does, and so does a sum
 * with a residual. Where a residual is added, both images have one form, so that the result may take
 * the place of the residual.
 */
import { type Node, SPARSE_DOMAIN, type Use, type Value } from '../../src/ir/graph.js';

/** Operands of SparseConv. */
const X = 0;
const RESIDUAL = 4;

export function sparseConvs(nodes: readonly Node[]): Node[] {
  return nodes.filter(({ domain, opType }) => domain === SPARSE_DOMAIN && opType === 'SparseConv');
}

/** Results that every reader takes in the tile-major form. */
export function tileMajorValues(convs: readonly Node[]): Set<Value> {
  const found = new Set<Value>();
  for (const node of convs) {
    const [output] = node.outputs;
    if (output !== undefined && isBlocked(node, 'y_layout') && areAllReadersFit(output)) found.add(output);
  }
  // Whatever leaves the set may take the other side of its sum with it.
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const node of convs) {
      const [residual, output] = [node.inputs[RESIDUAL], node.outputs[0]];
      if (residual === undefined || output === undefined) continue;
      if (!found.has(residual)) found.delete(output);
      if (!found.has(output)) found.delete(residual);
    }
  }
  return found;
}

export function xOf(node: Node): Value | undefined {
  return node.inputs[X];
}

export function residualOf(node: Node): Value | undefined {
  return node.inputs[RESIDUAL];
}

function areAllReadersFit(value: Value): boolean {
  return !value.isSeenOutside && value.uses.length > 0 && value.uses.every(isFit);
}

function isFit({ node, index }: Use): boolean {
  if (node.domain !== SPARSE_DOMAIN) return false;
  if (node.opType === 'GlobalAveragePool') return true;
  if (node.opType !== 'SparseConv') return false;
  return index === RESIDUAL
    ? isBlocked(node, 'y_layout')
    : index === X && isBlocked(node, 'x_layout') && isPointwise(node);
}

/** The blocked layout is called internal in files. */
function isBlocked(node: Node, attribute: 'x_layout' | 'y_layout'): boolean {
  return node.string(attribute, 'NCHW') === 'internal';
}

function isPointwise(node: Node): boolean {
  const kernel = node.ints('kernel_shape') ?? [];
  return (
    kernel.length === 2 && kernel.every((extent) => extent === 1) && (node.ints('pads') ?? []).every((pad) => pad === 0)
  );
}
