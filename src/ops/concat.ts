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

export const concats: readonly Operator[] = [{ type: 'Concat', axes: concatAxes, shapeElements, movesData: true }];
