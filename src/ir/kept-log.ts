/**
 * What became of constant operands: which of the indices they had at the start are still there, over all edits. Kept by those
 * who cut and rewrite (passes), after their transaction went through; nodes keep their identity, so they are the keys.
 */
import type { Node } from './graph.js';

/** Per axis the kept indices, ascending; undefined where the whole axis stays. */
export type KeptAxes = readonly (readonly number[] | undefined)[];

export class KeptLog {
  readonly #kept = new Map<Node, Map<number, KeptAxes>>();
  readonly #rewritten = new Map<Node, Set<number>>();

  /** `kept` counts in what is there now; a cut before it is taken into account. */
  cut(node: Node, input: number, kept: KeptAxes): void {
    const ofNode = this.#kept.get(node) ?? new Map<number, KeptAxes>();
    const before = ofNode.get(input);
    ofNode.set(
      input,
      Array.from({ length: Math.max(kept.length, before?.length ?? 0) }, (_, axis) =>
        compose(before?.[axis], kept[axis]),
      ),
    );
    this.#kept.set(node, ofNode);
  }

  /** The values are others than those of the indices that are kept: a constant went into them. */
  rewrite(node: Node, input: number): void {
    this.#rewritten.set(node, (this.#rewritten.get(node) ?? new Set()).add(input));
  }

  /** Empty where nothing was cut. */
  keptOf(node: Node, input: number): KeptAxes {
    return this.#kept.get(node)?.get(input) ?? [];
  }

  isRewritten(node: Node, input: number): boolean {
    return this.#rewritten.get(node)?.has(input) === true;
  }
}

function compose(
  before: readonly number[] | undefined,
  after: readonly number[] | undefined,
): readonly number[] | undefined {
  if (before === undefined || after === undefined) return after ?? before;
  return after.flatMap((index) => before[index] ?? []);
}
