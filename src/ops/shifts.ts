/**
 * What is added to a layer's sums, channel by channel, before anything else happens to them: its bias, a bias that is a node of
 * its own, and the normalisation behind it (one node, or a Mul and an Add where the exporter wrote it so).
 *
 *   Conv(W, b) -> BatchNormalization(scale, shift, mean, variance)      MatMul(W) -> Add(b)      Conv(W) -> Mul(s) -> Add(b)
 */
import type { Node, Value } from '../ir/graph.js';

/** Operand `index` of `node`, one number per channel: at 0 it adds nothing (a scale: whatever is normalised becomes 0). */
export interface ShiftOperand {
  readonly node: Node;
  readonly index: number;
}

/** `isPerChannel` tells whether a value is constant with one number per channel of the layer's output. */
export function shiftsBehind(
  layer: Node,
  biasIndex: number | undefined,
  isPerChannel: (value: Value | undefined) => boolean,
): ShiftOperand[] {
  const shifts: ShiftOperand[] = [];
  if (biasIndex !== undefined && layer.inputs[biasIndex] !== undefined) shifts.push({ node: layer, index: biasIndex });
  let [output] = layer.outputs;
  let isScaled = false;
  for (;;) {
    const use = output?.hasSoleReader === true ? output.uses[0] : undefined;
    if (use === undefined || use.node.domain !== '') return shifts;
    const { node, index } = use;
    if (node.opType === 'BatchNormalization' && index === 0 && !isScaled) {
      if ([1, 2, 3, 4].every((at) => isPerChannel(node.inputs[at]))) shifts.push({ node, index: 1 }, { node, index: 2 });
      return shifts;
    }
    const other = 1 - index;
    if (!isPerChannel(node.inputs[other])) return shifts;
    if (node.opType === 'Mul' && !isScaled) isScaled = true;
    else if (node.opType === 'Add') {
      shifts.push({ node, index: other });
      // Behind Mul and Add there is no further normalisation of this layer.
      if (isScaled) return shifts;
    } else return shifts;
    [output] = node.outputs;
  }
}
