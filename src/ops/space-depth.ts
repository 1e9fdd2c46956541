/** Blocks of places as channels, and back: DepthToSpace and SpaceToDepth. */
import type { Dim } from '../ir/graph.js';
import { type Blocks, link, type Relation, unchanged } from './axes.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

const BATCH = link({ index: 0, axis: 0 }, { index: 0, axis: 0 });
const CHANNELS = { index: 0, axis: 1 };

/**
 * Each channel of fewer is made from `size` of more: those at the same place of `size` rows
 * (mode DCR, and SpaceToDepth), or `size` neighbours (CRD).
 */
function blocks(site: Site, one: Blocks['one'], fewer: Dim | undefined, isNeighbours: boolean): Relation | undefined {
  if (site.inDims(0)?.length !== 4 || typeof fewer !== 'number') return undefined;
  const size = site.node.int('blocksize', 1) ** 2;
  const shared = { one, oneStart: 0, manyStart: 0, count: fewer };
  const strided: Blocks = isNeighbours
    ? { ...shared, inner: size, outer: 1, period: 0 }
    : { ...shared, inner: 1, outer: size, period: fewer };
  return { kind: 'pointwise', links: [BATCH, link(CHANNELS, CHANNELS, strided)], constant: unchanged };
}

export const spaceDepths: readonly Operator[] = [
  {
    // The mode came with opset 11.
    type: 'DepthToSpace',
    axes: (site) => blocks(site, 'output', site.outDims(0)?.[1], site.node.string('mode', 'DCR') === 'CRD'),
    movesData: true,
  },
  { type: 'SpaceToDepth', axes: (site) => blocks(site, 'input', site.inDims(0)?.[1], false), movesData: true },
];
