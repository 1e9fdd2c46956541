/** Gather. */
import { link, normalAxis, type Relation } from './axes.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/**
 * Gather-1, -11, -13. Of constant indices only those are read; others (a lookup in an embedding)
 * may read all.
 */
function gatherAxes(site: Site): Relation | undefined {
  const dims = site.inDims(0);
  const indices = site.constant(1);
  const widened = (indices?.dims ?? site.inDims(1))?.length;
  if (dims === undefined || widened === undefined) return undefined;
  const axis = normalAxis(site.node.int('axis', 0), dims.length);
  const extent = dims[axis];
  if (typeof extent !== 'number') return undefined;
  const links = dims
    .map((_, from) => link({ index: 0, axis: from }, { index: 0, axis: from < axis ? from : from + widened - 1 }))
    .filter((_, from) => from !== axis);
  if (indices === undefined) return { kind: 'pointwise', links };
  const read = [...indices.numbers()].map((index) => normalAxis(index, extent));
  return { kind: 'pointwise', links, reads: { input: { index: 0, axis }, indices: read } };
}

/** Of a list of extents. */
function shapeElements({ elements, constant }: ShapeSite): Elements | undefined {
  const from = elements(0);
  const indices = constant(1);
  if (from === undefined || indices === undefined) return undefined;
  return [...indices.numbers()].map((index) => from[normalAxis(index, from.length)]);
}

function resultExtents({ node, extents }: ShapeSite): Elements | undefined {
  const [own, indices] = [extents(0), extents(1)];
  if (own === undefined || indices === undefined) return undefined;
  return own.toSpliced(normalAxis(node.int('axis', 0), own.length), 1, ...indices);
}

export const gathers: readonly Operator[] = [{ type: 'Gather', axes: gatherAxes, shapeElements, resultExtents }];
