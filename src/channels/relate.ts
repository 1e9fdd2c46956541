/**
 * Classes and pins: turns the relations of all nodes into unions of positions; what nobody relates
 * is pinned.
 */
import type { Graph } from '../ir/graph.js';
import { type AnalyzedNode, forEachPair, type LayerAxes, type ResolvedLink } from './analyzed-node.js';
import type { Pin, PinBoard } from './pins.js';
import type { Axis, Positions } from './positions.js';

export function relateAxes(graph: Graph, nodes: readonly AnalyzedNode[], positions: Positions, board: PinBoard): void {
  pinBoundary(graph, positions, board);
  for (const at of nodes) {
    const covered = new Set<Axis>();
    for (const link of at.links) unite(link, at, positions, board, covered);
    for (const { input, output } of at.choices.flat())
      for (const axis of [input, output]) if (axis !== undefined) covered.add(axis);
    if (at.layer !== undefined) uniteLayer(at, at.layer, positions, board, covered);
    pinTheRest(at, positions, board, covered);
  }
  const undecided = nodes.filter(({ choices }) => choices.length > 0);
  if (undecided.length === 0) return;
  const chooser = new Chooser(positions, board);
  for (const at of undecided) for (const candidates of at.choices) chooser.choose(at, candidates);
}

function unite(link: ResolvedLink, at: AnalyzedNode, positions: Positions, board: PinBoard, covered: Set<Axis>): void {
  const { input, output } = link;
  if (input === undefined || output === undefined) {
    pinOpenEnds(at, board, input, output);
    return;
  }
  covered.add(input).add(output);
  forEachPair(link, (i, j) => positions.unite(input.base + i, output.base + j));
}

function pinOpenEnds(at: AnalyzedNode, board: PinBoard, ...ends: readonly (Axis | undefined)[]): void {
  for (const end of ends) board.pinAxis(end, openEnd(at));
}

function openEnd(at: AnalyzedNode): Pin {
  return pinBy(at, 'it needs the whole axis, whose extent is not known on its other side');
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
  for (let index = 0; index < one.extent; index++) positions.unite(one.base + index, other.base + index);
}

/**
 * Filters and bias go with the outputs, the weights' other axis with what is summed over; of groups
 * all goes together.
 */
function uniteLayer(
  at: AnalyzedNode,
  layer: LayerAxes,
  positions: Positions,
  board: PinBoard,
  covered: Set<Axis>,
): void {
  const { relation, x, y, weightsIn, weightsOut, bias } = layer;
  const isTransposed = relation.kind === 'grouped' && relation.isTransposed === true;
  if (!isTransposed) uniteAxes([weightsOut, y], at, positions, board, covered);
  if (relation.kind === 'linear' || isTransposed) uniteAxes([weightsIn, x], at, positions, board, covered);
  if (y !== undefined && bias?.extent === y.extent) uniteAxes([y, bias], at, positions, board, covered);
  if (relation.kind !== 'grouped' || x === undefined || y === undefined) return;
  covered.add(x).add(y);
  const outputsPerGroup = y.extent / relation.groups;
  for (const axis of [x, y]) {
    const perGroup = axis.extent / relation.groups;
    for (let index = 0; index < axis.extent; index++)
      positions.unite(axis.base + index, y.base + Math.floor(index / perGroup) * outputsPerGroup);
  }
}

/**
 * Every axis of the node's inputs and outputs that no link covers keeps its extent. Reading extents
 * pins later.
 */
function pinTheRest(at: AnalyzedNode, positions: Positions, board: PinBoard, covered: ReadonlySet<Axis>): void {
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

function unknownReason(at: AnalyzedNode): string {
  return `what ${at.node.qualifiedOp} does with the channels is not known here`;
}

function pinBy(at: AnalyzedNode, reason: string): Pin {
  return { node: at.node, reason };
}

/**
 * The model's interface stays as it is, and so does what a subgraph reads. A lone channel can never
 * go.
 */
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

/**
 * Of the axes that a Reshape merges one may shrink: the widest that nothing else pins. The others
 * are pinned. Which classes are pinned is kept from choice to choice: a transformer has many, and
 * each may depend on those before it.
 */
class Chooser {
  readonly #positions: Positions;
  readonly #board: PinBoard;
  /** By class representative: 1 where it is pinned. */
  readonly #isPinned: Uint8Array;

  constructor(positions: Positions, board: PinBoard) {
    this.#positions = positions;
    this.#board = board;
    const pinOf = board.byClass(positions);
    this.#isPinned = new Uint8Array(positions.count);
    for (let position = 0; position < positions.count; position++)
      if (positions.classOf(position) === position && pinOf(position) !== undefined) this.#isPinned[position] = 1;
  }

  choose(at: AnalyzedNode, candidates: readonly ResolvedLink[]): void {
    const [taken] = candidates
      .filter((link) => this.#hasFreePosition(partOf(link)))
      .toSorted((a, b) => (partOf(b)?.extent ?? 0) - (partOf(a)?.extent ?? 0));
    const pin = pinBy(at, 'the reshape mixes this axis with another one');
    for (const link of candidates) if (link !== taken) this.#pin(partOf(link), pin);
    const [first] = candidates;
    if (taken !== undefined) this.#unite(at, taken);
    else if (first !== undefined) this.#pin(wholeOf(first), pin);
  }

  #hasFreePosition(axis: Axis | undefined): boolean {
    for (let index = 0; index < (axis?.extent ?? 0); index++)
      if (this.#isPinned[this.#positions.classOf((axis?.base ?? 0) + index)] === 0) return true;
    return false;
  }

  #pin(axis: Axis | undefined, pin: Pin): void {
    this.#board.pinAxis(axis, pin);
    for (let index = 0; index < (axis?.extent ?? 0); index++)
      this.#isPinned[this.#positions.classOf((axis?.base ?? 0) + index)] = 1;
  }

  #unite(at: AnalyzedNode, link: ResolvedLink): void {
    const { input, output } = link;
    if (input === undefined || output === undefined) {
      for (const end of [input, output]) this.#pin(end, openEnd(at));
      return;
    }
    const positions = this.#positions;
    forEachPair(link, (i, j) => {
      const [a, b] = [positions.classOf(input.base + i), positions.classOf(output.base + j)];
      const isPinned = this.#isPinned[a] === 1 || this.#isPinned[b] === 1;
      positions.unite(a, b);
      if (isPinned) this.#isPinned[positions.classOf(a)] = 1;
    });
  }
}

/** The side whose axis is one of several that make up the axis on the other side. */
function partOf({ input, output, blocks }: ResolvedLink): Axis | undefined {
  return blocks?.one === 'output' ? output : input;
}

function wholeOf({ input, output, blocks }: ResolvedLink): Axis | undefined {
  return blocks?.one === 'output' ? input : output;
}
