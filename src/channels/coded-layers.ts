/**
 * Layers whose weights are decoded when the model runs. Sums of products of codes are whole numbers,
 * and ONNX Runtime computes them as such:
 *
 *   x = sx * (qx - zx), w[o] = sw[o] * (qw - zw[o]), bias[o] = sx * sw[o] * b[o]
 *   y[o] = sx * sw[o] * (b[o] + sum of (qx - zx) * (qw - zw[o]))
 *
 * A removed channel that held the code k gave (k - zx) * (qw - zw[o]), which b[o] takes over to the
 * bit. Weights cannot take anything over: they would have to be whole numbers again.
 */
import type { Constants } from '../graph-info/constants.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { FLOAT, INT32 } from '../ir/tensor.js';
import type { Codes, LayerRelation } from '../ops/axes.js';
import { type Coding, codingOf } from '../ops/coding.js';
import type { AnalyzedNode } from './analyzed-node.js';
import { isOperand } from './positions.js';

/** Of a layer whose bias is, or may be, in codes. */
export interface CodedLayer {
  /** Of the input, one number: constants are inputScale * difference + inputZero. */
  readonly inputScale: number;
  readonly inputZero: number;
  /** One number, or one per output. */
  readonly weightScales: ArrayLike<number>;
  /** Undefined where the layer has none. */
  readonly bias: Coding | undefined;
}

/** Whether the weights are whole numbers, stored as such or behind what decodes them. */
export function isCoded({ inSlots }: AnalyzedNode, { weights, codes }: LayerRelation): boolean {
  if (codes !== undefined) return true;
  const slot = inSlots[weights.index];
  return slot !== undefined && !isOperand(slot);
}

/**
 * What makes up for the constants that a layer of decoded weights no longer reads: codes of the
 * bias, or the bias itself where the input is not coded. Undefined: nothing does.
 */
export function codedForm(
  at: AnalyzedNode,
  relation: LayerRelation,
  graphInfo: GraphInfo,
): CodedLayer | 'bias' | undefined {
  if (relation.padded) return undefined;
  if (relation.codes !== undefined) return layerOfCodes(at, relation, relation.codes);
  const x = at.node.inputs[relation.x.index];
  const isCodedInput = x !== undefined && codingOf(x, 0) !== undefined;
  const bias = relation.bias === undefined ? undefined : at.inSlots[relation.bias.index];
  if (!isCodedInput) return bias === undefined || isOperand(bias) ? 'bias' : undefined;
  return codedLayer(at, relation, graphInfo);
}

/** The largest difference of two codes of 8 bits, squared. */
const LARGEST_PRODUCT = 255 ** 2;
/** Products of two scales, each rounded to float32, and the rounded scale that is stored. */
const SCALES_AGREE = 2 ** -20;

function codedLayer(at: AnalyzedNode, relation: LayerRelation, { constants }: GraphInfo): CodedLayer | undefined {
  const { weights, bias, alpha } = relation;
  const tensor = at.site.constant(weights.index);
  if (tensor === undefined || bias === undefined || alpha !== 1 || bias.beta !== 1) return undefined;
  const outputs = tensor.dims[weights.outAxis] ?? 0;
  const coding = (index: number) => codingAt(at, index, constants);
  const input = coding(relation.x.index);
  const ofWeights = coding(weights.index);
  if (input?.scales.length !== 1 || ofWeights === undefined) return undefined;
  const [inputScale = Number.NaN] = input.scales;
  const weightScales = ofWeights.scales;
  const isPerOutput = ofWeights.axis === weights.outAxis && weightScales.length === outputs;
  if (weightScales.length !== 1 && !isPerOutput) return undefined;
  const largest = (tensor.size / Math.max(1, outputs)) * LARGEST_PRODUCT;
  if (at.node.inputs[bias.index] === undefined)
    return largest < 2 ** 31 ? { inputScale, inputZero: 0, weightScales, bias: undefined } : undefined;
  const ofBias = coding(bias.index);
  const codes = constants.tensor(ofBias?.codes);
  if (ofBias === undefined || codes?.dataType !== INT32 || codes.dims.length !== 1 || codes.size !== outputs)
    return undefined;
  if (hasZeroPoint(ofBias, constants)) return undefined;
  const agrees = (output: number) => {
    const wanted = inputScale * ofOutput(weightScales, output);
    return Math.abs(ofOutput(ofBias.scales, output) - wanted) <= SCALES_AGREE * wanted;
  };
  if (![...codes.numbers().keys()].every(agrees)) return undefined;
  const stored = Math.max(...Array.from(codes.numbers(), Math.abs));
  return largest + stored < 2 ** 31 ? { inputScale, inputZero: 0, weightScales, bias: ofBias } : undefined;
}

/** Whose operands are codes themselves: their differences to the zero points are what is summed. */
function layerOfCodes({ site, node }: AnalyzedNode, relation: LayerRelation, codes: Codes): CodedLayer | undefined {
  const { bias, weights } = relation;
  const tensor = site.constant(weights.index);
  if (bias === undefined || tensor === undefined || codes.outputScale === undefined) return undefined;
  const largest = (tensor.size / Math.max(1, tensor.dims[weights.outAxis] ?? 1)) * LARGEST_PRODUCT;
  const stored = Math.max(0, ...Array.from(site.constant(bias.index)?.numbers() ?? [], Math.abs));
  const isKnown = node.inputs[bias.index] === undefined || site.constant(bias.index)?.dataType === INT32;
  if (!isKnown || largest + stored >= 2 ** 31) return undefined;
  return { inputScale: 1, inputZero: codes.inputZero, weightScales: [1], bias: undefined };
}

/** Of one number for all, or of a list. */
export function ofOutput(list: ArrayLike<number>, index: number): number {
  return list[list.length === 1 ? 0 : index] ?? Number.NaN;
}

/** With its scales; undefined where these are not known. */
function codingAt(
  { node, site }: AnalyzedNode,
  index: number,
  constants: Constants,
): (Coding & { readonly scales: Float32Array | Float64Array }) | undefined {
  const value = node.inputs[index];
  const coding = value && codingOf(value, site.inDims(index)?.length ?? 0);
  const scales = constants.tensor(coding?.scale);
  if (coding === undefined || scales?.dataType !== FLOAT || scales.dims.length > 1) return undefined;
  return { ...coding, scales: scales.numbers() };
}

function hasZeroPoint({ zeroPoint }: Coding, constants: Constants): boolean {
  if (zeroPoint === undefined) return false;
  return (
    constants
      .tensor(zeroPoint)
      ?.numbers()
      .every((zero) => zero === 0) !== true
  );
}
