/** Transpose. */
import { link, type Relation, unchanged } from './axes.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/** Transpose-1, -13, -21, -23. */
function transposeAxes(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const permutation = site.node.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return {
    kind: 'pointwise',
    links: permutation.map((from, to) => link({ index: 0, axis: from }, { index: 0, axis: to })),
    constant: unchanged,
  };
}

export const transposes: readonly Operator[] = [
  { type: 'Transpose', axes: transposeAxes, alias: 'transposed', keepsZeros: 'first' },
];
