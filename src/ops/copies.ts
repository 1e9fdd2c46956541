/**
 * Operators whose result is their operand, maybe in another type: Identity, Cast, CastLike,
 * Dropout.
 */
import { type Relation, unchanged } from './axes.js';
import { asked, broadcast } from './broadcast.js';
import { sameExtents } from './extents.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';
import { INT64, isShapeInteger } from '../ir/tensor.js';

/**
 * Dropout-7, -10, -12, -13, -22: identity unless training_mode (from opset 12 on) may be true. Old
 * exporters name the mask as well; where nobody reads it, its extents are nobody's business.
 */
function dropout(site: Site): Relation | undefined {
  const { node } = site;
  const mode = node.inputs[2] === undefined ? 0 : site.constant(2)?.numbers()[0];
  const [, mask] = node.outputs;
  if (mode !== 0 || (mask !== undefined && (mask.uses.length > 0 || mask.isSeenOutside))) return undefined;
  return broadcast(site, 1, unchanged);
}

export const copies: readonly Operator[] = [
  {
    type: 'Identity',
    axes: (site) => broadcast(site, 1, unchanged),
    shapeElements: ({ elements }) => elements(0),
    resultExtents: sameExtents,
    alias: 'same',
    isCopy: true,
    keepsZeros: 'first',
  },
  {
    type: 'Cast',
    axes: (site) => asked(broadcast(site, 1)),
    shapeElements: ({ node, elements }) => (isShapeInteger(node.int('to', INT64)) ? elements(0) : undefined),
    resultExtents: sameExtents,
    alias: 'same',
    keepsZeros: 'first',
  },
  {
    type: 'CastLike',
    axes: (site) => asked(broadcast(site, 1)),
    alias: 'same',
    keepsZeros: 'first',
    typeOperand: 1,
    ignoresElementsOf: [1],
  },
  { type: 'Dropout', axes: dropout, notFolded: 'random' },
];
