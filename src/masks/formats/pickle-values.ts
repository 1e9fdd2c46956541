/**
 * What a pickle can hold here: containers, scalars, and things that the reader's own table made.
 */
import { type Entry, FileTensor } from '../contents.js';
import { damaged, notMasks, overLimit } from './refuse.js';

export type Value = null | boolean | number | bigint | string | Uint8Array | List | Tuple | Dict | Callable | Opaque;

/** A list or a set. */
export class List {
  readonly items: Value[] = [];
}

export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** Keys are texts: masks are asked for by name. A pickle of a dict never has a key twice. */
export class Dict {
  readonly entries = new Map<string, Value>();
}

/**
 * A name of the reader's table. Calling it runs the reader's own function, never anything from the
 * file.
 */
export class Callable {
  readonly name: string;
  readonly call: (args: readonly Value[]) => Value;

  constructor(name: string, call: (args: readonly Value[]) => Value) {
    this.name = name;
    this.call = call;
  }
}

/** Something that only the reader understands: a storage, a tensor, a dtype. */
export class Opaque {
  content: object;
  /** What BUILD makes of it; absent: it takes no state. */
  readonly setState: ((state: Value) => object) | undefined;

  constructor(content: object, setState?: (state: Value) => object) {
    this.content = content;
    this.setState = setState;
  }
}

/**
 * Optimizers number their parameters and some masks are kept by (layer, index): both become text,
 * as Python prints them.
 */
export function keyText(key: Value, path: string): string {
  if (key instanceof Tuple) return `(${key.items.map((item) => scalarText(item, path)).join(', ')})`;
  return scalarText(key, path);
}

function scalarText(key: Value, path: string): string {
  if (typeof key === 'string') return key;
  if (typeof key === 'number' || typeof key === 'bigint') return String(key);
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  if (key === null) return 'None';
  if (key instanceof Callable) return key.name;
  throw notMasks(path, 'a dictionary in it has keys that are not texts or numbers', 'name masks by their modules');
}

/**
 * Checkpoints nest a handful of dicts (state, optimizer, groups, lists); every walk may then
 * recurse.
 */
const MOST_DEPTH = 64;
/**
 * Entries of the tree when shared containers are written out each time: a checkpoint of 10^4
 * tensors has some 10^5 with its optimizer; whoever walks the tree needs no guard of its own.
 */
const MOST_ENTRIES = 1_000_000;

interface Unfolded {
  readonly entry: Entry;
  readonly entries: number;
  readonly height: number;
}

/**
 * A finite tree: containers that hold themselves are refused, and sharing cannot make it larger
 * than MOST_ENTRIES.
 */
export function toEntry(value: Value, path: string): Entry {
  return new Unfolding(path).unfold(value, 0).entry;
}

class Unfolding {
  readonly #path: string;
  readonly #known = new Map<object, Unfolded>();
  readonly #open = new Set<object>();

  constructor(path: string) {
    this.#path = path;
  }

  unfold(value: Value, depth: number): Unfolded {
    if (value === null || typeof value !== 'object') return leaf(value);
    if (value instanceof Uint8Array) return leaf(value);
    if (value instanceof Callable) return leaf(value.name);
    if (value instanceof Opaque) return leaf(value.content instanceof FileTensor ? value.content : null);
    if (this.#open.has(value))
      throw notMasks(this.#path, 'a container in it contains itself', 'save a plain dictionary of tensors');
    const known = this.#known.get(value);
    if (depth + (known?.height ?? 0) > MOST_DEPTH)
      throw overLimit(this.#path, `it nests deeper than ${MOST_DEPTH} levels`);
    if (known !== undefined) return known;
    this.#open.add(value);
    const unfolded = this.#container(value, depth);
    this.#open.delete(value);
    if (unfolded.entries > MOST_ENTRIES) throw overLimit(this.#path, `it unfolds to more than ${MOST_ENTRIES} entries`);
    this.#known.set(value, unfolded);
    return unfolded;
  }

  #container(value: List | Tuple | Dict, depth: number): Unfolded {
    const size = { entries: 1, height: 0 };
    const inner = (item: Value): Entry => {
      const { entry, entries, height } = this.unfold(item, depth + 1);
      size.entries += entries;
      size.height = Math.max(size.height, height + 1);
      return entry;
    };
    const entry =
      value instanceof Dict
        ? new Map([...value.entries].map(([key, item]) => [key, inner(item)] as const))
        : value.items.map(inner);
    return { entry, ...size };
  }
}

function leaf(entry: Entry): Unfolded {
  return { entry, entries: 1, height: 0 };
}

export function setItem(dict: Dict, key: Value, value: Value, path: string): void {
  const text = keyText(key, path);
  if (dict.entries.has(text)) throw damaged(path, `a dictionary in it has the key ${text.slice(0, 100)} twice`);
  dict.entries.set(text, value);
}
