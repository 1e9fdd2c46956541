/** Operators that are linear in one input with constant weights: Conv, Gemm, MatMul. */
import type { Dim } from '../ir/graph.js';
import {
  type Adjustment,
  input,
  isStatic,
  type KeptOf,
  type LayerOperands,
  type Link,
  type OpRow,
  output,
  type Relation,
  type Site,
} from './relation.js';
import { windowOf } from './window.js';

/** Conv-1, -11, -22: X [N, C, spatial…], W [M, C / group, kernel…], B [M], Y [N, M, spatial…]. */
function conv(site: Site): Relation | undefined {
  const x = site.inDims(0);
  const weights = site.constant(1);
  const y = site.outDims(0);
  if (x === undefined || weights === undefined || y === undefined) return undefined;
  const hasBias = site.node.inputs[2] !== undefined;
  if (hasBias && site.constant(2) === undefined) return undefined;
  const groups = site.node.int('group', 1);
  const links: Link[] = [{ from: input(0, 0), to: output(0, 0) }];
  const padded = isPadded(site);
  if (groups === 1) {
    const bias = { index: 2, beta: 1 };
    return {
      kind: 'linear',
      links,
      x: input(0, 1),
      y: output(0, 1),
      weights: { index: 1, inAxis: 1, outAxis: 0 },
      bias,
      alpha: 1,
      padded,
    };
  }
  // A group's inputs go with its outputs: both sides must have positions.
  if (typeof x[1] !== 'number' || typeof y[1] !== 'number') return undefined;
  const bias = hasBias ? { index: 2 } : undefined;
  return {
    kind: 'grouped',
    links,
    x: input(0, 1),
    y: output(0, 1),
    weights: { index: 1, outAxis: 0 },
    bias,
    groups,
    padded,
  };
}

function convLayer(site: Site): LayerOperands | undefined {
  return site.constant(1) === undefined ? undefined : { weights: { index: 1, inAxis: 1, outAxis: 0 }, bias: 2 };
}

/** Whether zeros around the input enter any sum. SAME_* may pad or not, depending on the size: counted as padded. */
function isPadded({ node }: Site): boolean {
  const auto = node.string('auto_pad', 'NOTSET');
  if (auto === 'VALID') return false;
  if (auto === 'NOTSET') return (node.ints('pads') ?? []).some((pad) => pad !== 0);
  return true;
}

/** A grouped convolution keeps its channels per group; their number is the `group` attribute. */
function adjustConv(site: Site, kept: KeptOf): readonly Adjustment[] {
  const groups = site.node.int('group', 1);
  const keptOutputs = kept(output(0, 1));
  const total = site.constant(1)?.dims[0];
  if (groups === 1 || keptOutputs === undefined || total === undefined) return [];
  return [{ attribute: 'group', value: { kind: 'int', value: (keptOutputs.length * groups) / total } }];
}

function convMacs(site: Site): number | undefined {
  const y = site.outDims(0);
  const weights = site.constant(1) ?? { dims: site.inDims(1) ?? [] };
  if (!isStatic(y) || !isStatic(weights.dims)) return undefined;
  const perOutput = weights.dims.slice(1).reduce((total, dim) => total * dim, 1);
  return y.reduce((total, dim) => total * dim, 1) * perOutput;
}

/** Gemm-7, -11, -13: Y [M, N] = alpha * A * B + beta * C. Only A without transposition and constant B and C. */
function gemm(site: Site): Relation | undefined {
  const { node } = site;
  const weights = site.constant(1);
  if (
    weights === undefined ||
    node.int('transA', 0) !== 0 ||
    site.inDims(0)?.length !== 2 ||
    site.outDims(0)?.length !== 2
  )
    return undefined;
  if (node.inputs[2] !== undefined && site.constant(2) === undefined) return undefined;
  const transposed = node.int('transB', 0) !== 0;
  const beta = node.float('beta', 1);
  return {
    kind: 'linear',
    links: [{ from: input(0, 0), to: output(0, 0) }],
    x: input(0, 1),
    y: output(0, 1),
    weights: { index: 1, inAxis: transposed ? 1 : 0, outAxis: transposed ? 0 : 1 },
    bias: { index: 2, beta },
    alpha: node.float('alpha', 1),
    padded: false,
  };
}

function gemmLayer(site: Site): LayerOperands | undefined {
  const { node } = site;
  if (site.constant(1)?.dims.length !== 2 || node.int('transA', 0) !== 0) return undefined;
  const isTransposed = node.int('transB', 0) !== 0;
  return { weights: { index: 1, inAxis: isTransposed ? 1 : 0, outAxis: isTransposed ? 0 : 1 }, bias: 2 };
}

/** MatMul-1, -9, -13 with a constant matrix on the right: Y […, N] = X […, K] * W [K, N], of one row too: Y [N] = X [K] * W. */
function matMul(site: Site): Relation | undefined {
  const x = site.inDims(0);
  const y = site.outDims(0);
  if (
    x === undefined ||
    y === undefined ||
    x.length === 0 ||
    x.length !== y.length ||
    site.constant(1)?.dims.length !== 2
  )
    return undefined;
  const last = x.length - 1;
  return {
    kind: 'linear',
    links: Array.from({ length: last }, (_, axis) => ({ from: input(0, axis), to: output(0, axis) })),
    x: input(0, last),
    y: output(0, last),
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

function matrixMacs(site: Site): number | undefined {
  const x: readonly Dim[] | undefined = site.inDims(0);
  const y = site.outDims(0);
  const depth = x?.at(site.node.opType === 'Gemm' && site.node.int('transA', 0) !== 0 ? 0 : -1);
  if (!isStatic(y) || typeof depth !== 'number') return undefined;
  return y.reduce((total, dim) => total * dim, depth);
}

export const linearRows: readonly OpRow[] = [
  { op: 'Conv', relate: conv, layer: convLayer, adjust: adjustConv, window: windowOf, macs: convMacs },
  { op: 'Gemm', relate: gemm, layer: gemmLayer, macs: matrixMacs },
  { op: 'MatMul', relate: matMul, layer: matMulLayer, macs: matrixMacs },
];
