/**
 * The three facts about positions, found without touching the graph:
 *   constant (forward): the slice at this position is one scalar for every input of the model, or
 *     depends on the place in the image alone;
 *   needed (backward): some reader lets it influence a needed position that is not constant;
 *   class (union-find): positions that an operator forces to shrink together, and whether something pins them.
 * The operator rows (src/ops) say how axes belong together; here they are interpreted. Unknown
 * means pinned.
 */
import type { Dim, Node, Value } from '../ir/graph.js';
import { makesIndicators } from '../ir/origin.js';
import type { Relation } from '../ops/axes.js';
import { hasAxes, operatorOf } from '../ops/registry.js';
import type { Site } from '../ops/site.js';
import { type AnalyzedNode, analyzedNode, type NodeSite } from './analyzed-node.js';
import { type Lift, liftedRelation } from './lift.js';
import { type Pin, PinBoard } from './pins.js';
import type { PlaceValues } from './places.js';
import { type Axis, isOperand, type Operand, Positions, type Slot } from './positions.js';
import { propagateConstants } from './propagate-constants.js';
import { type Demand, propagateDemand } from './propagate-demand.js';
import { chooseAxes } from './choose-axes.js';
import { relateAxes } from './relate.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';
import { tiedAxes } from './tied-axes.js';

export interface Facts extends Demand {
  readonly graphInfo: GraphInfo;
  readonly positions: Positions;
  readonly nodes: readonly AnalyzedNode[];
  readonly nodeOf: ReadonlyMap<Node, AnalyzedNode>;
  /** Per position: the scalar, or NaN where it varies or depends on the place. */
  readonly constant: Float64Array;
  /** Positions that depend on the place alone. */
  readonly places: ReadonlyMap<number, PlaceValues>;
  /** By class representative: the first thing that pins it. */
  readonly pinOf: (root: number) => Pin | undefined;
  /** The same, without pins that end where the position becomes zero: what masks cannot change. */
  readonly lastingPinOf: (root: number) => Pin | undefined;
  /** Whether the axis goes together with channels of a layer. */
  readonly isRelevant: (axis: Axis) => boolean;
  /** Operators of which nothing is known, by qualified name, with how often they occur. */
  readonly unknownOps: ReadonlyMap<string, number>;
}

/** `lift`: a cause that is not to count; then the facts answer a question, and no edit may use them. */
export async function analyze(graphInfo: GraphInfo, lift?: Lift): Promise<Facts> {
  const { graph, constants, shapes } = graphInfo;
  const slots = new Map<Slot, readonly Dim[]>();
  const sites: NodeSite[] = [];
  const addValue = (value: Value) => {
    const dims = shapes.of(value);
    if (dims !== undefined) slots.set(value, dims);
  };
  for (const value of graph.inputs) if (value.initializer === undefined) addValue(value);
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => value === undefined || constants.has(value))) continue;
    for (const value of node.outputs) if (value !== undefined) addValue(value);
    const site = siteOf(node, graphInfo);
    const inSlots = node.inputs.map((value, index) => slotOf(node, index, value, graphInfo, slots));
    // Its inputs are constant, and only its padding makes something of them: nothing is to be done.
    const stated = makesIndicators(node) ? undefined : operatorOf(node)?.axes?.(site);
    const known = isCuttable(stated, site, inSlots) ? stated : undefined;
    sites.push({ node, site, relation: known ?? liftedRelation(node, site, lift), inSlots });
  }
  const { isTied, isOfLayer } = tiedAxes(slots, sites);
  const positions = new Positions(slots, isTied);
  const nodes = sites.map((site) => analyzedNode(site, positions));

  const board = new PinBoard(positions, lift);
  relateAxes(graph, nodes, positions, board);
  const isRelevant = ({ slot, axis }: Axis) => isOfLayer(slot, axis);
  const { constant, places } = await propagateConstants(nodes, positions, graphInfo, isRelevant, lift);
  const { needed, linearReads } = propagateDemand(graph, nodes, positions, constant, board);
  chooseAxes(nodes, positions, board, {
    isNeeded: (position) => needed[position] === 1,
    isDead: (position) => needed[position] === 0 || !Number.isNaN(constant[position] ?? 0),
  });
  return {
    graphInfo,
    positions,
    nodes,
    nodeOf: new Map(nodes.map((at) => [at.node, at])),
    constant,
    places,
    needed,
    linearReads,
    pinOf: board.byClass(positions),
    lastingPinOf: board.byClass(positions, ({ isWhileAlive }) => isWhileAlive !== true),
    isRelevant,
    unknownOps: countUnknownOps(nodes, positions, isRelevant),
  };
}

/** Whether the position is the same for every input, or nobody needs it. */
export function isDeadAt({ constant, places, needed }: Facts, position: number): boolean {
  return !Number.isNaN(constant[position] ?? Number.NaN) || places.has(position) || needed[position] === 0;
}

/** Those that touch channels of a layer; what only computes shapes stands in nobody's way. */
function countUnknownOps(
  nodes: readonly AnalyzedNode[],
  positions: Positions,
  isRelevant: (axis: Axis) => boolean,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { node, inSlots } of nodes) {
    if (hasAxes(node) || operatorOf(node)?.needsAllChannels === true) continue;
    const touches = [...inSlots, ...node.outputs].some(
      (slot) =>
        slot !== undefined &&
        positions.axesOf(slot).some((axis) => axis !== undefined && axis.extent > 1 && isRelevant(axis)),
    );
    if (touches) counts.set(node.qualifiedOp, (counts.get(node.qualifiedOp) ?? 0) + 1);
  }
  return counts;
}

/**
 * Axis 1 of a grouped layer's weights has other channels in each group: what is decoded in front of
 * the layer has one list of channels for all.
 */
function isCuttable(relation: Relation | undefined, site: Site, inSlots: readonly (Slot | undefined)[]): boolean {
  if (relation?.kind !== 'grouped') return true;
  const slot = inSlots[relation.weights.index];
  return slot === undefined || isOperand(slot) || site.constant(relation.weights.index)?.dims[1] === 1;
}

function slotOf(
  node: Node,
  index: number,
  value: Value | undefined,
  { constants }: GraphInfo,
  slots: Map<Slot, readonly Dim[]>,
): Slot | undefined {
  const tensor = constants.tensor(value);
  // What is decoded has axes of its own, which go with those of what is stored.
  if (value === undefined || tensor === undefined || constants.isDecoded(value)) return value;
  const operand: Operand = { node, index, value, tensor };
  slots.set(operand, tensor.dims);
  return operand;
}
