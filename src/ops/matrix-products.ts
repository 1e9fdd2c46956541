/** Products with a constant matrix, Gemm and MatMul, and MatMul of two activations. */
import type { Dim, Node } from '../ir/graph.js';
import { isStatic, type Known, type Link, link, type Relation } from './axes.js';
import type { LayerOperands, Operator } from './operator.js';
import { broadcastOf } from './extents.js';
import type { Elements, Extent, ShapeSite, Site } from './site.js';

function isTransposed(node: Node): boolean {
  return node.int('transB', 0) !== 0;
}

function gemmWeights(node: Node): LayerOperands['weights'] {
  return isTransposed(node) ? { index: 1, inAxis: 1, outAxis: 0 } : { index: 1, inAxis: 0, outAxis: 1 };
}

/**
 * Gemm-7, -11, -13: Y [M, N] = alpha * A * B + beta * C. Only A without transposition and constant
 * B and C.
 */
function gemm(site: Site): Relation | undefined {
  const { node } = site;
  const isMatrix = site.inDims(0)?.length === 2 && site.outDims(0)?.length === 2;
  if (site.constant(1) === undefined || node.int('transA', 0) !== 0 || !isMatrix) return undefined;
  if (node.inputs[2] !== undefined && site.constant(2) === undefined) return undefined;
  return {
    kind: 'linear',
    links: [link({ index: 0, axis: 0 }, { index: 0, axis: 0 })],
    x: { index: 0, axis: 1 },
    y: { index: 0, axis: 1 },
    weights: gemmWeights(node),
    bias: { index: 2, beta: node.float('beta', 1) },
    alpha: node.float('alpha', 1),
    padded: false,
  };
}

function gemmLayer(site: Site): LayerOperands | undefined {
  const { node } = site;
  if (site.constant(1)?.dims.length !== 2 || node.int('transA', 0) !== 0) return undefined;
  return { weights: gemmWeights(node), bias: 2 };
}

/**
 * MatMul-1, -9, -13 with a constant matrix on the right: Y […, N] = X […, K] * W [K, N], of one row
 * too: Y [N] = X [K] * W.
 */
function matMul(site: Site): Relation | undefined {
  const x = site.inDims(0);
  const y = site.outDims(0);
  if (x === undefined || y === undefined || x.length === 0) return undefined;
  if (site.constant(0) === undefined && site.constant(1) === undefined) return productOfTwo(site, x, y);
  if (x.length !== y.length || site.constant(1)?.dims.length !== 2) return undefined;
  const last = x.length - 1;
  return {
    kind: 'linear',
    links: Array.from({ length: last }, (_, axis) => link({ index: 0, axis }, { index: 0, axis })),
    x: { index: 0, axis: last },
    y: { index: 0, axis: last },
    weights: { index: 1, inAxis: 0, outAxis: 1 },
    bias: undefined,
    alpha: 1,
    padded: false,
  };
}

/**
 * Y […, M, N] = A […, M, K] * B […, K, N] of two activations, as in attention. The axes in front
 * are broadcast; K is summed over, and neither M nor N knows of the other.
 */
function productOfTwo(site: Site, a: readonly Dim[], y: readonly Dim[]): Relation | undefined {
  const b = site.inDims(1);
  const rank = y.length;
  if (b === undefined || a.length < 2 || b.length < 2 || rank !== Math.max(a.length, b.length)) return undefined;
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

function matMulLayer(site: Site): LayerOperands | undefined {
  if (site.constant(1)?.dims.length !== 2) return undefined;
  return { weights: { index: 1, inAxis: 0, outAxis: 1 }, bias: undefined };
}

function matMulExtents({ extents }: ShapeSite): Elements | undefined {
  const [a, b] = [extents(0), extents(1)];
  // A vector has no row or no column of its own.
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return undefined;
  const rank = Math.max(a.length, b.length);
  const front = (own: readonly Extent[], axis: number) => own[axis - rank + own.length] ?? 1;
  const batch = Array.from({ length: rank - 2 }, (_, axis) => broadcastOf(front(a, axis), front(b, axis)));
  return [...batch, a.at(-2), b.at(-1)];
}

/** As many for each element of Y as X has along `depthAxis`. */
function macs(site: Site, depthAxis: number): number | undefined {
  const y = site.outDims(0);
  const depth = site.inDims(0)?.at(depthAxis);
  if (!isStatic(y) || typeof depth !== 'number') return undefined;
  return y.reduce((total, dim) => total * dim, depth);
}

export const matrixProducts: readonly Operator[] = [
  {
    type: 'Gemm',
    axes: gemm,
    weights: gemmLayer,
    macs: (site) => macs(site, site.node.int('transA', 0) === 0 ? -1 : 0),
    parameters: [undefined, 'weight', 'bias'],
    isReversed: (node) => !isTransposed(node),
  },
  {
    type: 'MatMul',
    axes: matMul,
    weights: matMulLayer,
    resultExtents: matMulExtents,
    macs: (site) => macs(site, -1),
    parameters: [undefined, 'weight'],
    isReversed: () => true,
  },
];
