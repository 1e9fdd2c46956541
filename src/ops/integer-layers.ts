/** Layers that compute with codes: integer operators, and their com.microsoft relatives. */
import type { Node } from '../ir/graph.js';
import type { AxisRef, Codes, Link, Relation } from './axes.js';
import { link } from './axes.js';
import { Window, windowedExtents, windowKey } from './attributes.js';
import { adjustGroups, convMacs } from './conv.js';
import { MICROSOFT } from './domains.js';
import { productMacs } from './matrix-products.js';
import type { LayerOperands, Operator } from './operator.js';
import type { Site } from './site.js';

/** Which inputs an operator has. The ones in `perOutput` hold one number, or one per output. */
interface Inputs {
  readonly x: number;
  /** Absent: X is in real numbers, and the node itself finds scale and zero point. */
  readonly xZero?: number;
  readonly weights: number;
  readonly weightZeros: number;
  readonly weightScales?: number;
  /** Of X and Y, one number each. */
  readonly scalars?: readonly number[];
  readonly outputScale?: number;
  readonly bias?: number;
  readonly isScaled?: true;
}

const CONV_INTEGER: Inputs = { x: 0, weights: 1, xZero: 2, weightZeros: 3 };
const MATMUL_INTEGER: Inputs = CONV_INTEGER;
const QLINEAR_MATMUL: Inputs = {
  x: 0,
  xZero: 2,
  weights: 3,
  weightScales: 4,
  weightZeros: 5,
  scalars: [1, 6, 7],
  outputScale: 6,
};
const QLINEAR_CONV: Inputs = { ...QLINEAR_MATMUL, bias: 8 };
/** com.microsoft: the bias comes before what Y is scaled by. */
const QGEMM: Inputs = { ...QLINEAR_MATMUL, scalars: [1, 7, 8], outputScale: 7, bias: 6 };

/** com.microsoft: real numbers come out. */
const MATMUL_INTEGER_TO_FLOAT: Inputs = {
  x: 0,
  weights: 1,
  weightScales: 3,
  xZero: 4,
  weightZeros: 5,
  bias: 6,
  isScaled: true,
};
const DYNAMIC_MATMUL: Inputs = { x: 0, weights: 1, weightScales: 2, weightZeros: 3, bias: 4, isScaled: true };

/** ConvInteger-10, QLinearConv-10: X [N, C, spatial…], W [M, C / group, kernel…], Y [N, M, spatial…]. */
function conv(site: Site, inputs: Inputs): Relation | undefined {
  const [x, y, weights] = [site.inDims(inputs.x), site.outDims(0), site.constant(inputs.weights)];
  if (x === undefined || y === undefined || weights === undefined) return undefined;
  const of = layerOfCodes(site, inputs, { inAxis: 1, outAxis: 0, y: { index: 0, axis: 1 }, outputs: weights.dims[0] });
  if (of === undefined) return undefined;
  const groups = site.node.int('group', 1);
  const shared = {
    ...of,
    links: [link({ index: inputs.x, axis: 0 }, { index: 0, axis: 0 }), ...of.links],
    x: { index: inputs.x, axis: 1 },
    padded: new Window(site.node).isPadded,
    hasWindow: true,
  } as const;
  if (groups === 1) return { kind: 'linear', ...shared };
  if (typeof x[1] !== 'number' || typeof y[1] !== 'number') return undefined;
  return { kind: 'grouped', ...shared, groups };
}

/** MatMulInteger-10, QLinearMatMul-10, -21 and relatives of com.microsoft: Y […, M, N] = X […, M, K] * W [K, N]. */
function matMul(site: Site, inputs: Inputs): Relation | undefined {
  const [x, y, weights] = [site.inDims(inputs.x), site.outDims(0), site.constant(inputs.weights)];
  if (x === undefined || x.length < 2 || x.length !== y?.length || weights?.dims.length !== 2) return undefined;
  const last = x.length - 1;
  const made = { index: 0, axis: last };
  const of = layerOfCodes(site, inputs, { inAxis: 0, outAxis: 1, y: made, outputs: weights.dims[1] });
  if (of === undefined) return undefined;
  const rows = x.slice(0, -1).map((_, axis) => link({ index: inputs.x, axis }, { index: 0, axis }));
  const summed = { index: inputs.x, axis: last };
  const ranges = inputs.xZero === undefined ? ({ rangesInput: true } as const) : {};
  return { kind: 'linear', ...of, ...ranges, links: [...rows, ...of.links], x: summed, padded: false };
}

/** com.microsoft.QGemm-1: Y [M, N] = A [M, K] * B + C, of codes; Y is float without a scale of its own. */
function qGemm(site: Site): Relation | undefined {
  const { node } = site;
  const weights = site.constant(QGEMM.weights);
  const isPlain = node.int('transA', 0) === 0 && node.float('alpha', 1) === 1;
  if (!isPlain || weights?.dims.length !== 2 || node.inputs[7] === undefined) return undefined;
  const [inAxis, outAxis] = node.int('transB', 0) === 0 ? [0, 1] : [1, 0];
  const made = { index: 0, axis: 1 };
  const of = layerOfCodes(site, QGEMM, { inAxis, outAxis, y: made, outputs: weights.dims[outAxis] });
  if (of === undefined) return undefined;
  const rows = [link({ index: 0, axis: 0 }, { index: 0, axis: 0 }), ...of.links];
  return { kind: 'linear', ...of, links: rows, x: { index: 0, axis: 1 }, padded: false };
}

interface Made {
  readonly inAxis: number;
  readonly outAxis: number;
  readonly y: AxisRef;
  readonly outputs: number | undefined;
}

/** Undefined where a zero point or a scale is computed, or is for something else than outputs. */
function layerOfCodes(site: Site, inputs: Inputs, { inAxis, outAxis, y, outputs }: Made) {
  const { node } = site;
  const inputZero = zeroPointOf(site, inputs);
  if (inputZero === undefined) return undefined;
  for (const index of inputs.scalars ?? [])
    if (node.inputs[index] !== undefined && site.constant(index)?.size !== 1) return undefined;
  const links: Link[] = [];
  for (const index of [inputs.weightScales, inputs.weightZeros]) {
    if (index === undefined || node.inputs[index] === undefined) continue;
    const { dims, size } = site.constant(index) ?? {};
    if (dims === undefined || dims.length > 1) return undefined;
    if (size === 1) continue;
    if (size !== outputs) return undefined;
    links.push(link({ index, axis: 0 }, y));
  }
  const { bias, outputScale, weights } = inputs;
  const isBiased = bias !== undefined && node.inputs[bias] !== undefined;
  if (isBiased && site.constant(bias) === undefined) return undefined;
  const hasPoints = node.inputs[inputs.weightZeros] !== undefined;
  const codes: Codes = {
    inputZero,
    weightZeros: hasPoints ? inputs.weightZeros : undefined,
    weightScales: inputs.weightScales,
    outputScale,
    ...(inputs.isScaled && { isScaled: true }),
  };
  return {
    links,
    y,
    weights: { index: weights, inAxis, outAxis },
    bias: bias === undefined ? undefined : { index: bias, beta: 1 },
    alpha: 1,
    codes,
  };
}

/** That of X; 0 where the run finds it, since constants count from there (conversions.ts). */
function zeroPointOf(site: Site, { x, xZero }: Inputs): number | undefined {
  const { node } = site;
  const point = xZero === undefined ? undefined : node.inputs[xZero];
  if (point === undefined) return 0;
  const constant = site.constant(xZero ?? -1);
  if (constant !== undefined) return constant.size === 1 ? constant.numbers()[0] : undefined;
  const { producer } = point;
  const isOfRun = producer?.opType === 'DynamicQuantizeLinear' && producer.outputs[2] === point;
  return isOfRun && producer.outputs[0] === node.inputs[x] ? 0 : undefined;
}

/** As the relation has them. */
function weightsOf(relation: Relation | undefined): LayerOperands | undefined {
  return relation?.kind === 'linear' || relation?.kind === 'grouped'
    ? { weights: relation.weights, bias: relation.bias?.index, codes: relation.codes }
    : undefined;
}

function convolution(type: string, inputs: Inputs): Operator {
  return {
    type,
    axes: (site) => conv(site, inputs),
    weights: (site) => weightsOf(conv(site, inputs)),
    macs: (site) => convMacs(site, inputs.weights),
    adjust: adjustGroups,
    hasGroups: true,
    hasWindow: true,
    storedWeights: () => [{ index: inputs.weights, zeroPoint: inputs.weightZeros, axis: 0 }],
  };
}

function matrixProduct(type: string, inputs: Inputs, domain = ''): Operator {
  return {
    type,
    domain,
    axes: (site) => matMul(site, inputs),
    weights: (site) => weightsOf(matMul(site, inputs)),
    macs: (site) => productMacs(site, -1),
    storedWeights: () => [
      ...(inputs.xZero === undefined ? [] : [{ index: inputs.x, zeroPoint: inputs.xZero, axis: -2 }]),
      { index: inputs.weights, zeroPoint: inputs.weightZeros, axis: -1 },
    ],
  };
}

export const integerLayers: readonly Operator[] = [
  {
    ...convolution('ConvInteger', CONV_INTEGER),
    resultExtents: (site) => windowedExtents(site, site.constant(1)?.dims[0]),
    extentKey: windowKey,
  },
  convolution('QLinearConv', QLINEAR_CONV),
  matrixProduct('MatMulInteger', MATMUL_INTEGER),
  matrixProduct('QLinearMatMul', QLINEAR_MATMUL),
  matrixProduct('MatMulIntegerToFloat', MATMUL_INTEGER_TO_FLOAT, MICROSOFT),
  matrixProduct('DynamicQuantizeMatMul', DYNAMIC_MATMUL, MICROSOFT),
  {
    type: 'QGemm',
    domain: MICROSOFT,
    axes: qGemm,
    weights: (site) => weightsOf(qGemm(site)),
    macs: (site) => productMacs(site, -1),
    storedWeights: (node: Node) => [
      { index: QGEMM.weights, zeroPoint: QGEMM.weightZeros, axis: node.int('transB', 0) === 0 ? 1 : 0 },
    ],
  },
];
