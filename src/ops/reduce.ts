/** ReduceMean. */
import { link, normalAxis, type Relation, unchanged } from './axes.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/**
 * ReduceMean-1…-18 (axes as attribute, later as input): the reduced axes are pinned, the others
 * pass through.
 */
function reduceMean(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined || site.outDims(0) === undefined) return undefined;
  const isInput = site.node.inputs[1] !== undefined;
  if (isInput && site.constant(1) === undefined) return undefined;
  const listed = site.node.ints('axes') ?? (isInput ? [...(site.constant(1)?.numbers() ?? [])] : []);
  if (listed.length === 0) return undefined;
  const reduced = new Set(listed.map((axis) => normalAxis(axis, rank)));
  const keepsDims = site.node.int('keepdims', 1) !== 0;
  const passed = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !reduced.has(axis));
  const links = passed.map((axis, at) => link({ index: 0, axis }, { index: 0, axis: keepsDims ? axis : at }));
  return { kind: 'pointwise', links, constant: unchanged };
}

export const reductions: readonly Operator[] = [{ type: 'ReduceMean', axes: reduceMean }];
