/** Products with a constant matrix, Gemm and MatMul, and MatMul of two activations. */
import type { Node } from '../ir/graph.js';
import { isStatic, type Known, type Link, link, type Relation } from './axes.js';
import { MICROSOFT } from './domains.js';
import type { LayerOperands, Operator } from './operator.js';
import { broadcastShapes } from './extents.js';
import type { Elements, ShapeSite, Site } from './site.js';

function hasTransB(node: Node): boolean {
  return node.int('transB', 0) !== 0;
}

/** The axis of A [M, K], or of A [K, M] with transA, that is summed over. */
function depthAxis(node: Node): 0 | 1 {
  return node.int('transA', 0) === 0 ? 1 : 0;
}

function gemmWeights(node: Node): LayerOperands['weights'] {
  return hasTransB(node) ? { index: 1, inAxis: 1, outAxis: 0 } : { index: 1, inAxis: 0, outAxis: 1 };
}

/** Gemm-7, -11, -13: Y [M, N] = alpha * A * B + beta * C, with constant B and C. */
function gemm(site: Site): Relation | undefined {
  const { node } = site;
  if (site.constant(1) === undefined && site.constant(0) !== undefined) return gemmOfLeft(site);
  const areMatrices = site.inDims(0)?.length === 2 && site.outDims(0)?.length === 2;
  if (site.constant(1) === undefined || !areMatrices) return undefined;
  if (node.inputs[2] !== undefined && site.constant(2) === undefined) return undefined;
  const depth = depthAxis(node);
  return {
    kind: 'linear',
    links: [link({ index: 0, axis: 1 - depth }, { index: 0, axis: 0 })],
    x: { index: 0, axis: depth },
    y: { index: 0, axis: 1 },
    weights: gemmWeights(node),
    bias: { index: 2, beta: node.float('beta', 1) },
    alpha: node.float('alpha', 1),
    padded: false,
  };
}

/**
 * The same with the constant as A: rows of Y are what the weights make. C goes with the columns of Y
 * as well, so that it is no bias, and what Y makes of constants is not known beside it.
 */
function gemmOfLeft(site: Site): Relation | undefined {
  const { node } = site;
  const [added, y] = [site.constant(2)?.dims, site.outDims(0)];
  if (site.constant(0)?.dims.length !== 2 || site.inDims(1)?.length !== 2 || y?.length !== 2) return undefined;
  if (node.inputs[2] !== undefined && added === undefined) return undefined;
  const depth = hasTransB(node) ? 1 : 0;
  const ofAdded = (added ?? []).flatMap((extent, axis) =>
    extent === 1 ? [] : [link({ index: 2, axis }, { index: 0, axis: axis + 2 - (added?.length ?? 0) })],
  );
  return {
    kind: 'linear',
    links: [link({ index: 1, axis: 1 - depth }, { index: 0, axis: 1 }), ...ofAdded],
    x: { index: 1, axis: depth },
    y: { index: 0, axis: 0 },
    weights: leftWeights(node),
    bias: undefined,
    alpha: node.float('alpha', 1),
    padded: false,
    ...(added !== undefined && { activation: () => undefined }),
  };
}

function leftWeights(node: Node): LayerOperands['weights'] {
  const depth = depthAxis(node);
  return { index: 0, inAxis: depth, outAxis: 1 - depth };
}

function gemmLayer(site: Site): LayerOperands | undefined {
  const { node } = site;
  const [left, right] = [site.constant(0)?.dims, site.constant(1)?.dims];
  if (right?.length === 2) return { weights: gemmWeights(node), bias: 2 };
  if (right !== undefined || left?.length !== 2) return undefined;
  return { weights: leftWeights(node), bias: undefined, axesBehind: 1 };
}

/** A matrix, maybe after axes of extent 1: [1, K, N]. */
function isMatrix(dims: readonly number[] | undefined): dims is readonly number[] {
  return dims !== undefined && dims.length >= 2 && dims.slice(0, -2).every((extent) => extent === 1);
}

interface Product {
  /** Which input is the constant matrix. */
  readonly weights: 0 | 1;
  /** Whether the last two axes of the other input, and of the matrix, are exchanged first. */
  readonly isTransposed?: boolean;
  readonly weightsAreTransposed?: boolean;
  readonly alpha?: number;
}

/**
 * Y […, M, N] = alpha * X […, M, K] * W [K, N], of one row too: Y [N] = X [K] * W; and with the
 * constant on the left: Y […, M, N] = alpha * W [M, K] * X […, K, N].
 */
function product(
  site: Site,
  { weights: index, isTransposed = false, weightsAreTransposed = false, alpha = 1 }: Product,
): Relation | undefined {
  const [x, y, weights] = [site.inDims(1 - index), site.outDims(0), site.constant(index)?.dims];
  if (x === undefined || y === undefined || x.length === 0 || x.length !== y.length || !isMatrix(weights))
    return undefined;
  const rank = x.length;
  // More axes of the matrix than of X, and a list of numbers with another product's rules.
  if (weights.length > Math.max(rank, 2) || (rank === 1 && (index === 0 || isTransposed))) return undefined;
  const [row, column] = [rank - 2, rank - 1];
  const [summed, made] = index === 1 ? [column, column] : [row, row];
  const swap = (axis: number) => (isTransposed && axis >= row ? row + column - axis : axis);
  const links = Array.from({ length: rank }, (_, axis) => axis)
    .filter((axis) => axis !== made)
    .map((axis) => link({ index: 1 - index, axis: swap(axis) }, { index: 0, axis }));
  const [first, second] = [weights.length - 2, weights.length - 1];
  const [inAxis, outAxis] = (index === 1) !== weightsAreTransposed ? [first, second] : [second, first];
  return {
    kind: 'linear',
    links,
    x: { index: 1 - index, axis: swap(summed) },
    y: { index: 0, axis: made },
    weights: { index, inAxis, outAxis },
    bias: undefined,
    alpha,
    padded: false,
  };
}

/** MatMul-1, -9, -13 with a constant matrix on either side, or of two activations. */
function matMul(site: Site): Relation | undefined {
  if (site.constant(0) === undefined && site.constant(1) === undefined) return productOfTwo(site);
  return product(site, { weights: site.constant(1) === undefined ? 0 : 1 });
}

/** com.microsoft: a MatMul with a factor, of operands whose last two axes may be exchanged. */
function fusedMatMul(site: Site): Relation | undefined {
  const { node } = site;
  if (node.int('transBatchA', 0) !== 0 || node.int('transBatchB', 0) !== 0) return undefined;
  const [a, b] = ['transA', 'transB'].map((name) => node.int(name, 0) !== 0);
  const alpha = node.float('alpha', 1);
  return site.constant(1) === undefined
    ? product(site, { weights: 0, isTransposed: b === true, weightsAreTransposed: a === true, alpha })
    : product(site, { weights: 1, isTransposed: a === true, weightsAreTransposed: b === true, alpha });
}

/**
 * Y […, M, N] = A […, M, K] * B […, K, N] of two activations, as in attention. The axes in front
 * are broadcast; K is summed over, and neither M nor N knows of the other.
 */
function productOfTwo(site: Site): Relation | undefined {
  const [a, b, y] = [site.inDims(0), site.inDims(1), site.outDims(0)];
  if (a === undefined || b === undefined || y === undefined || a.length < 2 || b.length < 2) return undefined;
  const rank = y.length;
  if (rank !== Math.max(a.length, b.length)) return undefined;
  const links: Link[] = [];
  for (const [index, dims] of [a, b].entries()) {
    for (const [axis, dim] of dims.slice(0, -2).entries()) {
      const output = rank - dims.length + axis;
      // As in broadcast.ts: an axis of extent 1 that is stretched is not linked.
      if (typeof dim !== 'number' || dim === y[output]) links.push(link({ index, axis }, { index: 0, axis: output }));
    }
  }
  links.push(link({ index: 0, axis: a.length - 2 }, { index: 0, axis: rank - 2 }));
  links.push(link({ index: 1, axis: b.length - 1 }, { index: 0, axis: rank - 1 }));
  const inner = [
    { index: 0, axis: a.length - 1 },
    { index: 1, axis: b.length - 2 },
  ];
  return { kind: 'pointwise', links, sums: [inner], constant: zeroIfAny };
}

/** Zeros of one factor, whatever the other one is (finite activations). */
function zeroIfAny(operands: readonly Known[]): number | undefined {
  return operands.includes(0) ? 0 : undefined;
}

/** Of the constant matrix on the right, or else on the left. */
function productLayer({ constant }: Site, transA = false, transB = false): LayerOperands | undefined {
  const [left, right] = [constant(0)?.dims, constant(1)?.dims];
  if (isMatrix(right)) {
    const [row, column] = [right.length - 2, right.length - 1];
    const [inAxis, outAxis] = transB ? [column, row] : [row, column];
    return { weights: { index: 1, inAxis, outAxis }, bias: undefined, axesBehind: 0 };
  }
  if (right !== undefined || !isMatrix(left)) return undefined;
  const [row, column] = [left.length - 2, left.length - 1];
  const [inAxis, outAxis] = transA ? [row, column] : [column, row];
  return { weights: { index: 0, inAxis, outAxis }, bias: undefined, axesBehind: 1 };
}

function fusedLayer(site: Site): LayerOperands | undefined {
  const { node } = site;
  if (node.int('transBatchA', 0) !== 0 || node.int('transBatchB', 0) !== 0) return undefined;
  return productLayer(site, node.int('transA', 0) !== 0, hasTransB(node));
}

function matMulExtents({ extents }: ShapeSite): Elements | undefined {
  const [a, b] = [extents(0), extents(1)];
  // A vector has no row or no column of its own.
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return undefined;
  return [...broadcastShapes([a.slice(0, -2), b.slice(0, -2)]), a.at(-2), b.at(-1)];
}

/** As many for each element of Y as X has along `summedAxis`. */
export function productMacs(site: Site, summedAxis: number): number | undefined {
  const y = site.outDims(0);
  const depth = site.inDims(0)?.at(summedAxis);
  if (!isStatic(y) || typeof depth !== 'number') return undefined;
  return y.reduce((total, dim) => total * dim, depth);
}

export const matrixProducts: readonly Operator[] = [
  {
    type: 'Gemm',
    axes: gemm,
    weights: gemmLayer,
    macs: (site) => productMacs(site, depthAxis(site.node)),
    parameters: [undefined, 'weight', 'bias'],
    isReversed: (node) => !hasTransB(node),
  },
  {
    type: 'MatMul',
    axes: matMul,
    weights: (site) => productLayer(site),
    resultExtents: matMulExtents,
    macs: (site) => productMacs(site, -1),
    parameters: [undefined, 'weight'],
    isReversed: () => true,
  },
  {
    type: 'FusedMatMul',
    domain: MICROSOFT,
    axes: fusedMatMul,
    weights: fusedLayer,
    parameters: [undefined, 'weight'],
    isReversed: (node) => !hasTransB(node),
    macs: (site) => productMacs(site, site.node.int('transA', 0) === 0 ? -1 : -2),
  },
];
