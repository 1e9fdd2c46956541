/** Who reads a value, kept right by the editor. */
import type { Node, Value } from './graph.js';

export function removeUse(value: Value, node: Node, index: number): void {
  const at = value.uses.findIndex((use) => use.node === node && use.index === index);
  value.uses.splice(at, 1);
}

/** What the subgraphs of the node read becomes `captures`. */
export function setCaptures(node: Node, captures: readonly Value[]): void {
  for (const { capturedBy } of node.captures) capturedBy.splice(capturedBy.indexOf(node), 1);
  node.captures.splice(0, node.captures.length, ...captures);
  for (const { capturedBy } of captures) capturedBy.push(node);
}
