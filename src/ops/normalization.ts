/** Normalisations, and the softmax with its relatives. */
import { link, normalAxis, type Pointwise, type Relation, sameAxes } from './axes.js';
import { NORMALIZATION_INPUTS } from './attributes.js';
import { MICROSOFT } from './domains.js';
import { sameExtents } from './extents.js';
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
    samePlace: true,
    // A scale of zero makes the shift of everything.
    constant: ([, scale, shift]) => (scale === 0 ? (shift ?? undefined) : undefined),
    isAsked: true,
  };
}

/**
 * InstanceNormalization-6, -22: each channel by its own mean and deviation over all places. Of a
 * constant other than 0 the runtime leaves rounding, enlarged up to 1 / sqrt(epsilon) times: that
 * is not the bias any more.
 */
function instanceNormalization(site: Site): Relation | undefined {
  if ((site.inDims(0)?.length ?? 0) < 3) return undefined;
  const links = [0, 1].map((axis) => link({ index: 0, axis }, { index: 0, axis }));
  const ofChannels = [1, 2].map((index) => link({ index, axis: 0 }, { index: 0, axis: 1 }));
  return {
    kind: 'pointwise',
    links: [...links, ...ofChannels],
    constant: ([x, scale, bias], axis) => (axis === 1 && (x === 0 || scale === 0) ? (bias ?? undefined) : undefined),
  };
}

/** Softmax-1, -11 flatten everything after the axis; Softmax-13 uses the axis alone. */
function softmax(site: Site): Pointwise | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const axis = normalAxis(site.node.int('axis', site.opset < 13 ? 1 : -1), rank);
  const reduced = site.opset < 13 ? Array.from({ length: rank - axis }, (_, index) => axis + index) : [axis];
  return { kind: 'pointwise', links: sameAxes(site, 0, reduced), isAsked: true };
}

/** Hardmax-1, -11, -13: the first of the largest. */
function hardmax(site: Site): Relation | undefined {
  const relation = softmax(site);
  return relation && { ...relation, jumps: true };
}

/** LpNormalization-1, -22: by the norm along one axis. */
function lpNormalization(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const axis = normalAxis(site.node.int('axis', -1), rank);
  return { kind: 'pointwise', links: sameAxes(site, 0, [axis]), isAsked: true };
}

/**
 * MeanVarianceNormalization-9, -13: by mean and deviation over the axes. A constant is divided by
 * what rounding leaves of its deviation, and zero by zero, which is NaN.
 */
function meanVariance(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const axes = (site.node.ints('axes') ?? [0, 2, 3]).map((axis) => normalAxis(axis, rank));
  return {
    kind: 'pointwise',
    links: sameAxes(site, 0, axes),
  };
}

export const normalizations: readonly Operator[] = [
  {
    type: 'BatchNormalization',
    axes: batchNormalization,
    resultExtents: sameExtents,
    parameters: [undefined, 'weight', 'bias', 'running_mean', 'running_var'],
  },
  {
    type: 'InstanceNormalization',
    axes: instanceNormalization,
    resultExtents: sameExtents,
    parameters: [undefined, 'weight', 'bias'],
  },
  {
    type: 'LayerNormalization',
    needsAllChannels: true,
    parameters: [undefined, 'weight', 'bias'],
    resultExtents: sameExtents,
  },
  { type: 'GroupNormalization', needsAllChannels: true },
  { type: 'RMSNormalization', needsAllChannels: true },
  { type: 'SkipLayerNormalization', domain: MICROSOFT, needsAllChannels: true },
  { type: 'Softmax', axes: softmax, resultExtents: sameExtents },
  { type: 'LogSoftmax', axes: softmax, resultExtents: sameExtents },
  { type: 'Hardmax', axes: hardmax, resultExtents: sameExtents },
  { type: 'LpNormalization', axes: lpNormalization, resultExtents: sameExtents },
  { type: 'MeanVarianceNormalization', axes: meanVariance, resultExtents: sameExtents },
  // Each channel is divided by a sum over its neighbours, which are others once one goes.
  { type: 'LRN', axes: (site) => ({ kind: 'pointwise', links: sameAxes(site, 0, [1]) }), resultExtents: sameExtents },
];
