/** Extents of the values of a graph, as they are before it is edited. */
import { ExtentKeys } from '../../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Value } from '../../src/ir/graph.js';

export class KnownExtents {
  /** One key per axis: equal keys are equal extents. */
  readonly #known = new Map<Value, readonly string[]>();

  constructor(graphInfo: GraphInfo) {
    const keys = new ExtentKeys(graphInfo);
    for (const value of graphInfo.graph.values.values()) {
      const rank = graphInfo.shapes.of(value)?.length;
      if (rank !== undefined)
        this.#known.set(
          value,
          Array.from({ length: rank }, (_, axis) => keys.key(value, axis)),
        );
    }
  }

  /** Undefined where the rank is not known. */
  of(value: Value): readonly string[] | undefined {
    return this.#known.get(value);
  }

  /** A value that was added has the extents of another one. */
  add(value: Value, like: Value): void {
    const extents = this.#known.get(like);
    if (extents !== undefined) this.#known.set(value, extents);
  }

  /** Whether both surely have the same extents on every axis. */
  areSame(a: Value, b: Value): boolean {
    const [one, other] = [this.#known.get(a), this.#known.get(b)];
    return one !== undefined && one.length === other?.length && one.every((key, axis) => key === other[axis]);
  }
}
