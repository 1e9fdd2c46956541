/** Which axis the channels of a node's output are on: the operator rows say it, never the position alone. */
import type { Node } from '../ir/graph.js';
import { relevantAxes } from './constant-facts.js';
import type { Facts } from './facts.js';
import type { Axis } from './positions.js';
import { axisOf } from './relate.js';

/**
 * A layer's own row names its axis. Of another node it is the axis that goes together with the channels of a layer; without any
 * layer around, the second axis. Undefined where no axis of the first output has a fixed extent.
 */
export function channelAxis(node: Node, { siteOf, sites, positions }: Facts): Axis | undefined {
  const at = siteOf.get(node);
  const relation = at?.relation;
  if (at !== undefined && (relation?.kind === 'linear' || relation?.kind === 'grouped'))
    return axisOf(at, relation.y, positions);
  const [output] = node.outputs;
  const axes = output === undefined ? [] : positions.axesOf(output);
  const isTied = relevantAxes(sites, positions);
  return axes.find((axis) => axis !== undefined && axis.extent > 1 && isTied(axis)) ?? axes[1] ?? axes.at(-1);
}
