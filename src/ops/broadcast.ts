/**
 * NumPy broadcasting: each element is computed from the elements at the same place of every
 * operand.
 */
import { type Known, type Link, link, type Relation } from './axes.js';
import type { Site } from './site.js';

/**
 * Links each operand axis with the output axis it is aligned to. An operand axis of extent 1 that
 * is stretched is not linked. One of unknown extent is: it has no positions, which pins the other
 * side, whatever else is linked to that.
 */
export function broadcast(
  site: Site,
  operands: number,
  constant?: (operands: readonly Known[]) => number | undefined,
): Relation | undefined {
  const out = site.outDims(0);
  if (out === undefined) return undefined;
  const links: Link[] = [];
  for (let index = 0; index < operands; index++) {
    if (site.node.inputs[index] === undefined) continue;
    const dims = site.inDims(index) ?? site.constant(index)?.dims;
    if (dims === undefined || dims.length > out.length) return undefined;
    for (const [axis, dim] of dims.entries()) {
      const outAxis = out.length - dims.length + axis;
      if (operands === 1 || typeof dim !== 'number' || dim === out[outAxis])
        links.push(link({ index, axis }, { index: 0, axis: outAxis }));
    }
  }
  return constant === undefined
    ? { kind: 'pointwise', links }
    : { kind: 'pointwise', links, constant, samePlace: true };
}
