/**
 * Layers whose zeros are 2:4: of every four consecutive input channels at most two weights are not
 * zero, for every filter and every place of its kernel. NVIDIA's cards have units for such layers
 * from Ampere on (structured sparsity), and TensorRT has kernels. Nothing here uses them; the note
 * says how to.
 */
import { type WeightMatrix, weightMatrix } from '../../src/channels/weight-matrix.js';
import { type GraphInfo, siteOf } from '../../src/graph-info/graph-info.js';
import type { Node } from '../../src/ir/graph.js';
import { scanTensor } from '../../src/ir/scan.js';
import { groupsOf } from '../../src/ops/axes.js';
import { weightsOf } from '../../src/ops/centred-weights.js';
import { operatorOf } from '../../src/ops/registry.js';
import type { PassResult } from '../pass.js';

/**
 * "Sparse conv kernels are faster than dense conv kernels if C and K are large enough (>256)", and a
 * 3x3 kernel makes C nine times as large: github.com/NVIDIA/TensorRT/issues/3849, by NVIDIA.
 */
const LARGE = 256;

interface Found {
  readonly node: Node;
  readonly outputs: number;
  readonly isLarge: boolean;
}

/** Undefined where no layer has such zeros. */
export function twoOfFourNote(graphInfo: GraphInfo): PassResult['remarks'][number] | undefined {
  const found = graphInfo.graph.nodes.flatMap((node) => foundAt(node, graphInfo) ?? []);
  if (found.length === 0) return undefined;
  const large = found.filter(({ isLarge }) => isLarge);
  const all = found.length === 1 ? '1 layer has' : `${found.length} layers have`;
  return {
    kind: 'note',
    message: `${all} 2:4 zeros along the input channels, ${adviceFor(found.length, large.length)}`,
    layers: (large.length > 0 ? large : found).map(({ node, outputs }) => ({ node: node.label, channels: outputs })),
  };
}

function adviceFor(found: number, large: number): string {
  const size = `more than ${LARGE} outputs, and as many inputs times places of the kernel`;
  if (large === 0) return `too small for TensorRT's sparse kernels to gain (${size})`;
  const which = large === found ? '' : `${large} of them `;
  return `${which}large enough for TensorRT's sparse kernels (${size}): in Python, providers=[("TensorrtExecutionProvider", {"trt_sparsity_enable": True})]; what they gain is little or nothing (docs/gpu.md)`;
}

function foundAt(node: Node, graphInfo: GraphInfo): Found | undefined {
  const site = siteOf(node, graphInfo);
  const relation = operatorOf(node)?.axes?.(site);
  // TensorRT does not consider sparse kernels for grouped convolutions (issue 4054 there).
  if (relation?.kind !== 'linear' || groupsOf(relation) !== 1) return undefined;
  const weights = weightsOf(site, relation);
  // Half of the weights are zero at least.
  const zeros = weights === undefined ? 0 : scanTensor(weights).zeros;
  if (weights === undefined || 2 * zeros < weights.size || zeros === weights.size) return undefined;
  const matrix = weightMatrix(site, relation);
  if (matrix === undefined || !isTwoOfFour(matrix)) return undefined;
  return { node, outputs: matrix.outputs, isLarge: matrix.outputs > LARGE && matrix.inputs * matrix.taps > LARGE };
}

function isTwoOfFour(matrix: WeightMatrix): boolean {
  const { outputs, inputs, taps } = matrix;
  if (inputs % 4 !== 0) return false;
  const isKept = (output: number, input: number, tap: number) =>
    matrix.connects(output, input) && (taps === 1 || matrix.at(output, input, tap) !== 0);
  for (let output = 0; output < outputs; output++)
    for (let first = 0; first < inputs; first += 4)
      for (let tap = 0; tap < taps; tap++) {
        let kept = 0;
        for (let input = first; input < first + 4; input++) if (isKept(output, input, tap)) kept++;
        if (kept > 2) return false;
      }
  return true;
}
