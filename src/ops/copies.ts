/**
 * Operators whose result is their operand, maybe in another type: Identity, Cast, CastLike,
 * Dropout.
 */
import { type Relation, unchanged } from './axes.js';
import { asked, broadcast } from './broadcast.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';
import { INT64, isShapeInteger } from '../ir/tensor.js';

/** Dropout and its training switch: identity unless training_mode (opset 12) may be true. */
function dropout(site: Site): Relation | undefined {
  const mode = site.node.inputs[2] === undefined ? 0 : site.constant(2)?.numbers()[0];
  if (mode !== 0 || site.node.outputs[1] !== undefined) return undefined;
  return broadcast(site, 1, unchanged);
}

export const copies: readonly Operator[] = [
  {
    type: 'Identity',
    axes: (site) => broadcast(site, 1, unchanged),
    shapeElements: ({ elements }) => elements(0),
    resultExtents: ({ extents }) => extents(0),
    alias: 'same',
    isCopy: true,
    keepsZeros: 'first',
  },
  {
    type: 'Cast',
    axes: (site) => asked(broadcast(site, 1)),
    shapeElements: ({ node, elements }) => (isShapeInteger(node.int('to', INT64)) ? elements(0) : undefined),
    resultExtents: ({ extents }) => extents(0),
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
