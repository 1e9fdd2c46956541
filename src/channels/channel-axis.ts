/**
 * Which axis the channels of a node's output are on: the operator's row says it, never the position
 * alone.
 */
import type { Node } from '../ir/graph.js';
import type { Facts } from './facts.js';
import type { Axis } from './positions.js';

/**
 * A layer's own row names its axis. Of another node it is the axis that goes together with the
 * channels of a layer; without any layer around, the second axis. Undefined where no axis of the
 * first output has a fixed extent.
 */
export function channelAxis(node: Node, { nodeOf, isRelevant, positions }: Facts): Axis | undefined {
  const layer = nodeOf.get(node)?.layer;
  if (layer !== undefined) return layer.y;
  const [output] = node.outputs;
  const axes = output === undefined ? [] : positions.axesOf(output);
  return axes.find((axis) => axis !== undefined && axis.extent > 1 && isRelevant(axis)) ?? axes[1] ?? axes.at(-1);
}
