/** Matrix products: the constant on either side, behind axes of extent 1, and fused with a factor. */
import type { GraphBuilder, TensorLiteral } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';

type Apply = (g: GraphBuilder, x: string) => string;

const MICROSOFT = { domain: 'com.microsoft' };
/** As many as examples.ts has. */
const CHANNELS = 4;

const matrix = (...dims: readonly number[]): TensorLiteral => ({
  data: normals(
    7,
    'matrix',
    dims.reduce((total, extent) => total * extent, 1),
  ),
  dims,
});

/** The channels as columns, and as rows. */
const asColumns: Apply = (g, x) => g.transpose(x, [0, 2, 3, 1]);
const asRows: Apply = (g, x) => g.transpose(x, [0, 2, 1, 3]);

const matMuls: readonly Apply[] = [
  (g, x) => g.op('MatMul', [asColumns(g, x), matrix(CHANNELS, 3)]),
  (g, x) => g.op('MatMul', [asColumns(g, x), matrix(1, CHANNELS, 3)]),
  (g, x) => g.op('MatMul', [matrix(3, CHANNELS), asRows(g, x)]),
  (g, x) => g.op('MatMul', [matrix(1, 1, 3, CHANNELS), asRows(g, x)]),
  // A matrix for each of several places is no layer.
  (g, x) => g.op('MatMul', [asColumns(g, x), matrix(6, CHANNELS, 3)]),
];

export const PRODUCTS: Readonly<Record<string, readonly Apply[]>> = {
  MatMul: matMuls,
  'MatMul@7': matMuls,
  'MatMul@9': matMuls,
  FusedMatMul: [
    (g, x) => g.op('FusedMatMul', [asColumns(g, x), matrix(CHANNELS, 3)], { alpha: 0.5 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [asColumns(g, x), matrix(3, CHANNELS)], { transB: 1, alpha: 2 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [asRows(g, x), matrix(CHANNELS, 3)], { transA: 1, alpha: 2 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [matrix(3, CHANNELS), asRows(g, x)], { alpha: 0.5 }, MICROSOFT),
    (g, x) =>
      g.op('FusedMatMul', [matrix(CHANNELS, 3), asColumns(g, x)], { transA: 1, transB: 1, alpha: 3 }, MICROSOFT),
  ],
};
