/** Operators that repeat data: Expand and Tile. */
import { INT64, Tensor } from '../ir/tensor.js';
import { type Blocks, type Link, link, type Relation, unchanged } from './axes.js';
import { broadcastOf } from './extents.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/** Expand-8, -13: axes are aligned at the end; those that are stretched are not linked. */
function expandAxes(site: Site): Relation | undefined {
  const [dims, out] = [site.inDims(0), site.outDims(0)];
  if (dims === undefined || out === undefined || site.constant(1) === undefined) return undefined;
  const links = dims.flatMap((extent, axis): Link[] => {
    const to = axis + out.length - dims.length;
    return extent === out[to] ? [link({ index: 0, axis }, { index: 0, axis: to })] : [];
  });
  return { kind: 'pointwise', links, constant: unchanged };
}

/** The shape repeats extents, except where it is 1. */
function adjustExpand(site: Site, kept: Kept): readonly Adjustment[] {
  const shape = [...(site.constant(1)?.numbers() ?? [])];
  const first = (site.outDims(0)?.length ?? 0) - shape.length;
  const now = shape.map((extent, at) => {
    const indices = kept.output({ index: 0, axis: first + at });
    return extent === 1 || indices === undefined ? extent : indices.length;
  });
  if (now.join() === shape.join()) return [];
  return [{ input: 1, tensor: Tensor.fromNumbers(INT64, [now.length], now) }];
}

/** The target is broadcast with the data, and has no -1. */
function expandedExtents({ extents, elements }: ShapeSite): Elements | undefined {
  const [own, target] = [extents(0), elements(1)];
  if (own === undefined || target === undefined) return undefined;
  const rank = Math.max(own.length, target.length);
  const aligned = (list: Elements, axis: number) => (axis < rank - list.length ? 1 : list[axis - rank + list.length]);
  return Array.from({ length: rank }, (_, axis) => broadcastOf(aligned(own, axis), aligned(target, axis)));
}

/** Tile-6, -13: all copies of an index go together. */
function tileAxes(site: Site): Relation | undefined {
  const dims = site.inDims(0);
  const repeats = site.constant(1)?.numbers();
  if (dims === undefined || repeats?.length !== dims.length) return undefined;
  const links = dims.flatMap((extent, axis): Link[] => {
    const outer = repeats[axis] ?? 1;
    const at = { index: 0, axis };
    if (outer === 1) return [link(at, at)];
    if (typeof extent !== 'number') return [];
    const copies: Blocks = { one: 'input', oneStart: 0, manyStart: 0, count: extent, inner: 1, outer, period: extent };
    return [link(at, at, copies)];
  });
  return { kind: 'pointwise', links, constant: unchanged };
}

export const repeats: readonly Operator[] = [
  { type: 'Expand', axes: expandAxes, adjust: adjustExpand, resultExtents: expandedExtents, movesData: true },
  { type: 'Tile', axes: tileAxes, movesData: true },
];
