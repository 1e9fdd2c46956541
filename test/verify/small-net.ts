/**
 * A small network whose parameters can be edited one by one: Conv, Relu, Conv (padded), pooling,
 * Gemm.
 */
import { type Dim, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';

export interface Parameters {
  /** [8, 3, 3, 3] and [8] */
  readonly w1: Float32Array;
  readonly b1: Float32Array;
  /** [6, 8, 3, 3] and [6] */
  readonly w2: Float32Array;
  readonly b2: Float32Array;
  /** [5, 6] and [5] */
  readonly w3: Float32Array;
  readonly b3: Float32Array;
}

export const WIDTHS = { image: 3, first: 8, second: 6, classes: 5 } as const;
const TAPS = 9;

export function parameters(): Parameters {
  const { image, first, second, classes } = WIDTHS;
  const weights = (name: string, out: number, perOutput: number) =>
    normals(3, name, out * perOutput, 1 / Math.sqrt(perOutput));
  return {
    w1: weights('w1', first, image * TAPS),
    b1: normals(3, 'b1', first, 0.1),
    w2: weights('w2', second, first * TAPS),
    b2: normals(3, 'b2', second, 0.1),
    w3: weights('w3', classes, second),
    b3: normals(3, 'b3', classes, 0.1),
  };
}

export interface NetOptions {
  readonly dims?: readonly Dim[];
  readonly pads?: number;
}

/**
 * Channel counts follow from the lengths of the biases, so that a narrower network is written the
 * same way.
 */
export function smallNet({ w1, b1, w2, b2, w3, b3 }: Parameters, options: NetOptions = {}): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', options.dims ?? ['batch', WIDTHS.image, 8, 8]);
  const literal = (data: Float32Array, dims: readonly number[]) => ({ data, dims });
  const first = g.relu(
    g.conv(x, literal(w1, [b1.length, WIDTHS.image, 3, 3]), { pads: 1, bias: literal(b1, [b1.length]) }),
  );
  const second = g.conv(first, literal(w2, [b2.length, b1.length, 3, 3]), {
    pads: options.pads ?? 1,
    bias: literal(b2, [b2.length]),
  });
  const pooled = g.flatten(g.globalAveragePool(g.relu(second)));
  g.output(g.gemm(pooled, literal(w3, [b3.length, b2.length]), { bias: literal(b3, [b3.length]) }));
  return g.bytes();
}

/** A copy of `values` with `edit` done to it. */
export function edited(values: Float32Array, edit: (copy: Float32Array) => void): Float32Array {
  const copy = values.slice();
  edit(copy);
  return copy;
}

/** The slices `kept` of axis `axis`, in that order. */
export function taken(
  values: Float32Array,
  dims: readonly number[],
  axis: number,
  kept: readonly number[],
): Float32Array {
  const extent = dims[axis] ?? 1;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = values.length / (extent * inner);
  const result = new Float32Array(outer * kept.length * inner);
  for (let row = 0; row < outer; row++) {
    for (const [to, from] of kept.entries()) {
      const start = (row * extent + from) * inner;
      result.set(values.subarray(start, start + inner), (row * kept.length + to) * inner);
    }
  }
  return result;
}
