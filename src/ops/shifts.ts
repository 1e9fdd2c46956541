/**
 * What is added to a layer's sums, channel by channel, before anything else happens to them: its
 * bias, a bias that is a node of its own, and the normalisation after it (one node, or a Mul and
 * an Add where the exporter wrote it so).
 *
 *   Conv(W, b) -> BatchNormalization(scale, shift, mean, variance)      MatMul(W) -> Add(b)      Conv(W) -> Mul(s) -> Add(b)
 *
 * Zero is a code of its own, so that a bias may also come behind the codes of the sums:
 *
 *   MatMul(W) -> Q -> DQ -> Add(DQ(b))      QLinearMatMul(W) -> QLinearAdd(b)
 */
import type { Node, Use, Value } from '../ir/graph.js';
import { isStored } from './aliases.js';
import { codingOf } from './coding.js';
import { MICROSOFT } from './domains.js';

/**
 * Operand `index` of `node`, one number per channel: with zeros there (in a scale, too) the channel
 * is zero.
 */
export interface ShiftOperand {
  readonly node: Node;
  readonly index: number;
  /** Of codes: the input with what stands for 0 in them. */
  readonly zeroPoint?: number;
}

export interface ShiftedLayer {
  readonly node: Node;
  readonly biasIndex: number | undefined;
  readonly channels: number;
  /** Axes of the output after that of the channels. */
  readonly spatialRank: number;
  /** Whether nothing after the node is added to its sums. */
  readonly isJoined: boolean;
  /** Whether it makes whole numbers, which are scaled after it. */
  readonly areSums?: boolean;
}

/** `dimsOf` gives the dims of values that are constant. */
export function shiftsBehind(
  { node: layer, biasIndex, channels, spatialRank, isJoined, areSums }: ShiftedLayer,
  dimsOf: (value: Value | undefined) => readonly number[] | undefined,
): ShiftOperand[] {
  const isPerChannel = (value: Value | undefined, after: number) => {
    const dims = dimsOf(value);
    return (
      dims?.at(-1 - after) === channels &&
      dims.every((extent, axis) => extent === 1 || axis === dims.length - 1 - after)
    );
  };
  const shifts: ShiftOperand[] = [];
  if (biasIndex !== undefined && isPerChannel(layer.inputs[biasIndex], 0))
    shifts.push({ node: layer, index: biasIndex });
  if (isJoined) return shifts;
  let [output] = areSums === true ? behindScales(layer) : layer.outputs;
  let isScaled = false;
  for (;;) {
    output = behindCodes(output);
    const use = output?.hasSingleUse === true ? output.uses[0] : undefined;
    const codes = use && addedCodes(use);
    if (codes !== undefined && isPerChannel(codes.node.inputs[codes.index], spatialRank)) return [...shifts, codes];
    if (use === undefined || use.node.domain !== '') return shifts;
    const { node, index } = use;
    if (node.opType === 'BatchNormalization' && index === 0 && !isScaled) {
      const [, scale, shift] = node.inputs;
      if (isPerChannel(scale, 0) && isPerChannel(shift, 0)) shifts.push({ node, index: 1 }, { node, index: 2 });
      return shifts;
    }
    const other = node.inputs[1 - index];
    // What is added to sums of codes comes in the shape of an image, computed from the stored bias.
    if (other === undefined || (areSums !== true && !isStored(codesOf(other))) || !isPerChannel(other, spatialRank))
      return shifts;
    if (node.opType === 'Mul' && !isScaled) isScaled = true;
    else if (node.opType === 'Add') {
      shifts.push({ node, index: 1 - index });
      // Behind Mul and Add there is no further normalisation of this layer.
      if (isScaled) return shifts;
    } else return shifts;
    [output] = node.outputs;
  }
}

/** ConvInteger -> Cast -> Mul(scale of the input and of the weights): where what is added comes. */
function behindScales({ outputs: [sums] }: Node): readonly (Value | undefined)[] {
  const cast = soleReader(sums);
  const scaled = cast?.opType === 'Cast' ? soleReader(cast.outputs[0]) : undefined;
  return scaled?.opType === 'Mul' ? [scaled.outputs[0]] : [undefined];
}

function soleReader(value: Value | undefined): Node | undefined {
  return value?.hasSingleUse === true ? value.uses[0]?.node : undefined;
}

/** The value itself, or what its only reader codes and the next one decodes. */
function behindCodes(value: Value | undefined): Value | undefined {
  const coded = soleReader(value);
  const decoded = coded?.opType === 'QuantizeLinear' ? soleReader(coded.outputs[0])?.outputs[0] : undefined;
  const isDecoded = decoded !== undefined && codingOf(decoded, 0)?.codes === coded?.outputs[0];
  return isDecoded ? decoded : value;
}

/** The codes that a QLinearAdd adds to those at the use. */
function addedCodes({ node, index }: Use): ShiftOperand | undefined {
  if (node.opType !== 'QLinearAdd' || node.domain !== MICROSOFT || (index !== 0 && index !== 3)) return undefined;
  const other = 3 - index;
  const value = node.inputs[other];
  return value !== undefined && isStored(value) ? { node, index: other, zeroPoint: other + 2 } : undefined;
}

/** What the value is decoded from, or the value. */
function codesOf(value: Value): Value {
  return codingOf(value, 0)?.codes ?? value;
}
