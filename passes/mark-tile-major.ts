/**
 * mark-tile-major: says of images between sparse convolutions that all their readers take tile-major
 * ones, in which 1x1 convolutions read contiguous memory.
 *
 *   SparseConv -> a -> SparseConv 1x1      =>      the same, with y_tile_major and x_tile_major
 *
 * Exact? Bitwise: only places in memory change, and the kernel decides whether they do: emitted code
 * writes the tile-major form, the portable kernel planes. Declines when: sparse/tile-major.ts says
 * which images. Cost: a few walks over the sparse convolutions.
 *
 * One edit, after those of all sparse layers and chains.
 */
import type { Node, Value } from '../src/ir/graph.js';
import { type Pass, UNCHANGED } from './pass.js';
import { int } from './sparse/attributes.js';
import { tileMajorValues, tileOperators } from './sparse/tile-major.js';

export const markTileMajor: Pass = {
  name: 'mark-tile-major',
  summary: 'let 1x1 sparse convolutions read images tile by tile',
  exactness: 'bitwise',
  run({ editor }) {
    const operators = tileOperators(editor.graph.nodes);
    const values = tileMajorValues(operators);
    if (values.size === 0) return Promise.resolve(UNCHANGED);
    const mark = (node: Node, name: string, value: Value | undefined) => {
      if (value !== undefined && values.has(value)) editor.setAttribute(node, name, int(1));
    };
    const changed = editor.transaction(`tile-major form of ${values.size} images`, () => {
      for (const { node, x, residual, output } of operators) {
        mark(node, 'x_tile_major', x);
        mark(node, 'residual_tile_major', residual);
        mark(node, 'y_tile_major', output);
      }
    });
    return Promise.resolve({ changed, gains: false, remarks: [] });
  },
};
