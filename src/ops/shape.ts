/** Readers of extents: Shape and Size. */
import { normalAxis, type Relation } from './axes.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/** Shape-1, -13, -15 (start): whoever reads an extent fixes it. */
function shapeAxes(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  return rank === undefined ? undefined : { kind: 'extents', start: normalAxis(site.node.int('start', 0), rank) };
}

function shapeElements({ node, extents }: ShapeSite): Elements | undefined {
  const dims = extents(0);
  if (dims === undefined) return undefined;
  const start = normalAxis(node.int('start', 0), dims.length);
  const end = node.attributes.has('end') ? normalAxis(node.int('end', 0), dims.length) : dims.length;
  return dims.slice(start, end);
}

export const extentReaders: readonly Operator[] = [
  { type: 'Shape', axes: shapeAxes, shapeElements, ignoresElementsOf: [0] },
  { type: 'Size', ignoresElementsOf: [0] },
];
