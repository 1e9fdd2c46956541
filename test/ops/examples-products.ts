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

const einsum =
  (equation: string, ...others: readonly TensorLiteral[]): Apply =>
  (g, x) =>
    g.op('Einsum', [x, ...others], { equation });
const einsums: readonly Apply[] = [
  einsum('nchw,cd->ndhw', matrix(CHANNELS, 3)),
  einsum('nchw, dc -> nhwd', matrix(3, CHANNELS)),
  einsum('nchw,cde->nhdew', matrix(CHANNELS, 2, 3)),
  einsum('nchw,c->nchw', matrix(CHANNELS)),
  einsum('nchw->hcn'),
  einsum('nchw,i->cin', matrix(3)),
  (g, x) => g.op('Einsum', [matrix(3, CHANNELS), x], { equation: 'dc,nchw->ndhw' }),
  (g, x) => g.op('Einsum', [x, g.op('Sigmoid', [x])], { equation: 'nchw,nkhw->nck' }),
  (g, x) => g.op('Einsum', [x, g.op('Neg', [x]), x], { equation: 'nchw,nchv,ncuw->ncuv' }),
];

export const PRODUCTS: Readonly<Record<string, readonly Apply[]>> = {
  MatMul: matMuls,
  'MatMul@7': matMuls,
  'MatMul@9': matMuls,
  Einsum: einsums,
  'Einsum@12': einsums,
  FusedMatMul: [
    (g, x) => g.op('FusedMatMul', [asColumns(g, x), matrix(CHANNELS, 3)], { alpha: 0.5 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [asColumns(g, x), matrix(3, CHANNELS)], { transB: 1, alpha: 2 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [asRows(g, x), matrix(CHANNELS, 3)], { transA: 1, alpha: 2 }, MICROSOFT),
    (g, x) => g.op('FusedMatMul', [matrix(3, CHANNELS), asRows(g, x)], { alpha: 0.5 }, MICROSOFT),
    (g, x) =>
      g.op('FusedMatMul', [matrix(CHANNELS, 3), asColumns(g, x)], { transA: 1, transB: 1, alpha: 3 }, MICROSOFT),
  ],
};
