/**
 * What became of constant operands: which of the indices that they had at the start are still
 * there, over all edits. The editor keeps it. Nodes keep their identity, so they are the keys.
 */
import type { Node } from './graph.js';

/**
 * Per axis the kept indices, ascending; undefined where the whole axis stays. Axis 1 of a grouped
 * layer's weights is counted through all groups: each of them may keep other indices.
 */
export type KeptAxes = readonly (readonly number[] | undefined)[];

interface History {
  readonly kept: KeptAxes;
  readonly isRewritten: boolean;
}

const UNTOUCHED: History = { kept: [], isRewritten: false };

export class Provenance {
  /** By node and input. */
  readonly #histories = new Map<Node, ReadonlyMap<number, History>>();

  /**
   * `kept` counts in what is there now; a cut before it is taken into account. Returns the inverse,
   * as `rewrite` does.
   */
  slice(node: Node, input: number, kept: KeptAxes): () => void {
    const { kept: before, isRewritten } = this.#of(node, input);
    const axes = Array.from({ length: Math.max(kept.length, before.length) }, (_, axis) =>
      compose(before[axis], kept[axis]),
    );
    return this.#set(node, input, { kept: axes, isRewritten });
  }

  /** The values are others than those of the indices that are kept: a constant went into them. */
  rewrite(node: Node, input: number): () => void {
    return this.#set(node, input, { ...this.#of(node, input), isRewritten: true });
  }

  /** Empty where nothing was cut. */
  keptOf(node: Node, input: number): KeptAxes {
    return this.#of(node, input).kept;
  }

  isRewritten(node: Node, input: number): boolean {
    return this.#of(node, input).isRewritten;
  }

  #of(node: Node, input: number): History {
    return this.#histories.get(node)?.get(input) ?? UNTOUCHED;
  }

  #set(node: Node, input: number, history: History): () => void {
    const before = this.#histories.get(node);
    this.#histories.set(node, new Map(before).set(input, history));
    return () => (before === undefined ? this.#histories.delete(node) : this.#histories.set(node, before));
  }
}

function compose(
  before: readonly number[] | undefined,
  after: readonly number[] | undefined,
): readonly number[] | undefined {
  if (before === undefined || after === undefined) return after ?? before;
  return after.flatMap((index) => before[index] ?? []);
}
