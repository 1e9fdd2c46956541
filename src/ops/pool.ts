/** Operators that combine places of one channel: pools, and means and maxima over all places. */
import type { Node } from '../ir/graph.js';
import { product } from '../ir/tensor.js';
import { link, type Pointwise, type Relation } from './axes.js';
import { Window, windowedExtents, windowKey } from './attributes.js';
import { asked } from './broadcast.js';
import type { Doubt, Operator } from './operator.js';
import type { Site } from './site.js';

/**
 * Batch and channel pass through; the spatial axes are pinned. The indices of a MaxPool count
 * through all channels: where anybody reads them, no channel may go.
 */
function perChannel(site: Site, constant: (x: number) => number | undefined): Pointwise | undefined {
  if ((site.inDims(0)?.length ?? 0) < 3) return undefined;
  const [, indices] = site.node.outputs;
  if (indices !== undefined && (indices.uses.length > 0 || indices.isSeenOutside)) return undefined;
  const links = (indices === undefined ? [0] : [0, 1]).flatMap((output) =>
    [0, 1].map((axis) => link({ index: 0, axis }, { index: output, axis })),
  );
  return { kind: 'pointwise', links, constant: ([x]) => (typeof x === 'number' ? constant(x) : undefined) };
}

/** The root of a sum over places: zero at zero; what else it is depends on how many there are. */
function ofSums(site: Site): Relation | undefined {
  return asked(perChannel(site, (x) => (x === 0 ? 0 : undefined)));
}

/**
 * MaxPool-1…-22 and AveragePool-7…-22. A window never lies wholly in the padding (pads are smaller
 * than the kernel), unless dilation spreads its taps around a small image: what it gives then is no
 * constant of the channel.
 */
function pool(site: Site, countsPadding: boolean): Relation | undefined {
  const window = new Window(site.node);
  const isOpen = reachesOut(window);
  if (isOpen && window.isDilated) return perChannel(site, () => undefined);
  const relation = perChannel(site, (x) => (isOpen && countsPadding && x !== 0 ? undefined : x));
  // What a last window that hangs over the padded image counts is left open, and so is what the
  // kernels make of an image that is smaller than a window even with its padding.
  const fits = window.kernel?.every((kernel, axis) => {
    const { begin, end } = window.along(axis);
    return begin + 1 + end >= kernel;
  });
  const isMean = countsPadding && window.hasPads && fits === true && !window.roundsUp && window.autoPad === 'NOTSET';
  return relation?.kind === 'pointwise' && isMean ? { ...relation, padsMean: true } : relation;
}

/** Of a mean of codes: `zero` stays what it is made to even where the padding is counted. */
export function meanOverPlaces(
  site: Site,
  zero: number | undefined,
  constant: (x: number) => number | undefined,
): Pointwise | undefined {
  const { node } = site;
  const window = new Window(node);
  const isOpen = node.int('count_include_pad', 0) !== 0 && reachesOut(window);
  return perChannel(site, (x) => (isOpen && x !== zero ? undefined : constant(x)));
}

/** Whether some window may hang over the image. */
function reachesOut(window: Window): boolean {
  return window.hasPads || window.roundsUp || window.autoPad !== 'NOTSET';
}

/** Of its window. */
export function taps(node: Node): number {
  return product(node.ints('kernel_shape') ?? []);
}

/**
 * With ceil_mode the inference counts a last window that begins in the padding or, with windows
 * smaller than their stride, after the end of the image; the kernels do not. With auto_pad SAME_*
 * and dilation the kernels forget the dilation when they pad. With any auto_pad and pads as well,
 * the inference goes by pads and the kernels do not.
 */
export function windowDoubt(node: Node): Doubt {
  const isAuto = new Window(node).autoPad !== 'NOTSET';
  return {
    axes: spatialAxes(node).filter((axis) => isDoubtfulWindow(node, axis - 2)),
    ...(isAuto && node.attributes.has('pads') && { misleading: ['pads'] }),
  };
}

/** Of a pool, along one spatial axis: whether the inferred extent may be wrong. */
export function isDoubtfulWindow(node: Node, at: number): boolean {
  const window = new Window(node);
  const { kernel = 1, stride, dilation, begin, end } = window.along(at);
  const span = dilation * (kernel - 1) + 1;
  const isPadded = begin !== 0 || end !== 0;
  // Strides of 1 leave nothing to round.
  return (window.isSame && dilation > 1) || (window.roundsUp && stride > 1 && (isPadded || span < stride));
}

function spatialAxes(node: Node): number[] {
  return (node.ints('kernel_shape') ?? []).map((_, at) => at + 2);
}

export const pools: readonly Operator[] = [
  {
    type: 'MaxPool',
    axes: (site) => pool(site, false),
    extentKey: windowKey,
    resultExtents: (site) => windowedExtents(site),
    hasWindow: true,
    doubt: windowDoubt,
  },
  {
    type: 'AveragePool',
    axes: (site) => pool(site, site.node.int('count_include_pad', 0) !== 0),
    extentKey: windowKey,
    resultExtents: (site) => windowedExtents(site),
    hasWindow: true,
    doubt: windowDoubt,
  },
  { type: 'LpPool', axes: ofSums, extentKey: windowKey, hasWindow: true, doubt: windowDoubt },
  { type: 'MaxUnpool', hasWindow: true, doubt: (node) => ({ axes: spatialAxes(node) }) },
  { type: 'GlobalAveragePool', axes: (site) => perChannel(site, (x) => x) },
  { type: 'GlobalMaxPool', axes: (site) => perChannel(site, (x) => x) },
  { type: 'GlobalLpPool', axes: ofSums },
];
