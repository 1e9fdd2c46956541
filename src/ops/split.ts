/** Split. */
import { INT64, Tensor } from '../ir/tensor.js';
import { type AxisRef, link, normalAxis, range, type Relation, unchanged } from './axes.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

interface Parts {
  readonly input: AxisRef;
  /** Along that axis, one per output. */
  readonly sizes: readonly number[];
  /** Whether the node lists them; else they follow from their number. */
  readonly isListed: boolean;
}

/**
 * Split-2 and -11 have sizes as an attribute, Split-13 as an input, Split-18 an input or the number
 * of parts. Undefined where a computed list tells them, or where outputs are left out.
 */
function partsOf(site: Site): Parts | undefined {
  const { node, opset } = site;
  const dims = site.inDims(0);
  if (dims === undefined || node.outputs.includes(undefined)) return undefined;
  const input = { index: 0, axis: normalAxis(node.int('axis', 0), dims.length) };
  const extent = dims[input.axis];
  if (typeof extent !== 'number') return undefined;
  const isListed = opset < 13 ? node.attributes.has('split') : node.inputs[1] !== undefined;
  const listed = opset < 13 ? node.ints('split') : site.constant(1)?.numbers();
  const sizes = isListed ? listed && [...listed] : equalParts(extent, node.outputs.length, opset);
  const isWhole = sizes?.length === node.outputs.length && sizes.reduce((sum, size) => sum + size, 0) === extent;
  return isWhole ? { input, sizes, isListed } : undefined;
}

/** From opset 18 on the last part may be smaller. Undefined where there are no such parts. */
function equalParts(extent: number, count: number, opset: number): number[] | undefined {
  const size = Math.ceil(extent / count);
  const last = extent - size * (count - 1);
  if (last < 1 || (opset < 18 && last !== size)) return undefined;
  return Array.from({ length: count }, (_, at) => (at < count - 1 ? size : last));
}

/** Each output owns a range of the input's axis. */
function splitAxes(site: Site): Relation | undefined {
  const parts = partsOf(site);
  const dims = site.inDims(0);
  if (parts === undefined || dims === undefined) return undefined;
  const { input, sizes } = parts;
  let start = 0;
  const links = sizes.flatMap((size, index) => {
    const part = range(start, 0, size);
    start += size;
    return dims.map((_, axis) => link({ index: 0, axis }, { index, axis }, axis === input.axis ? part : undefined));
  });
  return { kind: 'pointwise', links, constant: unchanged };
}

/** Sizes are written down where the parts are not equal any more. */
function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const parts = partsOf(site);
  const indices = parts === undefined ? undefined : kept.input(parts.input);
  if (parts === undefined || indices === undefined) return [];
  const { node, opset } = site;
  let start = 0;
  const sizes = parts.sizes.map((size) => {
    const end = (start += size);
    return indices.filter((index) => index >= end - size && index < end).length;
  });
  const equal = parts.isListed ? undefined : equalParts(indices.length, sizes.length, opset);
  if (equal?.join() === sizes.join()) return [];
  if (opset < 13) return [{ attribute: 'split', value: { kind: 'ints', value: sizes } }];
  const list: Adjustment = { input: 1, tensor: Tensor.fromNumbers(INT64, [sizes.length], sizes) };
  // Sizes and their number exclude each other.
  return node.attributes.has('num_outputs') ? [list, { attribute: 'num_outputs', value: undefined }] : [list];
}

/** Of sizes that are written down, and of equal parts of an extent that is a number. */
function partExtents({ node, opset, extents, elements }: ShapeSite, output: number): Elements | undefined {
  const own = extents(0);
  if (own === undefined) return undefined;
  const axis = normalAxis(node.int('axis', 0), own.length);
  const whole = own[axis];
  const isListed = node.attributes.has('split') || node.inputs[1] !== undefined;
  const equal = typeof whole === 'number' ? equalParts(whole, node.outputs.length, opset) : undefined;
  const sizes = isListed ? (node.ints('split') ?? elements(1)) : equal;
  return sizes === undefined ? undefined : own.map((extent, at) => (at === axis ? sizes[output] : extent));
}

export const splits: readonly Operator[] = [{ type: 'Split', axes: splitAxes, adjust, partExtents, movesData: true }];
