/** Operators that move data, and of which nothing else is known. */
import type { Operator } from './operator.js';

const TYPES = ['ScatterND', 'ScatterElements', 'GatherND', 'GatherElements'];

/** They hand on what their subgraphs compute. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

export const dataMovements: readonly Operator[] = [...TYPES, ...CONTROL_FLOW].map((type) => ({
  type,
  movesData: true,
}));
