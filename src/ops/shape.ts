/** Readers of extents, Shape and Size, and operators that only shapes are computed with. */
import { normalAxis, type Relation } from './axes.js';
import type { Operator } from './operator.js';
import { productOf } from './extents.js';
import type { Elements, ShapeSite, Site } from './site.js';
import { isShapeInteger } from '../ir/tensor.js';

/** Shape-1, -13, -15 (start): whoever reads an extent fixes it. */
function shapeAxes(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  return rank === undefined ? undefined : { kind: 'extents', start: normalAxis(site.node.int('start', 0), rank) };
}

function shapeElements({ node, extents }: ShapeSite): Elements | undefined {
  const dims = extents(0);
  if (dims === undefined) return undefined;
  const start = normalAxis(node.int('start', 0), dims.length);
  const end = node.attributes.has('end') ? normalAxis(node.int('end', 0), dims.length) : dims.length;
  return dims.slice(start, end);
}

/** ConstantOfShape-9 of a short list: the value is a float 0 where none is given. */
function filled({ node, elements }: ShapeSite): Elements | undefined {
  const [length] = elements(0) ?? [];
  const value = node.attributes.get('value');
  if (typeof length !== 'number' || value?.kind !== 'tensor' || !isShapeInteger(value.value.dataType)) return undefined;
  const [fill] = value.value.numbers();
  return elements(0)?.length === 1 ? Array.from({ length }, () => fill) : undefined;
}

/** Range-11 of integers, from 0 on in steps of 1: as many as its limit says, which is an extent. */
function countedExtents({ elements }: ShapeSite): Elements | undefined {
  const [[start], [limit], [delta]] = [elements(0) ?? [], elements(1) ?? [], elements(2) ?? []];
  if (start !== 0 || delta !== 1 || limit === undefined) return undefined;
  return typeof limit === 'number' && limit < 0 ? undefined : [limit];
}

export const extentReaders: readonly Operator[] = [
  { type: 'Shape', axes: shapeAxes, shapeElements, ignoresElementsOf: [0] },
  {
    type: 'Size',
    shapeElements: ({ extents }) => {
      const dims = extents(0);
      return dims === undefined ? undefined : [productOf(dims)];
    },
    ignoresElementsOf: [0],
  },
  { type: 'ConstantOfShape', shapeElements: filled, resultExtents: ({ elements }) => elements(0) },
  { type: 'Trilu', resultExtents: ({ extents }) => extents(0) },
  { type: 'Range', resultExtents: countedExtents },
];
