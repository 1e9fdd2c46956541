/** Operators that move data, and of which nothing else is known. */
import { broadcastOf } from './extents.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite } from './site.js';

const TYPES = ['Tile', 'ScatterND', 'ScatterElements', 'GatherND'];

/** They hand on what their subgraphs compute. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

/** Expand-8, -13: its target is broadcast with the data, and has no -1. */
function expandedExtents({ extents, elements }: ShapeSite): Elements | undefined {
  const [own, target] = [extents(0), elements(1)];
  if (own === undefined || target === undefined) return undefined;
  const rank = Math.max(own.length, target.length);
  const aligned = (list: Elements, axis: number) => (axis < rank - list.length ? 1 : list[axis - rank + list.length]);
  return Array.from({ length: rank }, (_, axis) => broadcastOf(aligned(own, axis), aligned(target, axis)));
}

export const dataMovements: readonly Operator[] = [
  { type: 'Expand', resultExtents: expandedExtents, movesData: true },
  { type: 'GatherElements', resultExtents: ({ extents }) => extents(1), movesData: true },
  ...[...TYPES, ...CONTROL_FLOW].map((type) => ({ type, movesData: true as const })),
];
