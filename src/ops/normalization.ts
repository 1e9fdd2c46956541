/** Normalisations, and the softmax. */
import { isNumber, link, normalAxis, type Relation, sameAxes } from './axes.js';
import { epsilonOf, NORMALIZATION_INPUTS, normalized } from './attributes.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

const PARAMETER_INPUTS = Object.values(NORMALIZATION_INPUTS);

/**
 * BatchNormalization-7, -9, -14, -15 in inference: an affine function per channel, with constant
 * parameters.
 */
function batchNormalization(site: Site): Relation | undefined {
  const { node } = site;
  if (node.int('training_mode', 0) !== 0 || node.outputs.slice(1).some((value) => value !== undefined))
    return undefined;
  if (node.int('spatial', 1) !== 1 || PARAMETER_INPUTS.some((index) => site.constant(index) === undefined))
    return undefined;
  const epsilon = epsilonOf(node);
  const ofChannels = PARAMETER_INPUTS.map((index) => link({ index, axis: 0 }, { index: 0, axis: 1 }));
  return {
    kind: 'pointwise',
    links: [...sameAxes(site, 0), ...ofChannels],
    samePlace: true,
    constant: ([x, scale, shift, mean, variance]) => {
      if (scale === 0) return shift ?? undefined;
      if (!isNumber(x) || !isNumber(scale) || !isNumber(shift) || !isNumber(mean) || !isNumber(variance))
        return undefined;
      return normalized(x, { scale, shift, mean, variance, epsilon });
    },
  };
}

/** Softmax-1, -11 flatten everything behind the axis; Softmax-13 uses the axis alone. */
function softmax(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const axis = normalAxis(site.node.int('axis', site.opset < 13 ? 1 : -1), rank);
  const reduced = site.opset < 13 ? Array.from({ length: rank - axis }, (_, index) => axis + index) : [axis];
  return { kind: 'pointwise', links: sameAxes(site, 0, reduced) };
}

export const normalizations: readonly Operator[] = [
  {
    type: 'BatchNormalization',
    axes: batchNormalization,
    parameters: [undefined, 'weight', 'bias', 'running_mean', 'running_var'],
  },
  { type: 'InstanceNormalization', parameters: [undefined, 'weight', 'bias'] },
  { type: 'LayerNormalization', parameters: [undefined, 'weight', 'bias'] },
  { type: 'Softmax', axes: softmax },
  { type: 'LogSoftmax', axes: softmax },
];
