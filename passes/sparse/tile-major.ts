/**
 * Which images between sparse convolutions may be tile-major: their contract is in kernels/README.md.
 *
 * A reader must take every tile for itself: a convolution with a 1x1 kernel does, and so does a sum
 * with a residual. Where an operator adds a residual, both images have one form, so that the result
 * may take the place of the residual. Inside chains the kernels decide.
 */
import { type Node, SPARSE_DOMAIN, type Use, type Value } from '../../src/ir/graph.js';

/** An operator that may read or write tile-major images. */
export interface TileOperator {
  readonly node: Node;
  readonly x: Value | undefined;
  /** Undefined for a chain: its residuals are inside. */
  readonly residual: Value | undefined;
  readonly output: Value | undefined;
}

const X = 0;
const RESIDUAL = 4;

export function tileOperators(nodes: readonly Node[]): TileOperator[] {
  return nodes.filter(isConvOrChain).map((node) => ({
    node,
    x: node.inputs[X],
    residual: node.opType === 'SparseConv' ? node.inputs[RESIDUAL] : undefined,
    output: node.outputs[0],
  }));
}

/** Results that every reader takes in the tile-major form. */
export function tileMajorValues(operators: readonly TileOperator[]): Set<Value> {
  const found = new Set<Value>();
  for (const { node, output } of operators) {
    if (output !== undefined && isBlocked(node, 'y_layout') && areReadersFit(output)) found.add(output);
  }
  // Whatever leaves the set takes the other side of its sums with it.
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const { residual, output } of operators) {
      if (residual === undefined || output === undefined) continue;
      if (!found.has(residual)) found.delete(output);
      if (!found.has(output)) found.delete(residual);
    }
  }
  return found;
}

function isConvOrChain({ domain, opType }: Node): boolean {
  return domain === SPARSE_DOMAIN && (opType === 'SparseConv' || opType === 'SparseChain');
}

function areReadersFit(value: Value): boolean {
  return !value.isSeenOutside && value.uses.length > 0 && value.uses.every(isFit);
}

function isFit({ node, index }: Use): boolean {
  if (node.domain === SPARSE_DOMAIN && node.opType === 'GlobalAveragePool') return true;
  if (!isConvOrChain(node)) return false;
  if (node.opType === 'SparseChain') return isReadByPoints(node);
  if (index === RESIDUAL) return isBlocked(node, 'y_layout');
  return isBlocked(node, 'x_layout') && isPointwise(node.ints('kernel_shape')) && !node.ints('pads')?.some(Boolean);
}

/** The steps of a chain that read its input have 1x1 kernels. */
function isReadByPoints(chain: Node): boolean {
  const kernels = chain.ints('kernel_shape') ?? [];
  const sources = chain.ints('sources') ?? [];
  return sources.every((source, step) => source !== 0 || isPointwise(kernels.slice(2 * step, 2 * step + 2)));
}

function isPointwise(kernel: readonly number[] | undefined): boolean {
  return kernel?.length === 2 && kernel.every((extent) => extent === 1);
}

/** The blocked layout is called internal in files. Chains know no other. */
function isBlocked(node: Node, attribute: 'x_layout' | 'y_layout'): boolean {
  return node.opType === 'SparseChain' || node.string(attribute, 'NCHW') === 'internal';
}
