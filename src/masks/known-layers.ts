/** The layers that a file and the model speak of, with what is known of their extents. */
import { isFloating } from '../ir/tensor.js';
import { type Entry, FileTensor, isMap } from './contents.js';
import { parseKey, statedModule } from './names.js';
import type { WeightSlot } from './slots.js';

/** A parameter of the model: its name, and the extents of its axes. */
export interface NamedShape {
  readonly name: string;
  readonly dims: readonly number[];
}

/** What may be counted in a layer: filters, input channels, weights. */
export class KnownLayer {
  readonly extents = new Set<number>();
  readonly #shapes = new Set<string>();
  largest = 0;
  /** Filters or input channels, whichever are more: no index of a channel is as large. */
  channels = 0;

  add(dims: readonly number[]): void {
    const size = dims.reduce((product, extent) => product * extent, 1);
    for (const extent of [...dims.slice(0, 2), size]) this.extents.add(extent);
    this.#shapes.add(dims.join());
    this.largest = Math.max(this.largest, size);
    this.channels = Math.max(this.channels, ...dims.slice(0, 2));
  }

  isShape(numbers: readonly number[]): boolean {
    return this.#shapes.has(numbers.join());
  }
}

/** A layer that a place names, and the words before and after its name. */
export interface Mention {
  readonly name: string;
  readonly layer: KnownLayer;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export class KnownLayers {
  /** By module and by parameter. */
  readonly #layers = new Map<string, KnownLayer>();
  /** Modules and parameters with a mask, or with a zero of their own. */
  readonly #pruned = new Map<string, FileTensor[]>();
  readonly #masked = new Set<string>();
  /** Filters of the file's matrices and kernels, in their order. */
  readonly #filters: number[] = [];

  constructor(root: Entry, model: readonly NamedShape[]) {
    for (const { name, dims } of model) this.#addTensor(name, dims);
    if (isMap(root)) this.#walk(root, []);
  }

  has(name: string): boolean {
    return this.#layers.has(plain(name));
  }

  /** The one of this very name. */
  get(name: string): KnownLayer | undefined {
    return this.#layers.get(plain(name));
  }

  /**
   * The one that is named by segments in a row, of the longest name. A number alone is a name where
   * `isNumbered`: lists and mappings have numbers for many reasons.
   */
  find(segments: readonly string[], isNumbered = false): Mention | undefined {
    for (let length = segments.length; length > 0; length--) {
      for (let start = 0; start + length <= segments.length; start++) {
        const name = segments.slice(start, start + length).join('.');
        const layer = this.#layers.get(name);
        if (layer === undefined || (!isNumbered && /^\d+$/.test(name))) continue;
        return { name, layer, before: segments.slice(0, start), after: segments.slice(start + length) };
      }
    }
    return undefined;
  }

  /** Whether the keys of a mapping are numbers, and each is the name of a layer. */
  isNumbered(entries: ReadonlyMap<string, Entry>): boolean {
    return [...entries.keys()].every((key) => /^\d+$/.test(key) && this.#layers.has(key));
  }

  /** Whether lists may be of filters of the first layers, the first list of the first. */
  fitInOrder(lists: readonly (readonly number[])[]): boolean {
    return lists.every((list, at) => list.every((index) => index < (this.#filters[at] ?? 0)));
  }

  /** Whether the file has a mask of it, or zeros in it. */
  isPruned(name: string): boolean {
    const key = plain(name);
    return this.#masked.has(key) || (this.#pruned.get(key) ?? []).some((tensor) => tensor.holdsZero());
  }

  /** A name counts from every container that it lies in. */
  #walk(entries: ReadonlyMap<string, Entry>, above: readonly string[]): void {
    for (const [key, inner] of entries) {
      const path = [...above, key];
      if (isMap(inner)) this.#walk(inner, path);
      if (!(inner instanceof FileTensor)) continue;
      for (let start = 0; start < path.length; start++) {
        const name = path.slice(start).join('.');
        const parsed = parseKey(name);
        if (parsed === undefined || (!parsed.isParameter && parsed.part === 'bare')) continue;
        if (parsed.part === 'mask') {
          for (const masked of [parsed.module, `${parsed.module}.${parsed.parameter}`]) this.#masked.add(masked);
        } else if (isFloating(inner.dataType)) this.#addTensor(name, inner.dims, inner);
        if (start === 0 && parsed.part !== 'mask' && inner.dims.length >= 2) this.#filters.push(inner.dims[0] ?? 0);
      }
    }
  }

  #addTensor(name: string, dims: readonly number[], tensor?: FileTensor): void {
    const parsed = parseKey(name);
    if (parsed === undefined) return;
    if (parsed.module === '') return;
    const names = parsed.isParameter ? [parsed.module, `${parsed.module}.${parsed.parameter}`] : [parsed.module];
    for (const known of names) {
      const layer = this.#layers.get(known) ?? new KnownLayer();
      layer.add(dims);
      this.#layers.set(known, layer);
      if (tensor !== undefined) this.#pruned.set(known, [...(this.#pruned.get(known) ?? []), tensor]);
    }
  }
}

/** Keys as people and tools write them: `layer1.0.conv1`, `/conv1/Conv`, `(conv1, weight)`. */
export function segmentsOf(key: string): string[] {
  return key.split(/[./(),:[\]\s]+/).filter((segment) => segment !== '');
}

function plain(name: string): string {
  return segmentsOf(name)
    .join('.')
    .replace(/^(module|_orig_mod|model)\./, '');
}

/** By the names of the stored tensors and by the modules that nodes state. */
export function namedShapes(slots: readonly WeightSlot[]): NamedShape[] {
  return slots.flatMap(({ names, nodePaths, parameter, tensor: { dims } }) =>
    [...names, ...nodePaths.map((path) => `${statedModule(path)}.${parameter}`)].map((name) => ({ name, dims })),
  );
}
