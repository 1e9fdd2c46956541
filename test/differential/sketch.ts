/** A model under construction: the values made so far with their extents at both test sizes, and seeded weights. */
import { graphBuilder, type GraphBuilder, type Input } from '../../fixtures/graph-builder.js';
import { normals } from '../../fixtures/random.js';

/** Extents at the first and at the second test size; equal where the model says them as numbers. */
export interface Value {
  readonly name: string;
  readonly dims: readonly [readonly number[], readonly number[]];
}

/** Which of the first channels: bit c stands for channel c. */
export type Bits = number;

export function has(bits: Bits, index: number): boolean {
  return ((bits >> (index % 16)) & 1) === 1;
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

export function product(extents: readonly number[]): number {
  return extents.reduce((total, extent) => total * extent, 1);
}

/** How a constant gets into the graph. */
export type Holder = 'initializer' | 'constant' | 'masked' | 'shared';

/** Larger values make no test stronger, only slower. */
const MOST_ELEMENTS = 2500;

export class Sketch {
  readonly g: GraphBuilder;
  readonly values: Value[] = [];
  readonly #seed: number;
  readonly #shared = new Map<string, string>();
  #streams = 0;

  constructor(seed: number, options: Parameters<typeof graphBuilder>[0]) {
    this.#seed = seed;
    this.g = graphBuilder(options);
  }

  /** The `back`-th youngest value that fits; wraps around, so every number picks one as long as one fits. */
  pick(back: number, fits: (value: Value) => boolean = () => true): Value | undefined {
    const found = this.values.filter(fits);
    return found[found.length - 1 - (back % Math.max(1, found.length))];
  }

  image(back: number): Value | undefined {
    return this.pick(back, isImage);
  }

  push(name: string, dims: (before: readonly number[]) => readonly number[], from: Value): Value | undefined {
    return this.keep({ name, dims: [dims(from.dims[0]), dims(from.dims[1])] });
  }

  keep(value: Value): Value | undefined {
    this.values.push(value);
    return value;
  }

  /** Normal numbers of a stream that no other call uses. */
  numbers(count: number, deviation = 1): Float32Array {
    return normals(this.#seed, `s${this.#streams++}`, count, deviation);
  }

  fresh(prefix: string): string {
    return `${prefix}${this.#streams++}`;
  }

  /** `mask` is only multiplied in by the graph itself for the holder `masked`: `data` comes unmasked then. */
  weight(holder: Holder, dims: readonly number[], data: Float32Array, isDead: (index: number) => boolean): Input {
    const key = dims.join('x');
    const present = this.#shared.get(key);
    if (holder === 'shared' && present !== undefined) return present;
    const mask = data.map((_, index) => (isDead(index) ? 0 : 1));
    if (holder === 'masked') {
      const origin = this.g.initializer(this.fresh('w_orig'), dims, data);
      return this.g.op('Mul', [origin, this.g.initializer(this.fresh('mask'), dims, mask)]);
    }
    const masked = data.map((value, index) => (mask[index] === 0 ? 0 : value));
    if (holder === 'constant') return this.g.constant({ data: masked, dims });
    const name = this.g.initializer(this.fresh('w'), dims, masked);
    this.#shared.set(key, name);
    return name;
  }
}

export function isImage({ dims }: Value): boolean {
  return dims[0].length === 4;
}

export function channelsOf({ dims }: Value, axis = 1): number {
  return dims[0][axis] ?? 1;
}

export function isStatic({ dims: [first, second] }: Value, from = 0): boolean {
  return first.slice(from).every((extent, axis) => extent === second[axis + from]);
}

/** Whether both sizes have extents of at least one, and few elements. */
export function isRunnable(dims: Value['dims']): boolean {
  return dims.every((extents) => extents.every((extent) => extent >= 1) && product(extents) <= MOST_ELEMENTS);
}

export function sameDims(a: Value, b: Value): boolean {
  return [0, 1].every((at) => String(a.dims[at as 0 | 1]) === String(b.dims[at as 0 | 1]));
}
