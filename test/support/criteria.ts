/**
 * What pruning libraries prune, computed from the weights again: a second opinion on the masks that
 * they saved.
 */
import type { RawNetwork } from './raw-network.js';

/** Sizes of slices along an axis of a kernel, as torch.nn.utils.prune and NNI rank them. */
export type Norm = 'l1' | 'l2' | 'fpgm';

/** The elements of filter (axis 0) or input channel (axis 1) number `index`. */
function slice(values: Float32Array, dims: readonly number[], axis: 0 | 1, index: number): number[] {
  const [filters = 1, channels = 1] = dims;
  const kernel = values.length / (filters * channels);
  const firsts = axis === 0 ? channels : filters;
  return Array.from({ length: firsts }, (_, other) =>
    axis === 0 ? index * channels + other : other * channels + index,
  )
    .map((place) => place * kernel)
    .flatMap((from) => [...values.subarray(from, from + kernel)]);
}

function sizes(slices: readonly (readonly number[])[], norm: Norm): number[] {
  if (norm === 'l1') return slices.map((own) => own.reduce((sum, value) => sum + Math.abs(value), 0));
  if (norm === 'l2') return slices.map((own) => Math.hypot(...own));
  return slices.map((own) =>
    slices.reduce((sum, other) => sum + Math.hypot(...own.map((value, at) => value - (other[at] ?? 0))), 0),
  );
}

/** 0 for every element of the `count` smallest slices. */
export function smallestSlices(network: RawNetwork, weights: string, axis: 0 | 1, count: number, norm: Norm) {
  const values = network.floats(weights);
  const dims = network.dims(weights);
  const slices = Array.from({ length: dims[axis] ?? 0 }, (_, index) => slice(values, dims, axis, index));
  const found = sizes(slices, norm);
  const order = [...found.keys()].toSorted((a, b) => (found[a] ?? 0) - (found[b] ?? 0));
  const pruned = new Set(order.slice(0, count));
  const [filters = 1, channels = 1] = dims;
  const kernel = values.length / (filters * channels);
  return Uint8Array.from(values, (_, at) => {
    const filter = Math.floor(at / (channels * kernel));
    const channel = Math.floor(at / kernel) % channels;
    return pruned.has(axis === 0 ? filter : channel) ? 0 : 1;
  });
}

/**
 * global_unstructured(L1Unstructured): 0 for the `count` smallest elements of all weights together.
 */
export function smallestElements(
  network: RawNetwork,
  weights: readonly string[],
  count: number,
): ReadonlyMap<string, Uint8Array> {
  const all = weights.flatMap((name) => [...network.floats(name)].map((value) => Math.abs(value)));
  const threshold = all.toSorted((a, b) => a - b)[count] ?? 0;
  return new Map(
    weights.map((name) => [
      name,
      Uint8Array.from(network.floats(name), (value) => (Math.abs(value) < threshold ? 0 : 1)),
    ]),
  );
}
