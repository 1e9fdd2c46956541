/**
 * Einsum in small networks: eight hidden units, of which four are zero or their bias. Compiled, the
 * network gives the same outputs, and has as many hidden units as the equation lets stay.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type TensorLiteral } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

const [HIDDEN, WIDTH] = [8, 6];

/** A tensor of which every other index of `axis` is zero. */
function pruned(axis: number, ...dims: readonly number[]): TensorLiteral {
  const inner = dims.slice(axis + 1).reduce((total, extent) => total * extent, 1);
  const count = dims.reduce((total, extent) => total * extent, 1);
  const data = normals(3, 'pruned', count, 0.5).map((value, at) =>
    (Math.floor(at / inner) % (dims[axis] ?? 1)) % 2 === 0 ? 0 : value,
  );
  return { data, dims };
}

const full = (...dims: readonly number[]): TensorLiteral => ({
  data: normals(
    4,
    `full ${dims.join()}`,
    dims.reduce((total, extent) => total * extent, 1),
    0.5,
  ),
  dims,
});

type Network = (g: GraphBuilder, x: string) => string;
type Operand = string | TensorLiteral;
const einsum = (g: GraphBuilder, equation: string, ...operands: readonly Operand[]) =>
  g.op('Einsum', operands, { equation });
const hidden: Network = (g, x) => g.add(g.op('MatMul', [x, pruned(1, WIDTH, HIDDEN)]), full(HIDDEN));
const zeros: Network = (g, x) => g.op('MatMul', [x, pruned(1, WIDTH, HIDDEN)]);

/** x is [2, WIDTH, WIDTH]. */
const NETWORKS: readonly (readonly [name: string, kept: number, network: Network])[] = [
  ['bnd,de->bne', 4, (g, x) => einsum(g, 'bnd,de->bne', hidden(g, x), full(HIDDEN, 3))],
  ['bnd,ed->bne', 4, (g, x) => einsum(g, 'bnd , ed -> bne', hidden(g, x), full(3, HIDDEN))],
  ['ed,bnd->bne, the matrix on the left', 4, (g, x) => einsum(g, 'ed,bnd->bne', full(3, HIDDEN), hidden(g, x))],
  ['abc,cd->adb, another order', 4, (g, x) => einsum(g, 'abc,cd->adb', hidden(g, x), full(HIDDEN, 3))],
  [
    'two layers, constants between them',
    4,
    (g, x) => {
      const made = g.add(einsum(g, 'abc,cd->abd', x, pruned(1, WIDTH, HIDDEN)), full(HIDDEN));
      return einsum(g, 'abd,de->abe', g.relu(made), full(HIDDEN, 3));
    },
  ],
  [
    'channels in the middle',
    4,
    (g, x) => {
      const made = einsum(g, 'nct,cd->ndt', x, pruned(1, WIDTH, HIDDEN));
      return einsum(g, 'ndt,de->net', g.add(made, { ...full(HIDDEN), dims: [HIDDEN, 1] }), full(HIDDEN, 3));
    },
  ],
  [
    'bij,bjk->bik, two activations',
    4,
    (g, x) => einsum(g, 'bij,bjk->bik', zeros(g, x), g.transpose(hidden(g, g.relu(x)), [0, 2, 1])),
  ],
  [
    'nkctv,kvw->nctw, places of a graph',
    4,
    (g, x) => {
      const turned = g.unsqueeze(g.unsqueeze(g.transpose(zeros(g, x), [0, 2, 1]), [1]), [3]);
      const y = einsum(g, 'nkctv,kvw->nctw', turned, full(1, WIDTH, 5));
      return einsum(g, 'nctw,cd->ndtw', y, full(HIDDEN, 3));
    },
  ],
  [
    'abc,cde->abde and abde,def->abf, heads in the weights',
    4,
    (g, x) => {
      const made = einsum(g, 'abc,cde->abde', x, pruned(2, WIDTH, 2, HIDDEN));
      return einsum(g, 'abde,def->abf', g.relu(made), full(2, HIDDEN, 3));
    },
  ],
  [
    'bnd,d->bnd, a factor',
    4,
    (g, x) => g.op('MatMul', [einsum(g, 'bnd,d->bnd', zeros(g, x), full(HIDDEN)), full(HIDDEN, 3)]),
  ],
  ['three operands', 4, (g, x) => einsum(g, 'bnd,de,ef->bnf', zeros(g, x), full(HIDDEN, 4), full(4, 3))],
  // Not followed.
  ['an ellipsis', 8, (g, x) => einsum(g, '...d,de->...e', hidden(g, x), full(HIDDEN, 3))],
  ['a result by rules', 8, (g, x) => einsum(g, 'bnd,de', hidden(g, x), full(HIDDEN, 3))],
  [
    'a trace',
    8,
    (g, x) => {
      const square = g.op('MatMul', [g.transpose(hidden(g, x), [0, 2, 1]), full(WIDTH, HIDDEN)]);
      return einsum(g, 'bii->bi', square);
    },
  ],
  ['a sum of one operand', 8, (g, x) => einsum(g, 'bnd->bn', hidden(g, x))],
  [
    'values that are their bias, with an activation',
    8,
    (g, x) => einsum(g, 'bnd,bmd->bnm', hidden(g, x), hidden(g, x)),
  ],
];

describe('Einsum', () => {
  test.each(NETWORKS)('%s: %i units stay', async (_, kept, network) => {
    const g = graphBuilder();
    g.output(network(g, g.input('x', ['batch', WIDTH, WIDTH])));
    const bytes = g.bytes();
    const compiled = await compileModel(bytes, { align: 1 });
    const output = compiled.encode();
    expect(await verifyModels(bytes, output, { seeds: [1, 2] })).toMatchObject({ equal: true });
    const [first] = readModel(output).graph.nodes;
    expect(first?.inputs[1]?.initializer?.dims.at(-1)).toBe(kept);
    expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
  });

  test('its matrix is a layer: filters and multiply-accumulates count', async () => {
    const g = graphBuilder();
    g.output(einsum(g, 'bnd,ed->bne', g.input('x', [2, 5, WIDTH]), pruned(0, HIDDEN, WIDTH)));
    const { report } = await compileModel(g.bytes(), { align: 1 });
    expect(report.layers).toMatchObject([{ outputChannels: HIDDEN }]);
    expect(report.before.macs).toBe(2 * 5 * WIDTH * HIDDEN);
  });
});
