/** Normalisations, and the softmax. */
import { link, normalAxis, type Relation, sameAxes } from './axes.js';
import { NORMALIZATION_INPUTS } from './attributes.js';
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
  const ofChannels = PARAMETER_INPUTS.map((index) => link({ index, axis: 0 }, { index: 0, axis: 1 }));
  return {
    kind: 'pointwise',
    links: [...sameAxes(site, 0), ...ofChannels],
    // A scale of zero makes the shift of everything.
    constant: ([, scale, shift]) => (scale === 0 ? (shift ?? undefined) : undefined),
    isAsked: true,
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
    resultExtents: ({ extents }) => extents(0),
    parameters: [undefined, 'weight', 'bias', 'running_mean', 'running_var'],
  },
  { type: 'InstanceNormalization', parameters: [undefined, 'weight', 'bias'] },
  {
    type: 'LayerNormalization',
    parameters: [undefined, 'weight', 'bias'],
    resultExtents: ({ extents }) => extents(0),
  },
  { type: 'Softmax', axes: softmax, resultExtents: ({ extents }) => extents(0) },
  { type: 'LogSoftmax', axes: softmax, resultExtents: ({ extents }) => extents(0) },
];
