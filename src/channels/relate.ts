/**
 * Classes and pins: turns the relations of all nodes into unions of positions; what nobody relates
 * is pinned.
 */
import type { Graph } from '../ir/graph.js';
import { operatorOf } from '../ops/registry.js';
import {
  type AnalyzedNode,
  forEachPair,
  headsOf,
  isDepthwise,
  type LayerAxes,
  readsTypeAlone,
  type ResolvedLink,
} from './analyzed-node.js';
import type { Pin, PinBoard, PinCause } from './pins.js';
import type { Axis, Positions } from './positions.js';

export function relateAxes(graph: Graph, nodes: readonly AnalyzedNode[], positions: Positions, board: PinBoard): void {
  pinBoundary(graph, positions, board);
  for (const at of nodes) {
    const covered = new Set<Axis>();
    const isOpen = at.heads === undefined && headsOf(at) !== undefined;
    for (const link of at.links) {
      if (isOpen) pinOpenEnds(at, board, link.input, link.output);
      else unite(link, at, positions, board, covered);
    }
    for (const { input, output } of at.choices.flat())
      for (const axis of [input, output]) if (axis !== undefined) covered.add(axis);
    for (const axes of at.sums) uniteSums(axes, at, positions, board, covered);
    // Which of them go together is chosen later (heads.ts).
    for (const axis of at.heads?.axes ?? []) covered.add(axis);
    if (at.layer !== undefined) uniteLayer(at, at.layer, positions, board, covered);
    pinTheRest(at, positions, board, covered);
  }
}

function unite(link: ResolvedLink, at: AnalyzedNode, positions: Positions, board: PinBoard, covered: Set<Axis>): void {
  const { input, output } = link;
  if (input === undefined || output === undefined) {
    pinOpenEnds(at, board, input, output);
    return;
  }
  covered.add(input).add(output);
  if (link.blocks === undefined) positions.uniteAxes(input, output);
  else forEachPair(link, (i, j) => positions.unite(input.base + i, output.base + j));
}

function pinOpenEnds(at: AnalyzedNode, board: PinBoard, ...ends: readonly (Axis | undefined)[]): void {
  for (const end of ends) board.pinAxis(end, openEnd(at));
}

export function openEnd(at: AnalyzedNode): Pin {
  return pinBy(at, 'axis', 'it needs the whole axis, whose extent is not known on its other side');
}

/** Index by index; where that cannot be, neither can shrink. */
function uniteAxes(
  [one, other]: readonly [Axis | undefined, Axis | undefined],
  at: AnalyzedNode,
  positions: Positions,
  board: PinBoard,
  covered: Set<Axis>,
): void {
  if (one === undefined || other === undefined || one.extent !== other.extent) {
    pinOpenEnds(at, board, one, other);
    return;
  }
  covered.add(one).add(other);
  positions.uniteAxes(one, other);
}

/** What is summed over together keeps one extent. */
function uniteSums(
  [first, ...others]: readonly (Axis | undefined)[],
  at: AnalyzedNode,
  positions: Positions,
  board: PinBoard,
  covered: Set<Axis>,
): void {
  for (const other of others) uniteAxes([first, other], at, positions, board, covered);
}

/**
 * Filters and bias go with the outputs, the weights' other axis with what is summed over. Which
 * channels of different groups go together depends on what is dead: that is no class
 * (group-balance.ts), except where a group is one channel.
 */
function uniteLayer(
  at: AnalyzedNode,
  layer: LayerAxes,
  positions: Positions,
  board: PinBoard,
  covered: Set<Axis>,
): void {
  const { relation, x, y, weightsIn, weightsOut, bias } = layer;
  if (relation.kind === 'linear' || weightsOut !== undefined) uniteAxes([weightsOut, y], at, positions, board, covered);
  if (relation.kind === 'linear' || weightsIn !== undefined) uniteAxes([weightsIn, x], at, positions, board, covered);
  if (y !== undefined && bias?.extent === y.extent) uniteAxes([y, bias], at, positions, board, covered);
  if (relation.kind !== 'grouped' || x === undefined || y === undefined) return;
  covered.add(x).add(y);
  if (isDepthwise(layer)) uniteAxes([x, y], at, positions, board, covered);
}

/**
 * Every axis of the node's inputs and outputs that no link covers keeps its extent. Reading extents
 * pins later.
 */
function pinTheRest(at: AnalyzedNode, positions: Positions, board: PinBoard, covered: ReadonlySet<Axis>): void {
  if (at.relation?.kind === 'extents') {
    for (const value of at.node.outputs)
      for (const axis of value === undefined ? [] : positions.axesOf(value))
        board.pinAxis(axis, pinBy(at, 'extent', 'it lists every extent'));
    return;
  }
  const pin =
    at.relation === undefined && operatorOf(at.node)?.needsAllChannels !== true
      ? pinBy(at, 'unknown', unknownReason(at))
      : pinBy(at, 'axis', 'its result depends on the whole axis');
  const read = at.inSlots.filter((_, index) => !readsTypeAlone(at, index));
  for (const slot of [...read, ...at.node.outputs]) {
    if (slot === undefined) continue;
    for (const axis of positions.axesOf(slot)) {
      if (axis !== undefined && !covered.has(axis)) board.pinAxis(axis, pin);
    }
  }
}

function unknownReason(at: AnalyzedNode): string {
  return `what ${at.node.qualifiedOp} does with the channels is not known here`;
}

export function pinBy(at: AnalyzedNode, cause: PinCause, reason: string): Pin {
  return { cause, node: at.node, reason };
}

/**
 * The model's interface stays as it is, and so does what a subgraph reads. A lone channel can never
 * go.
 */
function pinBoundary(graph: Graph, positions: Positions, board: PinBoard): void {
  const pinSlot = (value: Parameters<Positions['axesOf']>[0], reason: string) => {
    for (const axis of positions.axesOf(value)) board.pinAxis(axis, { cause: 'boundary', node: undefined, reason });
  };
  for (const value of graph.inputs) pinSlot(value, `${value.name} is an input of the model and keeps its shape`);
  for (const value of graph.outputs) pinSlot(value, `${value.name} is an output of the model and keeps its shape`);
  for (const value of graph.values.values()) {
    const [reader] = value.capturedBy;
    if (reader !== undefined) pinSlot(value, `a subgraph of ${reader.label} reads ${value.name}`);
  }
  for (const axis of positions.all) {
    if (axis.extent === 1) board.pinAxis(axis, { cause: 'lone', node: undefined, reason: 'it is the only channel' });
  }
}
