/** Layers with zeros that cannot become sparse operators, whatever would be won, and why. */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Dim, Node } from '../../src/ir/graph.js';
import { scanTensor } from '../../src/ir/scan.js';
import { FLOAT, type Tensor } from '../../src/ir/tensor.js';
import type { SparseLayer } from './layers.js';
import { autoPadOf, padsOf } from './padding.js';

export interface Excluded {
  readonly node: Node;
  /** Share of zeros in its weights. */
  readonly zeros: number;
  readonly why: string;
}

const KINDS = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'];

/** `found` are the layers that can. */
export function excludedLayers({ graph, constants, shapes }: GraphInfo, found: readonly SparseLayer[]): Excluded[] {
  const can = new Set(found.map(({ nodes: [node] }) => node));
  return graph.nodes.flatMap((node): Excluded[] => {
    if (node.domain !== '' || !KINDS.includes(node.opType) || can.has(node)) return [];
    const weights = constants.tensor(node.inputs[1]) ?? constants.tensor(node.inputs[0]);
    const zeros = weights === undefined ? 0 : scanTensor(weights).zeros;
    return weights === undefined || zeros === 0
      ? []
      : [{ node, zeros: zeros / weights.size, why: whyNot(node, weights, { constants, shapes }) }];
  });
}

function whyNot(node: Node, weights: Tensor, { constants, shapes }: Omit<GraphInfo, 'graph'>): string {
  if (node.opType === 'ConvTranspose') return 'ConvTranspose has no sparse operator';
  if (weights.dataType !== FLOAT) return 'its weights are not float32';
  if (constants.tensor(node.inputs[1]) === undefined) return 'its weights are the left operand';
  if (node.opType === 'Conv' && weights.dims.length !== 4) return 'sparse convolutions have two spatial axes';
  if (node.opType === 'Conv' && padsOf(node, weights.dims.slice(2), shapes.of(node.inputs[0])) === undefined)
    return autoPadOf(node).startsWith('SAME_') && !isSized(shapes.of(node.inputs[0]))
      ? 'its padding depends on the size of the image, which is unknown (auto_pad)'
      : 'no sparse operator has this padding';
  return 'no sparse operator has these attributes or this bias';
}

function isSized(image: readonly Dim[] | undefined): boolean {
  return image?.slice(2).every((extent) => typeof extent === 'number') === true;
}
