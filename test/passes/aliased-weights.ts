/** Models whose weights are read under several names, compiled, and what is stored then. */
import { expect } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { FLOAT, INT64 } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';
import { showBoth } from '../support/show-graph.js';

const DEAD = [1, 4];

/** A matrix whose columns (or rows) of the numbers in DEAD are zero. */
export function matrix(
  name: string,
  [rows, columns]: readonly [number, number],
  dead: 'rows' | 'columns' | 'none' = 'none',
) {
  const data = normals(7, name, rows * columns).map((value, at) => {
    const index = dead === 'rows' ? Math.floor(at / columns) : at % columns;
    return dead !== 'none' && DEAD.includes(index) ? 0 : value;
  });
  return { data, dims: [rows, columns] };
}

export function store(
  g: GraphBuilder,
  name: string,
  { data, dims }: ReturnType<typeof matrix>,
  dataType = FLOAT,
): string {
  return g.initializer(name, dims, data, dataType);
}

export const matMul = (g: GraphBuilder, x: string, w: string) => g.op('MatMul', [x, w]);

interface Compiled {
  /** Dims of every stored floating-point tensor. */
  readonly stored: readonly string[];
  readonly operators: readonly string[];
  readonly bytes: Uint8Array;
  /** The graph before and after, as text. */
  readonly picture: string;
  readonly before: number;
  readonly after: number;
}

export async function compile(g: GraphBuilder): Promise<Compiled> {
  const bytes = g.bytes();
  const { report, ...compiled } = await compileModel(bytes, { align: 1 });
  const written = compiled.encode();
  expect(await verifyModels(bytes, written)).toMatchObject({ equal: true });
  const { graph } = readModel(written);
  const stored = [...graph.initializers()].filter(({ initializer: { dataType } }) => dataType !== INT64);
  return {
    stored: stored.map(({ initializer: { dims } }) => dims.join('x')).toSorted(),
    operators: graph.nodes.map(({ opType }) => opType),
    bytes: written,
    picture: await showBoth(bytes, written),
    before: report.before.parameters,
    after: report.after.parameters,
  };
}

/**
 * Two branches of two layers each: the second layers read what `alias` makes of the first's
 * weights.
 */
export function twoBranches(
  alias: (g: GraphBuilder, w: string) => string,
  { dataType = FLOAT, end = (g: GraphBuilder, hidden: string, w: string): string => matMul(g, hidden, w) } = {},
): GraphBuilder {
  const g = graphBuilder();
  const [w, v] = [
    store(g, 'w', matrix('w', [5, 8], 'columns'), dataType),
    store(g, 'v', matrix('v', [8, 3]), dataType),
  ];
  const first = alias(g, w);
  const reads = [alias(g, v), alias(g, v)];
  const ends = [first, alias(g, w)].map((weights, at) => {
    const hidden = g.relu(matMul(g, g.input(`x${at}`, [2, 5]), weights));
    return at === 0 ? matMul(g, hidden, reads[0] ?? '') : end(g, hidden, reads[1] ?? '');
  });
  for (const value of ends) g.output(value);
  return g;
}

export const identity = (g: GraphBuilder, w: string) => g.op('Identity', [w]);
