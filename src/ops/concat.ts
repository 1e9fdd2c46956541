/** Concat. */
import { type Known, type Link, link, normalAxis, range, type Relation, sameAxes } from './axes.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/** Concat-4, -11, -13: each input owns a range of the output axis. */
function concatAxes(site: Site): Relation | undefined {
  const rank = site.outDims(0)?.length;
  if (rank === undefined) return undefined;
  const joined = normalAxis(site.node.int('axis', 1), rank);
  const links: Link[] = [];
  let start = 0;
  for (const index of site.node.inputs.keys()) {
    const extent = site.inDims(index)?.[joined];
    links.push(...sameAxes(site, index, [joined]));
    if (typeof extent !== 'number') return undefined;
    links.push(link({ index, axis: joined }, { index: 0, axis: joined }, range(0, start, extent)));
    start += extent;
  }
  const constant = (operands: readonly Known[]) => {
    const [first, ...others] = operands.filter((value) => value !== null);
    return others.every((value) => value === first) ? first : undefined;
  };
  return { kind: 'pointwise', links, constant, ...(joined === 1 && { samePlace: true }) };
}

/** Of lists of extents. */
function shapeElements({ node, elements }: ShapeSite): Elements | undefined {
  const parts = node.inputs.map((_, index) => elements(index));
  return parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? []);
}

/** Along the other axes all inputs have the same extent. */
function resultExtents({ node, extents }: ShapeSite): Elements | undefined {
  const parts = node.inputs.map((_, index) => extents(index));
  const [first] = parts;
  if (first === undefined || parts.includes(undefined)) return undefined;
  const joined = normalAxis(node.int('axis', 1), first.length);
  return first.map((_, axis) => {
    const along = parts.map((part) => part?.[axis] ?? '');
    const numbers = along.filter((extent) => typeof extent === 'number');
    if (axis !== joined) return numbers[0] ?? along[0];
    return numbers.length === along.length ? numbers.reduce((total, extent) => total + extent, 0) : undefined;
  });
}

export const concats: readonly Operator[] = [
  { type: 'Concat', axes: concatAxes, shapeElements, resultExtents, movesData: true },
];
