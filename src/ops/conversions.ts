/** Between numbers and quantised numbers: QuantizeLinear and DequantizeLinear, with fixed scales. */
import { type Link, link, normalAxis, type Pointwise, sameAxes } from './axes.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import { sameExtents } from './extents.js';
import type { Site } from './site.js';

/**
 * QuantizeLinear-10, -13, …, DequantizeLinear-10, -13, …: every element on its own, with the scale
 * and the zero point of all (one number), or of its index along `axis` (from opset 13 on). Undefined
 * for scales of blocks (opset 21), see below.
 */
function conversion(site: Site): Pointwise | undefined {
  const { node } = site;
  const [x, y] = [site.inDims(0), site.outDims(0)];
  if (x === undefined || x.length !== y?.length || node.int('block_size', 0) !== 0) return undefined;
  const axis = normalAxis(node.int('axis', 1), x.length);
  const links = [...sameAxes(site, 0)];
  for (const index of [1, 2]) {
    if (node.inputs[index] === undefined) continue;
    const ofCoding = coding(site, index, { axis, extent: x[axis] });
    if (ofCoding === undefined) return undefined;
    links.push(...ofCoding);
  }
  return { kind: 'pointwise', links, isAsked: true };
}

/** None where one number is for all. */
function coding(
  site: Site,
  index: number,
  { axis, extent }: { readonly axis: number; readonly extent: unknown },
): readonly Link[] | undefined {
  const dims = site.inDims(index);
  if (dims === undefined || dims.length > 1) return undefined;
  const [count = 1] = dims;
  if (count === 1) return [];
  return count === extent ? [link({ index, axis: 0 }, { index: 0, axis })] : undefined;
}

/**
 * DequantizeLinear-21 with `block_size`: along `axis` one scale for so many elements. Scales have all
 * axes of the codes; that of the blocks stays as it is. Undefined where the extents differ.
 */
function blocks(site: Site): Pointwise | undefined {
  const { node } = site;
  const [x, y] = [site.inDims(0), site.outDims(0)];
  if (x === undefined || x.length !== y?.length) return undefined;
  const blocked = normalAxis(node.int('axis', 1), x.length);
  const operands = [0, 1, 2].filter((index) => node.inputs[index] !== undefined);
  const others = [...x.keys()].filter((axis) => axis !== blocked);
  const isAlike = operands.every((index) => {
    const dims = site.inDims(index);
    return dims?.length === x.length && others.every((axis) => dims[axis] === x[axis]);
  });
  if (!isAlike) return undefined;
  const links = operands.flatMap((index) => others.map((axis) => link({ index, axis }, { index: 0, axis })));
  return { kind: 'pointwise', links, constant: () => undefined };
}

function decoded(site: Site): Pointwise | undefined {
  if (site.node.int('block_size', 0) !== 0) return blocks(site);
  const relation = conversion(site);
  return relation && { ...relation, isExact: true };
}

function coded(site: Site): Pointwise | undefined {
  const relation = conversion(site);
  return relation && { ...relation, isFused: true };
}

/**
 * DynamicQuantizeLinear-11: codes from the zero point that the run finds. 0 is always in the range,
 * and its code is the zero point: channels of zeros change nothing. All others may be the least or
 * the largest number, which the scale is made of. Constants of the codes count from the zero point:
 * nobody else may read them.
 */
function dynamic(site: Site): Pointwise | undefined {
  const { node } = site;
  const [codes, , zeroPoint] = node.outputs;
  const dims = site.inDims(0);
  if (codes === undefined || zeroPoint === undefined || dims === undefined || codes.isSeenOutside) return undefined;
  const isCounted = codes.uses.every(
    (use) => use.index === 0 && use.node.inputs[ZERO_POINTS.get(use.node.opType) ?? -1] === zeroPoint,
  );
  if (!isCounted) return undefined;
  return {
    kind: 'pointwise',
    links: sameAxes(site, 0),
    sums: dims.map((_, axis) => [{ index: 0, axis }]),
    constant: ([x]) => (x === 0 ? 0 : undefined),
  };
}

/** By integer layer the input with the zero point of its codes. */
const ZERO_POINTS: ReadonlyMap<string, number> = new Map([
  ['ConvInteger', 2],
  ['MatMulInteger', 2],
  ['MatMulIntegerToFloat', 4],
]);

/** `ai.onnx`, and com.microsoft, which had 16 and 4 bits first. */
const fixed = ['', MICROSOFT].flatMap((domain): readonly Operator[] => [
  {
    type: 'QuantizeLinear',
    domain,
    axes: coded,
    resultExtents: sameExtents,
    storedWeights: () => [{ index: 0, axis: 0 }],
    notFolded: 'quantised',
    keepsZeros: 'first',
  },
  {
    type: 'DequantizeLinear',
    domain,
    axes: decoded,
    resultExtents: sameExtents,
    storedWeights: (node) => [{ index: 0, zeroPoint: 2, axis: node.int('axis', 1) }],
    notFolded: 'quantised',
    keepsZeros: 'first',
    isDecoder: true,
  },
]);

export const conversions: readonly Operator[] = [
  ...fixed,
  {
    type: 'DynamicQuantizeLinear',
    axes: dynamic,
    partExtents: ({ extents }, output) => (output === 0 ? extents(0) : []),
    notFolded: 'quantised',
  },
];
