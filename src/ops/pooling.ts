/** Operators that combine places of one channel: pooling, means over space, normalisation with stored statistics. */
import { input, isNumber, normalAxis, type OpRow, output, type Relation, sameAxes, type Site } from './relation.js';
import { windowOf } from './window.js';

/** Batch and channel pass through; the spatial axes are pinned. */
function perChannel(site: Site, constant: (x: number) => number | undefined): Relation | undefined {
  if ((site.inDims(0)?.length ?? 0) < 3 || site.node.outputs[1] !== undefined) return undefined;
  const links = [0, 1].map((axis) => ({ from: input(0, axis), to: output(0, axis) }));
  return { kind: 'pointwise', links, constant: ([x]) => (typeof x === 'number' ? constant(x) : undefined) };
}

/**
 * MaxPool-1…-22 and AveragePool-7…-22. A window never lies wholly in the padding (pads are smaller than the kernel), unless
 * dilation spreads its taps around a small image: what it gives then is no constant of the channel.
 */
function pool(site: Site, countsPadding: boolean): Relation | undefined {
  const { node } = site;
  const reachesOut =
    (node.ints('pads') ?? []).some((pad) => pad !== 0) ||
    node.int('ceil_mode', 0) !== 0 ||
    node.string('auto_pad', 'NOTSET') !== 'NOTSET';
  const isDilated = (node.ints('dilations') ?? []).some((dilation) => dilation !== 1);
  if (reachesOut && isDilated) return perChannel(site, () => undefined);
  return perChannel(site, (x) => (reachesOut && countsPadding && x !== 0 ? undefined : x));
}

/** ReduceMean-1…-18 (axes as attribute, later as input): the reduced axes are pinned, the others pass through. */
function reduceMean(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  const listed =
    site.node.ints('axes') ??
    (site.node.inputs[1] === undefined ? undefined : [...(site.constant(1)?.numbers() ?? [])]);
  if (rank === undefined || site.outDims(0) === undefined) return undefined;
  if (site.node.inputs[1] !== undefined && site.constant(1) === undefined) return undefined;
  if (listed === undefined || listed.length === 0) return undefined;
  const axes = listed.map((axis) => normalAxis(axis, rank));
  const keepsDims = site.node.int('keepdims', 1) !== 0;
  let next = 0;
  const links = Array.from({ length: rank }, (_, axis) => {
    const reduced = axes.includes(axis);
    const to = reduced && !keepsDims ? -1 : next++;
    return { reduced, link: { from: input(0, axis), to: output(0, to) } };
  });
  return {
    kind: 'pointwise',
    links: links.filter(({ reduced }) => !reduced).map(({ link }) => link),
    constant: ([x]) => x ?? undefined,
  };
}

/** BatchNormalization-7, -9, -14, -15 in inference: an affine function per channel, with constant parameters. */
function batchNormalization(site: Site): Relation | undefined {
  const { node } = site;
  if (node.int('training_mode', 0) !== 0 || node.outputs.slice(1).some((value) => value !== undefined))
    return undefined;
  if (node.int('spatial', 1) !== 1 || [1, 2, 3, 4].some((index) => site.constant(index) === undefined))
    return undefined;
  const epsilon = node.float('epsilon', 1e-5);
  return {
    kind: 'pointwise',
    links: [...sameAxes(site, 0), ...[1, 2, 3, 4].map((index) => ({ from: input(index, 0), to: output(0, 1) }))],
    constant: ([x, scale, shift, mean, variance]) => {
      if (scale === 0) return shift ?? undefined;
      if (!isNumber(x) || !isNumber(scale) || !isNumber(shift) || !isNumber(mean) || !isNumber(variance))
        return undefined;
      return (scale * (x - mean)) / Math.sqrt(variance + epsilon) + shift;
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

export const poolingRows: readonly OpRow[] = [
  { op: 'MaxPool', relate: (site) => pool(site, false), window: windowOf },
  {
    op: 'AveragePool',
    relate: (site) => pool(site, site.node.int('count_include_pad', 0) !== 0),
    window: windowOf,
  },
  { op: 'GlobalAveragePool', relate: (site) => perChannel(site, (x) => x) },
  { op: 'GlobalMaxPool', relate: (site) => perChannel(site, (x) => x) },
  { op: 'ReduceMean', relate: reduceMean },
  { op: 'BatchNormalization', relate: batchNormalization },
  { op: 'Softmax', relate: softmax },
  { op: 'LogSoftmax', relate: softmax },
];
