/** Gather. */
import { Tensor } from '../ir/tensor.js';
import { link, normalAxis, type Relation, unchanged } from './axes.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/**
 * Gather-1, -11, -13. A constant list picks and orders indices, which are the same data; of other
 * constant indices only those are read; computed ones (a lookup in an embedding) may read all.
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
  const relation = { kind: 'pointwise', links, constant: unchanged } as const;
  if (indices === undefined) return relation;
  const picks = [...indices.numbers()].map((index) => normalAxis(index, extent));
  if (picks.some((index) => index < 0 || index >= extent)) return undefined;
  const input = { index: 0, axis };
  if (widened !== 1) return { ...relation, reads: { input, indices: picks } };
  return { ...relation, links: [...links, link(input, input, { one: 'picked', picks })] };
}

/** Indices are counted among those that stay. */
function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const axis = normalAxis(site.node.int('axis', 0), site.inDims(0)?.length ?? 0);
  const [before, after] = [kept.input({ index: 0, axis }), kept.output({ index: 0, axis })];
  const indices = site.constant(1);
  const extent = site.inDims(0)?.[axis];
  if (indices?.dims.length !== 1 || before === undefined || typeof extent !== 'number') return [];
  const picks = [...indices.numbers()].filter((_, at) => after?.includes(at) !== false);
  const now = picks.map((index) => before.indexOf(normalAxis(index, extent)));
  return [{ input: 1, tensor: Tensor.fromNumbers(indices.dataType, [now.length], now) }];
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

export const gathers: readonly Operator[] = [
  { type: 'Gather', axes: gatherAxes, adjust, shapeElements, resultExtents },
];
