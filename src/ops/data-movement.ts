/** Operators that move data, and of which nothing else is known. */
import type { Operator } from './operator.js';
import type { Elements, ShapeSite } from './site.js';

const TYPES = ['ScatterND', 'ScatterElements'];

/** They hand on what their subgraphs compute. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

/** GatherND-11, -12, -13: the last axis of the indices addresses axes of the data. */
function gatheredExtents({ node, extents }: ShapeSite): Elements | undefined {
  const [own, indices] = [extents(0), extents(1)];
  const depth = indices?.at(-1);
  if (own === undefined || indices === undefined || typeof depth !== 'number') return undefined;
  return [...indices.slice(0, -1), ...own.slice(node.int('batch_dims', 0) + depth)];
}

export const dataMovements: readonly Operator[] = [
  { type: 'GatherND', resultExtents: gatheredExtents, movesData: true },
  { type: 'GatherElements', resultExtents: ({ extents }) => extents(1), movesData: true },
  ...[...TYPES, ...CONTROL_FLOW].map((type) => ({ type, movesData: true as const })),
];
