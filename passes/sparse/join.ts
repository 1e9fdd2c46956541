/** Which riders could join the layers chosen: operators around them that exist in their layout too. Whether they do is for `choose.ts`. */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node } from '../../src/ir/graph.js';
import { isDepthwise, normalisationAt, type SparseLayer } from './layers.js';
import type { Member } from './places.js';
import { riderAt } from './riders.js';

/** In the order of the graph. What is part of one of the layers, or of a rider before, is none; `all` are the layers that there are. */
export function possibleRiders(
  layers: readonly SparseLayer[],
  all: readonly SparseLayer[],
  graphInfo: GraphInfo,
): Member[] {
  const taken = new Set<Node>(layers.flatMap(({ nodes }) => nodes));
  const depthwise = new Map(
    all
      .filter((layer) => isDepthwise(layer) && layer.nodes.every((node) => !taken.has(node)))
      .map((layer) => [layer.nodes[0], layer]),
  );
  for (const { nodes } of depthwise.values()) for (const node of nodes) taken.add(node);
  const found: Member[] = [];
  for (const node of graphInfo.graph.nodes) {
    const own = taken.has(node) ? undefined : normalisationAt(node, graphInfo, taken);
    const member = depthwise.get(node) ?? own ?? riderAt(node, graphInfo, taken);
    if (member === undefined) continue;
    for (const part of member.nodes) taken.add(part);
    found.push(member);
  }
  return found;
}
