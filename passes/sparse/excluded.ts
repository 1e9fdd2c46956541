/** Layers with zeros that cannot become sparse operators, with the reason. */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Dim, Node } from '../../src/ir/graph.js';
import { scanTensor } from '../../src/ir/scan.js';
import { FLOAT, type Tensor } from '../../src/ir/tensor.js';
import { Window } from '../../src/ops/attributes.js';
import type { SparseLayer } from './candidates.js';
import { padsOf } from './padding.js';

export interface Excluded {
  readonly node: Node;
  /** Share of zeros in its weights. */
  readonly zeros: number;
  readonly why: string;
}

const KINDS = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'];

export function excludedLayers(graphInfo: GraphInfo, candidates: readonly SparseLayer[]): Excluded[] {
  const { graph, constants } = graphInfo;
  const supported = new Set(candidates.map(({ nodes: [node] }) => node));
  return graph.nodes.flatMap((node): Excluded[] => {
    if (node.domain !== '' || !KINDS.includes(node.opType) || supported.has(node)) return [];
    const weights = constants.tensor(node.inputs[1]) ?? constants.tensor(node.inputs[0]);
    const zeros = weights === undefined ? 0 : scanTensor(weights).zeros;
    return weights === undefined || zeros === 0
      ? []
      : [{ node, zeros: zeros / weights.size, why: whyNot(node, weights, graphInfo) }];
  });
}

function whyNot(node: Node, weights: Tensor, { constants, shapes }: GraphInfo): string {
  if (node.opType === 'ConvTranspose') return 'ConvTranspose has no sparse operator';
  if (constants.isDecoded(node.inputs[1])) return 'its weights are quantised';
  if (weights.dataType !== FLOAT) return 'its weights are not float32';
  if (constants.tensor(node.inputs[1]) === undefined) return 'its weights are the left operand';
  if (node.opType === 'Conv' && weights.dims.length !== 4) return 'sparse convolutions have two spatial axes';
  const image = shapes.of(node.inputs[0]);
  const window = new Window(node, weights);
  if (node.opType === 'Conv' && padsOf(window, image) === undefined)
    return window.isSame && !isSized(image)
      ? 'its padding depends on the size of the image, which is unknown (auto_pad)'
      : 'no sparse operator has this padding';
  return 'no sparse operator has these attributes or this bias';
}

function isSized(image: readonly Dim[] | undefined): boolean {
  return image?.slice(2).every((extent) => typeof extent === 'number') === true;
}
