/** All operator rows by name. An operator that is not here is pinned by the analysis and named in the report. */
import type { Node } from '../ir/graph.js';
import { elementwiseRows } from './elementwise.js';
import { layoutRows } from './layout.js';
import { linearRows } from './linear.js';
import { poolingRows } from './pooling.js';
import type { OpRow } from './relation.js';
import { slicingRows } from './slicing.js';

export const opRows: readonly OpRow[] = [
  ...elementwiseRows,
  ...linearRows,
  ...poolingRows,
  ...layoutRows,
  ...slicingRows,
];

const byName = new Map(opRows.map((row) => [`${row.domain ?? ''}::${row.op}`, row]));

export function rowOf(node: Node): OpRow | undefined {
  return byName.get(`${node.domain}::${node.opType}`);
}
