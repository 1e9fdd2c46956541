/** Two convolutions of which the first has filters without weights. */
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';

/** [rows, columns, k, k] of normal numbers, with whole filters and input columns zeroed. */
export function weights(
  name: string,
  [rows, columns, k]: readonly [number, number, number],
  zero: { filters?: readonly number[]; columns?: readonly number[] } = {},
) {
  const data = normals(5, name, rows * columns * k * k);
  const size = k * k;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (zero.filters?.includes(row) === true || zero.columns?.includes(column) === true)
        data.fill(0, (row * columns + column) * size, (row * columns + column + 1) * size);
    }
  }
  return { data, dims: [rows, columns, k, k] };
}

interface Pair {
  /** Filters without weights. */
  dead?: readonly number[];
  /** Of the reader. */
  pads?: number;
}

/**
 * x [1, 2, 5, 5] -> 4 filters of which 1 and 3 are zero with the bias given -> Relu -> 3x3 with
 * padding -> y.
 */
export function deadPair(
  bias: readonly number[],
  { dead = [1, 3], pads = 1 }: Pair = {},
  build?: (g: GraphBuilder, hidden: string) => void,
): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 2, 5, 5]);
  const hidden = g.relu(g.conv(x, weights('w1', [4, 2, 1], { filters: dead }), { bias }));
  g.output(g.conv(hidden, weights('w2', [3, 4, 3]), { pads, name: 'reader' }));
  build?.(g, hidden);
  return g.bytes();
}
