/**
 * Reductions over any axes. The reduced axes are pinned, because a channel less changes what is
 * made of the others; whatever is reduced over other axes stays channel by channel.
 */
import { type Known, link, normalAxis, type Pointwise, type Relation, sameAxes, unchanged } from './axes.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/**
 * `axes` as an attribute, and as an input later (ReduceSum-13, the others at 18). Without any all
 * axes are reduced, or none with noop_with_empty_axes. Undefined where they are computed.
 */
function reducedAxes({ node, constant }: Site, rank: number): ReadonlySet<number> | undefined {
  const isInput = node.inputs[1] !== undefined;
  if (isInput && constant(1) === undefined) return undefined;
  const listed = node.ints('axes') ?? (isInput ? [...(constant(1)?.numbers() ?? [])] : []);
  if (listed.length > 0) return new Set(listed.map((axis) => normalAxis(axis, rank)));
  return node.int('noop_with_empty_axes', 0) === 0 ? new Set(Array.from({ length: rank }).keys()) : new Set();
}

/** Every axis but the reduced ones goes with what it becomes. */
function passing(site: Site, reduced: ReadonlySet<number> | undefined, rank: number): Pointwise | undefined {
  if (reduced === undefined || site.outDims(0) === undefined) return undefined;
  const keepsDims = site.node.int('keepdims', 1) !== 0;
  const passed = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !reduced.has(axis));
  const links = passed.map((axis, at) => link({ index: 0, axis }, { index: 0, axis: keepsDims ? axis : at }));
  return { kind: 'pointwise', links };
}

/** What is said of the constant that a channel has, beside the word of the runtime. */
type Scalar = Omit<Pointwise, 'kind' | 'links'>;

/** However many they are: the largest, the smallest, and (to the last digits) the mean are one of them. */
const SELECTED: Scalar = { constant: unchanged };
const MEAN: Scalar = { constant: unchanged, rounds: true };
/** How many there are counts, except where all are zero. */
const ADDED: Scalar = { constant: ([x]: readonly Known[]) => (x === 0 ? 0 : undefined), isAsked: true };
const ASKED: Scalar = { isAsked: true };

/** ReduceSum-1…-13, ReduceMean-1…-18, …: `scalar` at a constant channel. */
function reduction(type: string, scalar: Scalar): Operator {
  const axes = (site: Site): Relation | undefined => {
    const rank = site.inDims(0)?.length;
    if (rank === undefined) return undefined;
    const relation = passing(site, reducedAxes(site, rank), rank);
    return relation && { ...relation, ...scalar };
  };
  return { type, axes };
}

/** ArgMax-1…-13: one axis. Of equal numbers the first is taken, or the last. */
function indexOf(type: string): Operator {
  const axes = (site: Site): Relation | undefined => {
    const rank = site.inDims(0)?.length;
    if (rank === undefined) return undefined;
    const relation = passing(site, new Set([normalAxis(site.node.int('axis', 0), rank)]), rank);
    return relation && { ...relation, ...ASKED };
  };
  return { type, axes };
}

/** CumSum-11, -14: sums up to each place along one axis. Only zero stays the same along it. */
function cumulative(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  const axis = site.constant(1)?.numbers()[0];
  if (rank === undefined || axis === undefined) return undefined;
  return {
    kind: 'pointwise',
    links: sameAxes(site, 0, [normalAxis(axis, rank)]),
    constant: ([x]) => (x === 0 ? 0 : undefined),
  };
}

export const reductions: readonly Operator[] = [
  reduction('ReduceMean', MEAN),
  reduction('ReduceMax', SELECTED),
  reduction('ReduceMin', SELECTED),
  ...['ReduceSum', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare'].map((type) => reduction(type, ADDED)),
  ...['ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'].map((type) => reduction(type, ASKED)),
  indexOf('ArgMax'),
  indexOf('ArgMin'),
  { type: 'CumSum', axes: cumulative },
];
