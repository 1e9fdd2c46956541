/**
 * The three facts about positions, found without touching the graph:
 *   constant (forward): the slice at this position is one scalar for every input of the model;
 *   needed (backward): some reader lets it influence a needed position that is not constant;
 *   class (union-find): positions that an operator forces to shrink together, and whether something pins them.
 * The operator rows (src/ops) say how axes belong together; here they are interpreted. Unknown means pinned.
 */
import type { Dim, Node, Value } from '../ir/graph.js';
import type { Linear, Relation, Site } from '../ops/relation.js';
import { rowOf } from '../ops/table.js';
import { propagateConstants, relevantAxes } from './constant-facts.js';
import { propagateNeed } from './need-facts.js';
import { type Axis, type Operand, Positions, type Slot } from './positions.js';
import { relateAxes } from './relate.js';
import { type Knowledge, siteOf } from './site.js';
import { tiedAxes } from './tied-axes.js';

export interface NodeSite {
  readonly node: Node;
  readonly site: Site;
  /** Undefined: every axis it touches is pinned. */
  readonly relation: Relation | undefined;
  /** Per input: its slot; undefined where the input is left out. */
  readonly inSlots: readonly (Slot | undefined)[];
}

/** A reader that ends a class: it sums over `axis`. */
export interface LinearRead {
  readonly at: NodeSite;
  readonly relation: Linear;
  readonly axis: Axis;
  /** 1 where the index of `axis` reaches a needed output that is not constant. */
  readonly needed: Uint8Array;
}

/** Why a position cannot go. `node` is undefined for the model's own inputs and outputs. */
export interface Pin {
  readonly node: Node | undefined;
  readonly reason: string;
}

export interface Facts {
  readonly knowledge: Knowledge;
  readonly positions: Positions;
  readonly sites: readonly NodeSite[];
  readonly siteOf: ReadonlyMap<Node, NodeSite>;
  /** Per position: the scalar, or NaN where it varies. */
  readonly constant: Float64Array;
  /** Per position: 1 when it is needed. */
  readonly needed: Uint8Array;
  /** By class representative: the first thing that pins it. */
  readonly pinOf: (root: number) => Pin | undefined;
  readonly linearReads: readonly LinearRead[];
  /** Operators without a row, by qualified name, with how often they occur. */
  readonly unknownOps: ReadonlyMap<string, number>;
}

/** The first pin of each position. Numbers, not objects: a network has as many positions as rows, columns and channels. */
export class PinBoard {
  readonly #pins: Pin[] = [];
  /** Per position: 1 + the number of its pin; 0 where it is free. */
  readonly #pinAt: Int32Array;

  constructor(positions: Positions) {
    this.#pinAt = new Int32Array(positions.count);
  }

  pinAxis(axis: Axis | undefined, pin: Pin): void {
    if (axis === undefined) return;
    const number = this.#pins.push(pin);
    for (let position = axis.base; position < axis.base + axis.extent; position++) this.#pinAt[position] ||= number;
  }

  /** Per class representative the first pin of any of its positions. */
  byClass(positions: Positions): (root: number) => Pin | undefined {
    const ofClass = new Int32Array(this.#pinAt.length);
    for (let position = 0; position < ofClass.length; position++) {
      const number = this.#pinAt[position] ?? 0;
      if (number !== 0) ofClass[positions.classOf(position)] ||= number;
    }
    return (root) => this.#pins[(ofClass[root] ?? 0) - 1];
  }
}

export function analyze(knowledge: Knowledge): Facts {
  const { graph, constants } = knowledge;
  const slots = new Map<Slot, readonly Dim[]>();
  const sites: NodeSite[] = [];
  const addValue = (value: Value) => {
    const dims = knowledge.shapes.of(value);
    if (dims !== undefined) slots.set(value, dims);
  };
  for (const value of graph.inputs) if (value.initializer === undefined) addValue(value);
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => value === undefined || constants.has(value))) continue;
    for (const value of node.outputs) if (value !== undefined) addValue(value);
    const site = siteOf(node, knowledge);
    const row = rowOf(node);
    const inSlots = node.inputs.map((value, index) => slotOf(node, index, value, knowledge, slots));
    sites.push({ node, site, relation: row?.relate(site), inSlots });
  }
  const positions = new Positions(slots, tiedAxes(slots, sites));

  const board = new PinBoard(positions);
  relateAxes(graph, sites, positions, board);
  const unknownOps = countUnknownOps(sites, positions);
  const constant = propagateConstants(sites, positions, knowledge.shapes);
  const { needed, linearReads } = propagateNeed(graph, sites, positions, constant, board);

  const bySite = new Map(sites.map((site) => [site.node, site]));
  return {
    knowledge,
    positions,
    sites,
    siteOf: bySite,
    constant,
    needed,
    pinOf: board.byClass(positions),
    linearReads,
    unknownOps,
  };
}

/** Operators without a row that touch channels of a layer; what only computes shapes stands in nobody's way. */
function countUnknownOps(sites: readonly NodeSite[], positions: Positions): Map<string, number> {
  const isRelevant = relevantAxes(sites, positions);
  const counts = new Map<string, number>();
  for (const { node, inSlots } of sites) {
    if (rowOf(node) !== undefined) continue;
    const touches = [...inSlots, ...node.outputs].some(
      (slot) =>
        slot !== undefined &&
        positions.axesOf(slot).some((axis) => axis !== undefined && axis.extent > 1 && isRelevant(axis)),
    );
    if (touches) counts.set(node.qualifiedOp, (counts.get(node.qualifiedOp) ?? 0) + 1);
  }
  return counts;
}

function slotOf(
  node: Node,
  index: number,
  value: Value | undefined,
  { constants }: Knowledge,
  slots: Map<Slot, readonly Dim[]>,
): Slot | undefined {
  const tensor = constants.tensor(value);
  if (value === undefined || tensor === undefined) return value;
  const operand: Operand = { node, index, value, tensor };
  slots.set(operand, tensor.dims);
  return operand;
}
