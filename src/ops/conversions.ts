/** Between numbers and quantised numbers: QuantizeLinear and DequantizeLinear, with fixed scales. */
import { type Link, link, normalAxis, type Pointwise, sameAxes } from './axes.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import { sameExtents } from './extents.js';
import type { Site } from './site.js';

/**
 * QuantizeLinear-10, -13, …, DequantizeLinear-10, -13, …: every element on its own, with the scale
 * and the zero point of all (one number), or of its index along `axis` (from opset 13 on). Undefined
 * for scales of blocks (opset 21).
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

function decoded(site: Site): Pointwise | undefined {
  const relation = conversion(site);
  return relation && { ...relation, isExact: true };
}

function coded(site: Site): Pointwise | undefined {
  const relation = conversion(site);
  return relation && { ...relation, isFused: true };
}

/** `ai.onnx`, and com.microsoft, which had 16 and 4 bits first. */
export const conversions: readonly Operator[] = ['', MICROSOFT].flatMap((domain): readonly Operator[] => [
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
