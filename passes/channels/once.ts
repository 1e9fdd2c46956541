/** Values that the passes add to a graph once for all that read them. */
import type { Graph, Value } from '../../src/ir/graph.js';

/**
 * What was made for a graph, by what it is. By name it is never looked up: a model may have a value
 * of that name.
 */
const MADE = new WeakMap<Graph, { readonly what: readonly unknown[]; readonly value: Value }[]>();

/**
 * The value that was made for the same before, as long as it is there and `fits`; else a new one.
 */
export function once(
  graph: Graph,
  what: readonly unknown[],
  make: () => Value,
  fits?: (value: Value) => boolean,
): Value {
  const made = MADE.get(graph) ?? [];
  MADE.set(graph, made);
  const known = made.find(
    (entry) =>
      entry.what.length === what.length &&
      entry.what.every((part, index) => part === what[index]) &&
      graph.values.get(entry.value.name) === entry.value &&
      fits?.(entry.value) !== false,
  );
  if (known !== undefined) return known.value;
  const value = make();
  made.push({ what, value });
  return value;
}
