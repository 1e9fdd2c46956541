/** Classes and pins: turns the relations of all nodes into unions of positions; what nobody relates is pinned. */
import type { Graph } from '../ir/graph.js';
import { type AxisRef, type Blocks, type Choice, type Link, SAME } from '../ops/relation.js';
import type { NodeSite, Pin, PinBoard } from './facts.js';
import type { Axis, Positions } from './positions.js';

export function relateAxes(graph: Graph, sites: readonly NodeSite[], positions: Positions, board: PinBoard): void {
  pinBoundary(graph, positions, board);
  const choices: { at: NodeSite; choice: Choice }[] = [];
  for (const at of sites) {
    const covered = new Set<Axis>();
    for (const link of linksOf(at)) unite(link, at, positions, board, covered);
    const open = at.relation?.kind === 'pointwise' ? (at.relation.choices ?? []) : [];
    for (const choice of open) {
      choices.push({ at, choice });
      for (const link of choice.candidates) cover(at, positions, covered, link);
    }
    uniteGroups(at, positions, covered);
    pinTheRest(at, positions, board, covered);
  }
  for (const { at, choice } of choices) takeChoice(at, choice, positions, board);
}

/** The links that always hold; those of a choice are taken later. */
export function linksOf({ relation }: NodeSite): readonly Link[] {
  if (relation === undefined || relation.kind === 'extents') return [];
  if (relation.kind === 'pointwise') return relation.links;
  const weights = { side: 'in', index: relation.weights.index } as const;
  const links: Link[] = [...relation.links, { from: { ...weights, axis: relation.weights.outAxis }, to: relation.y }];
  if (relation.kind === 'linear') links.push({ from: { ...weights, axis: relation.weights.inAxis }, to: relation.x });
  return links;
}

export function axisOf(at: NodeSite, { side, index, axis }: AxisRef, positions: Positions): Axis | undefined {
  const slot = side === 'in' ? at.inSlots[index] : at.node.outputs[index];
  return slot === undefined ? undefined : positions.axesOf(slot)[axis];
}

/** Calls `visit` with every linked pair of indices. */
export function forEachPair({ blocks }: Link, extent: number, visit: (from: number, to: number) => void): void {
  const { fromStart, toStart, count, inner, outer, period }: Blocks = blocks ?? SAME;
  const last = Math.min(count, extent - fromStart);
  for (let index = 0; index < last; index++) {
    for (let o = 0; o < outer; o++) {
      const start = toStart + o * period + index * inner;
      for (let t = 0; t < inner; t++) visit(fromStart + index, start + t);
    }
  }
}

function cover(at: NodeSite, positions: Positions, covered: Set<Axis>, { from, to }: Link): void {
  for (const ref of [from, to]) {
    const axis = axisOf(at, ref, positions);
    if (axis !== undefined) covered.add(axis);
  }
}

function unite(link: Link, at: NodeSite, positions: Positions, board: PinBoard, covered: Set<Axis>): void {
  const from = axisOf(at, link.from, positions);
  const to = axisOf(at, link.to, positions);
  if (from === undefined || to === undefined || (link.blocks === undefined && from.extent !== to.extent)) {
    const pin = pinBy(at, 'it needs the whole axis, whose extent is not known on its other side');
    board.pinAxis(from, pin);
    board.pinAxis(to, pin);
    return;
  }
  covered.add(from).add(to);
  forEachPair(link, from.extent, (i, j) => positions.unite(from.base + i, to.base + j));
}

/** A group's inputs, outputs and filters are one class; its bias follows the outputs, as a linear node's does. */
function uniteGroups(at: NodeSite, positions: Positions, covered: Set<Axis>): void {
  const { relation } = at;
  if (relation === undefined || relation.kind === 'pointwise' || relation.kind === 'extents') return;
  const y = axisOf(at, relation.y, positions);
  const bias = relation.bias === undefined ? undefined : lastAxis(at, relation.bias.index, positions);
  if (y !== undefined && bias !== undefined && bias.extent === y.extent) {
    covered.add(bias);
    for (let index = 0; index < y.extent; index++) positions.unite(y.base + index, bias.base + index);
  }
  const x = axisOf(at, relation.x, positions);
  if (relation.kind !== 'grouped' || x === undefined || y === undefined) return;
  covered.add(x);
  for (const [axis, perGroup] of [
    [x, x.extent / relation.groups],
    [y, y.extent / relation.groups],
  ] as const) {
    for (let index = 0; index < axis.extent; index++) {
      const group = Math.floor(index / perGroup);
      positions.unite(axis.base + index, y.base + group * (y.extent / relation.groups));
    }
  }
}

function lastAxis(at: NodeSite, index: number, positions: Positions): Axis | undefined {
  const slot = at.inSlots[index];
  return slot === undefined ? undefined : positions.axesOf(slot).at(-1);
}

/** Every axis of the node's inputs and outputs that no link covers keeps its extent. Reading extents pins later. */
function pinTheRest(at: NodeSite, positions: Positions, board: PinBoard, covered: ReadonlySet<Axis>): void {
  if (at.relation?.kind === 'extents') {
    for (const value of at.node.outputs)
      for (const axis of value === undefined ? [] : positions.axesOf(value))
        board.pinAxis(axis, pinBy(at, 'it lists every extent'));
    return;
  }
  const why = at.relation === undefined ? unknownReason(at) : 'its result depends on the whole axis';
  for (const slot of [...at.inSlots, ...at.node.outputs]) {
    if (slot === undefined) continue;
    for (const axis of positions.axesOf(slot)) {
      if (axis !== undefined && !covered.has(axis)) board.pinAxis(axis, pinBy(at, why));
    }
  }
}

function unknownReason(at: NodeSite): string {
  return `what ${at.node.qualifiedOp} does with the channels is not known here`;
}

function pinBy(at: NodeSite, reason: string): Pin {
  return { node: at.node, reason };
}

/** The model's interface stays as it is, and so does what a subgraph reads. A lone channel can never go. */
function pinBoundary(graph: Graph, positions: Positions, board: PinBoard): void {
  const pinSlot = (value: Parameters<Positions['axesOf']>[0], reason: string) => {
    for (const axis of positions.axesOf(value)) board.pinAxis(axis, { node: undefined, reason });
  };
  for (const value of graph.inputs) pinSlot(value, `${value.name} is an input of the model and keeps its shape`);
  for (const value of graph.outputs) pinSlot(value, `${value.name} is an output of the model and keeps its shape`);
  for (const value of graph.values.values()) {
    const [reader] = value.capturedBy;
    if (reader !== undefined) pinSlot(value, `a subgraph of ${reader.label} reads ${value.name}`);
  }
  for (const axis of positions.all) {
    if (axis.extent === 1) board.pinAxis(axis, { node: undefined, reason: 'it is the only channel' });
  }
}

/** Of the axes that a Reshape merges one may shrink: the widest that nothing else pins. The others are pinned. */
function takeChoice(at: NodeSite, { candidates }: Choice, positions: Positions, board: PinBoard): void {
  const pinOf = board.byClass(positions);
  const open = candidates
    .map((link) => ({ link, from: axisOf(at, link.from, positions) }))
    .filter(({ from }) => from !== undefined && hasFreePosition(from, positions, pinOf))
    .toSorted((a, b) => (b.from?.extent ?? 0) - (a.from?.extent ?? 0));
  const taken = open[0]?.link;
  const pin = pinBy(at, 'the reshape mixes this axis with another one');
  for (const link of candidates) if (link !== taken) board.pinAxis(axisOf(at, link.from, positions), pin);
  const [first] = candidates;
  if (taken !== undefined) unite(taken, at, positions, board, new Set());
  else if (first !== undefined) board.pinAxis(axisOf(at, first.to, positions), pin);
}

function hasFreePosition(axis: Axis, positions: Positions, pinOf: (root: number) => Pin | undefined): boolean {
  for (let index = 0; index < axis.extent; index++)
    if (pinOf(positions.classOf(axis.base + index)) === undefined) return true;
  return false;
}
