/** What a file loses when operands are read from elsewhere. */
import { type Graph, hasInitializer, type Node, type Use, type Value } from '../ir/graph.js';
import { nodeTensor } from '../ops/aliases.js';

/**
 * Bytes of stored constants that nobody reads any more once `uses` do not, which may read what is
 * computed from them.
 */
export function freedBytes({ nodes }: Graph, uses: readonly Use[]): number {
  const replaced = new Map<Node, Set<number>>();
  for (const { node, index } of uses) replaced.set(node, (replaced.get(node) ?? new Set()).add(index));
  const values = new Set<Value>();
  for (const { node, index } of uses) {
    const value = node.inputs[index];
    if (value !== undefined) values.add(value);
  }
  const cone = new Set<Node>();
  for (const value of values) {
    if (value.producer === undefined) continue;
    cone.add(value.producer);
    for (const input of value.producer.inputs) if (input !== undefined) values.add(input);
  }
  const unread = new Set<Node>();
  const isUnread = (value: Value | undefined) =>
    value === undefined ||
    (!value.isSeenOutside &&
      value.uses.every(({ node, index }) => unread.has(node) || replaced.get(node)?.has(index) === true));
  for (const node of nodes.toReversed()) if (cone.has(node) && node.outputs.every(isUnread)) unread.add(node);
  let bytes = 0;
  for (const value of values) if (hasInitializer(value) && isUnread(value)) bytes += value.initializer.sizeBytes;
  for (const node of unread) bytes += nodeTensor(node)?.sizeBytes ?? 0;
  return bytes;
}
