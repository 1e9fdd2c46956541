/**
 * Both models on the same inputs and with the same choices: what the reference decides
 * (decisions.ts) is fed to both, so that what follows can be compared however ties are ordered.
 * What the decisions read is compared too, and with that the candidate's own decisions are those of
 * the same function on values that are equal within rounding.
 */
import { byName } from '../names.js';
import { encodeProto } from '../onnx/encode.js';
import type { ModelProto } from '../onnx/proto.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { nudgedFeeds } from '../runtime/inputs.js';
import type { Feeds } from '../runtime/feeds.js';
import type { Case } from './case.js';
import { type Outputs, sameList } from './compare.js';
import type { Pair } from './decisions.js';
import { choiceName, exposed, forced, nudged, readName } from './probe-models.js';
import { comparedSession, type Mode } from './reference.js';

export interface CloseRun {
  /** What the reference computes, reads and chooses. */
  readonly expected: Outputs;
  /** The same of the candidate, with the reference's choices. */
  readonly found: Outputs;
  /** The reference with its inputs moved, and with graph optimisations where it runs so. */
  readonly moved: Outputs;
  readonly optimised: Outputs | undefined;
}

/**
 * Pairs of which one cannot be fed the other's choices: layers in front of them have other widths,
 * for example.
 */
export class Misfits extends Error {
  readonly pairs: ReadonlySet<Pair>;

  constructor(pairs: Iterable<Pair>) {
    super('decisions of other shapes');
    this.pairs = new Set(pairs);
  }
}

export class CloseRuns {
  readonly #pairs: readonly Pair[];
  readonly #models: readonly [reference: ModelProto, candidate: ModelProto];
  readonly #mode: Mode;
  readonly #sessions = new Map<string, RunSession>();
  #types: ReadonlyMap<string, string> = new Map();
  /** Whether the reference runs with optimisations besides. */
  #canOptimise: boolean;

  constructor(reference: ModelProto, candidate: ModelProto, pairs: readonly Pair[], mode: Mode) {
    this.#models = [reference, candidate];
    this.#pairs = pairs;
    this.#mode = mode;
    this.#canOptimise = !mode.isOptimised;
  }

  /** Throws Misfits, and what ONNX Runtime throws. */
  async run({ feeds, seed }: Case): Promise<CloseRun> {
    const expected = await this.#expected(feeds);
    const choices = this.#choicesOf(expected);
    const moved = await (await this.#forced()).run({ ...nudgedFeeds(feeds, seed), ...choices });
    const found = await this.#found(feeds, choices, expected);
    const misfits = this.#pairs.filter((_, at) =>
      this.#readsOf(at).some((name) => !haveSameForm(expected, found, name)),
    );
    if (misfits.length > 0) throw new Misfits(misfits);
    return { expected, found, moved, optimised: await this.#optimised({ ...feeds, ...choices }) };
  }

  /** What the reference gives with everything moved that rounds, other numbers in every run. */
  async runMoved({ feeds, seed }: Case, expected: Outputs, count: number): Promise<Outputs[]> {
    const [reference] = this.#models;
    const session = await this.#session('moved', async () =>
      nudged(forced(reference, this.#decisions(0), this.#types), reference),
    );
    const results: Outputs[] = [];
    for (let at = 1; at <= count; at++)
      results.push(await session.run({ ...nudgedFeeds(feeds, seed + at), ...this.#choicesOf(expected) }));
    return results;
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  async #expected(feeds: Feeds): Promise<Outputs> {
    const [reference] = this.#models;
    const session = await this.#session('exposed', () => exposed(reference, this.#decisions(0)));
    const expected = await session.run(feeds);
    this.#types = new Map(Object.entries(expected).map(([name, { type }]) => [name, type]));
    return expected;
  }

  #forced(): Promise<RunSession> {
    return this.#session('forced', () => forced(this.#models[0], this.#decisions(0), this.#types));
  }

  async #found(feeds: Feeds, choices: Feeds, expected: Outputs): Promise<Outputs> {
    const [, candidate] = this.#models;
    const session = await this.#session('candidate', () => forced(candidate, this.#decisions(1), this.#types));
    const named = byName(
      this.#pairs.flatMap(([ours, theirs]) =>
        ours.outputs.flatMap((name, place) => {
          const [tensor, own] = [choices[name], theirs.outputs[place]];
          return tensor === undefined || own === undefined ? [] : [[own, tensor] as const];
        }),
      ),
    );
    try {
      return await session.run({ ...feeds, ...named });
    } catch (error) {
      // Choices that do not fit what follows: which, only its own can tell.
      const free = await this.#session('free', () => exposed(candidate, this.#decisions(1)));
      const own = await free.run(feeds);
      const misfits = this.#pairs.filter(([{ outputs }], at) =>
        outputs.some((_, place) => !haveSameForm(expected, own, choiceName(at, place))),
      );
      throw misfits.length === 0 ? error : new Misfits(misfits);
    }
  }

  async #optimised(feeds: Feeds): Promise<Outputs | undefined> {
    if (!this.#canOptimise) return undefined;
    const [reference] = this.#models;
    try {
      const make = () => forced(reference, this.#decisions(0), this.#types);
      return await (await this.#session('optimised', make, true)).run(feeds);
    } catch {
      this.#canOptimise = false;
      return undefined;
    }
  }

  #choicesOf(expected: Outputs): Feeds {
    return byName(
      this.#decisions(0).flatMap(({ outputs }, at) =>
        outputs.flatMap((name, place) => {
          const tensor = expected[choiceName(at, place)];
          return tensor === undefined ? [] : [[name, tensor] as const];
        }),
      ),
    );
  }

  #decisions(side: 0 | 1) {
    return this.#pairs.map((pair) => pair[side]);
  }

  #readsOf(at: number): string[] {
    return (this.#pairs[at]?.[0].reads ?? []).map((_, place) => readName(at, place));
  }

  async #session(
    key: string,
    make: () => ModelProto | Promise<ModelProto>,
    isOptimised = this.#mode.isOptimised,
  ): Promise<RunSession> {
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const session = await comparedSession(encodeProto(await make()), { ...this.#mode, isOptimised });
    this.#sessions.set(key, session);
    return session;
  }
}

function haveSameForm(expected: Outputs, found: Outputs, name: string): boolean {
  const [a, b] = [expected[name], found[name]];
  return a !== undefined && b !== undefined && a.type === b.type && sameList(a.dims, b.dims);
}
