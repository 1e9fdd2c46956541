/**
 * Whole numbers for the inputs of all cases: the rows of a table come in another order, and none
 * comes again before all have come.
 */
import type { Tensor } from 'onnxruntime-node';
import type { TensorInput } from '../runtime/input-shapes.js';
import { ownOf } from '../names.js';
import type { Draw } from '../runtime/inputs.js';
import type { Feeds } from '../runtime/feeds.js';
import { Random } from '../runtime/random.js';
import type { IndexRange } from './index-inputs.js';

/** What types hold that are narrower than 32 bits. */
const LIMITS: ReadonlyMap<Tensor.Type, readonly [low: number, high: number]> = new Map([
  ['int8', [-128, 127]],
  ['uint8', [0, 255]],
  ['int16', [-(2 ** 15), 2 ** 15 - 1]],
  ['uint16', [0, 2 ** 16 - 1]],
  ['int32', [-(2 ** 31), 2 ** 31 - 1]],
  ['uint32', [0, 2 ** 32 - 1]],
  ['int64', [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
  ['uint64', [0, Number.MAX_SAFE_INTEGER]],
]);

/** Larger tables are not shuffled: too few of their rows are read for one to come twice. */
const MOST_SHUFFLED = 2 ** 20;

export class Draws {
  readonly of: ReadonlyMap<string, Draw>;
  readonly #read = new Map<string, Set<number>>();
  readonly #ranges = new Map<string, IndexRange>();

  /** Without `ranges` no input has values of its own. */
  constructor(inputs: readonly TensorInput[], ranges: ReadonlyMap<string, IndexRange> | undefined, seed: number) {
    const draws = new Map<string, Draw>();
    this.of = draws;
    if (ranges === undefined) return;
    for (const { name, type, shape } of inputs) {
      const range = ranges.get(name);
      const [least, most] = LIMITS.get(type) ?? [0, 0];
      const random = new Random(seed, `whole ${name}`);
      if (range !== undefined) {
        const [low, high] = [Math.max(least, range.low), Math.min(most, range.high)];
        if (low > high) continue;
        this.#ranges.set(name, { ...range, low, high });
        this.#read.set(name, new Set());
        draws.set(name, rowsInTurn(random, low, high));
      } else if (isImage(type, shape)) draws.set(name, () => least + random.below(most - least + 1));
    }
  }

  /** Counts the rows that a case reads. */
  count(feeds: Feeds): void {
    for (const [name, read] of this.#read)
      for (const value of ownOf(feeds, name)?.data ?? []) if (typeof value !== 'string') read.add(Number(value));
  }

  /** How many values of any table's index have not come yet. */
  get missing(): number {
    const counts = [...this.#ranges].map(([name, { low, high }]) => high - low + 1 - (this.#read.get(name)?.size ?? 0));
    return Math.max(0, ...counts);
  }

  /** Of inputs that are indices. */
  get names(): readonly string[] {
    return [...this.#ranges.keys()];
  }

  /** What a value of this input may be; undefined where nothing says. */
  rangeOf(name: string): readonly [low: number, high: number] | undefined {
    const range = this.#ranges.get(name);
    return range && [range.low, range.high];
  }

  /** Of each table how many rows were read, those with all their rows left out. */
  *partlyRead(): Generator<{ input: string; table: string; read: number; rows: number }> {
    for (const [input, { tables }] of this.#ranges) {
      const read = this.#read.get(input)?.size ?? 0;
      for (const { name, rows } of tables) if (read < rows) yield { input, table: name, read, rows };
    }
  }
}

/** Bytes of images and their like: pixels, of which 0 and 1 are all but one colour. */
function isImage(type: Tensor.Type, shape: readonly unknown[]): boolean {
  return (type === 'uint8' || type === 'int8') && shape.length > 2;
}

/** Both ends first, for whoever counts wrongly by one. */
function rowsInTurn(random: Random, low: number, high: number): Draw {
  const count = high - low + 1;
  if (count > MOST_SHUFFLED) return () => low + random.below(count);
  const all = Array.from({ length: count }, (_, at) => low + at);
  let turn: number[] = [];
  let at = 0;
  return () => {
    if (at === turn.length) {
      turn = at === 0 ? endsFirst(random.shuffled(all), low, high) : random.shuffled(all);
      at = 0;
    }
    return turn[at++] ?? low;
  };
}

function endsFirst(numbers: readonly number[], low: number, high: number): number[] {
  return [...new Set([high, low, ...numbers])];
}
