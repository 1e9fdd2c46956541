/** Products with a constant matrix: Gemm and MatMul. */
import type { Node } from '../ir/graph.js';
import { isStatic, link, type Relation } from './axes.js';
import type { LayerOperands, Operator } from './operator.js';
import type { Site } from './site.js';

function isTransposed(node: Node): boolean {
  return node.int('transB', 0) !== 0;
}

/** The axis of A [M, K], or of A [K, M] with transA, that is summed over. */
function depthAxis(node: Node): 0 | 1 {
  return node.int('transA', 0) === 0 ? 1 : 0;
}

function gemmWeights(node: Node): LayerOperands['weights'] {
  return isTransposed(node) ? { index: 1, inAxis: 1, outAxis: 0 } : { index: 1, inAxis: 0, outAxis: 1 };
}

/** Gemm-7, -11, -13: Y [M, N] = alpha * A * B + beta * C, with constant B and C. */
function gemm(site: Site): Relation | undefined {
  const { node } = site;
  const isMatrix = site.inDims(0)?.length === 2 && site.outDims(0)?.length === 2;
  if (site.constant(1) === undefined || !isMatrix) return undefined;
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

function gemmLayer(site: Site): LayerOperands | undefined {
  const { node } = site;
  if (site.constant(1)?.dims.length !== 2) return undefined;
  return { weights: gemmWeights(node), bias: 2 };
}

/**
 * MatMul-1, -9, -13 with a constant matrix on the right: Y […, N] = X […, K] * W [K, N], of one row
 * too: Y [N] = X [K] * W.
 */
function matMul(site: Site): Relation | undefined {
  const x = site.inDims(0);
  const y = site.outDims(0);
  if (x === undefined || y === undefined || x.length === 0 || x.length !== y.length) return undefined;
  if (site.constant(1)?.dims.length !== 2) return undefined;
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

function matMulLayer(site: Site): LayerOperands | undefined {
  if (site.constant(1)?.dims.length !== 2) return undefined;
  return { weights: { index: 1, inAxis: 0, outAxis: 1 }, bias: undefined };
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
    macs: (site) => macs(site, depthAxis(site.node)),
    parameters: [undefined, 'weight', 'bias'],
    isReversed: (node) => !isTransposed(node),
  },
  {
    type: 'MatMul',
    axes: matMul,
    weights: matMulLayer,
    macs: (site) => macs(site, -1),
    parameters: [undefined, 'weight'],
    isReversed: () => true,
  },
];
