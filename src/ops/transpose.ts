/** Transpose. */
import { link, type Relation, unchanged } from './axes.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

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

function turnedExtents({ node, extents }: ShapeSite): Elements | undefined {
  const own = extents(0);
  return own && (node.ints('perm')?.map((axis) => own[axis]) ?? own.toReversed());
}

export const transposes: readonly Operator[] = [
  { type: 'Transpose', axes: transposeAxes, resultExtents: turnedExtents, alias: 'transposed', keepsZeros: 'first' },
];
