/**
 * NumPy broadcasting: each element is computed from the elements at the same place of every
 * operand.
 */
import { type Known, type Link, link, type Pointwise } from './axes.js';
import { broadcastShapes } from './extents.js';
import type { Elements, ShapeSite, Site } from './site.js';

/**
 * Links each operand axis with the output axis it is aligned to. An operand axis of extent 1 that
 * is stretched is not linked. One of unknown extent is: it has no positions, which pins the other
 * side, whatever else is linked to that. `operands`: the first so many inputs, or those of a list.
 */
export function broadcast(
  site: Site,
  operands: number | readonly number[],
  constant?: (operands: readonly Known[]) => number | undefined,
): Pointwise | undefined {
  const out = site.outDims(0);
  if (out === undefined) return undefined;
  const links: Link[] = [];
  const all = typeof operands === 'number' ? Array.from({ length: operands }, (_, index) => index) : operands;
  for (const index of all) {
    if (site.node.inputs[index] === undefined) continue;
    const dims = site.inDims(index) ?? site.constant(index)?.dims;
    if (dims === undefined || dims.length > out.length) return undefined;
    for (const [axis, dim] of dims.entries()) {
      const outAxis = out.length - dims.length + axis;
      if (all.length === 1 || typeof dim !== 'number' || dim === out[outAxis])
        links.push(link({ index, axis }, { index: 0, axis: outAxis }));
    }
  }
  return { kind: 'pointwise', links, samePlace: true, ...(constant !== undefined && { constant }) };
}

/**
 * With the node's own word for its scalar function: ONNX Runtime runs it where all operands are
 * known.
 */
export function asked(
  relation: Pointwise | undefined,
  more: Pick<Pointwise, 'constant' | 'jumps'> = {},
): Pointwise | undefined {
  return relation && { ...relation, ...more, isAsked: true };
}

/** The extents of the result, of which any operand may be the one that is stretched. */
export function broadcastExtents({ node, extents }: ShapeSite): Elements | undefined {
  const known = node.inputs.map((_, index) => extents(index));
  if (known.includes(undefined)) return undefined;
  return broadcastShapes(known.filter((dims) => dims !== undefined));
}
