/**
 * Backward pass: which positions reach an output of the model. A reader's output that is constant needs nothing, because
 * the weights that make it so are exactly zero on everything that varies. Extents that are read become pins here.
 */
import type { Graph, Value } from '../ir/graph.js';
import type { Grouped, Linear, Pointwise } from '../ops/relation.js';
import type { LinearRead, NodeSite, PinBoard } from './facts.js';
import { type Axis, isOperand, type Positions, type Slot } from './positions.js';
import { axisOf, forEachPair } from './relate.js';
import { WeightMatrix } from './weights.js';

interface Need {
  readonly needed: Uint8Array;
  /** Values that are needed at all: also those without positions (scalars, unknown shapes). */
  readonly touched: Set<Value>;
  readonly linearReads: LinearRead[];
}

export function propagateNeed(
  graph: Graph,
  sites: readonly NodeSite[],
  positions: Positions,
  constant: Float64Array,
  board: PinBoard,
): Pick<Need, 'needed' | 'linearReads'> {
  const need: Need = { needed: new Uint8Array(positions.count), touched: new Set(), linearReads: [] };
  const all = (slot: Slot | undefined) => needAll(slot, positions, need);
  for (const output of graph.outputs) all(output);
  for (const value of graph.values.values()) if (value.capturedBy.length > 0) all(value);

  for (const at of sites.toReversed()) {
    const { relation } = at;
    if (!at.node.outputs.some((value) => value !== undefined && need.touched.has(value))) {
      if (relation?.kind === 'linear') addIdleRead(at, relation, positions, need);
      continue;
    }
    if (relation === undefined) for (const slot of at.inSlots) all(slot);
    else if (relation.kind === 'extents') pinReadExtents(at, relation.start, positions, need, board);
    else if (relation.kind === 'pointwise') pointwise(at, relation, positions, constant, need);
    else if (relation.kind === 'linear') linear(at, relation, positions, constant, need);
    else grouped(at, relation, positions, constant, need);
  }
  return need;
}

function needAll(slot: Slot | undefined, positions: Positions, need: Need): void {
  if (slot === undefined || isOperand(slot)) return;
  need.touched.add(slot);
  for (const axis of positions.axesOf(slot)) if (axis !== undefined) fill(axis, need);
}

function fill(axis: Axis, { needed }: Need): void {
  needed.fill(1, axis.base, axis.base + axis.extent);
}

/** 1 where the output position matters: needed, and not already known. */
function matters(position: number, constant: Float64Array, { needed }: Need): boolean {
  return needed[position] === 1 && Number.isNaN(constant[position] ?? Number.NaN);
}

function pointwise(at: NodeSite, relation: Pointwise, positions: Positions, constant: Float64Array, need: Need): void {
  const linked = new Set<Axis>();
  const links = [...relation.links, ...(relation.choices ?? []).flatMap(({ candidates }) => candidates)];
  for (const link of links) {
    const forward = link.from.side === 'in';
    const source = axisOf(at, forward ? link.from : link.to, positions);
    const target = axisOf(at, forward ? link.to : link.from, positions);
    if (source === undefined || target === undefined) continue;
    linked.add(source);
    forEachPair(link, forward ? source.extent : target.extent, (from, to) => {
      const [inIndex, outIndex] = forward ? [from, to] : [to, from];
      if (matters(target.base + outIndex, constant, need)) need.needed[source.base + inIndex] = 1;
    });
  }
  const { reads } = relation;
  for (const [index, slot] of at.inSlots.entries()) {
    if (slot === undefined || isOperand(slot)) continue;
    need.touched.add(slot);
    for (const axis of positions.axesOf(slot)) {
      if (axis === undefined || linked.has(axis)) continue;
      if (reads?.from.index === index && reads.from.axis === axis.axis) {
        for (const position of reads.indices) need.needed[axis.base + position] = 1;
      } else fill(axis, need);
    }
  }
}

/** Outputs of the axis that matter. */
function mattering(y: Axis, constant: Float64Array, need: Need): number[] {
  const outputs: number[] = [];
  for (let index = 0; index < y.extent; index++) if (matters(y.base + index, constant, need)) outputs.push(index);
  return outputs;
}

function linear(at: NodeSite, relation: Linear, positions: Positions, constant: Float64Array, need: Need): void {
  const x = axisOf(at, relation.x, positions);
  const y = axisOf(at, relation.y, positions);
  const [slot] = at.inSlots;
  const tensor = at.site.constant(relation.weights.index);
  if (x === undefined || y === undefined || tensor === undefined) return needAll(slot, positions, need);
  const everyInput = Array.from({ length: x.extent }, (_, index) => index);
  const matrix = new WeightMatrix(tensor, relation.weights);
  const read = matrix.readInputs(mattering(y, constant, need), everyInput);
  const neededHere = new Uint8Array(x.extent);
  for (const index of read) {
    neededHere[index] = 1;
    need.needed[x.base + index] = 1;
  }
  need.linearReads.push({ at, relation, axis: x, needed: neededHere });
  if (read.length > 0) needOtherAxes(slot, x, positions, need);
}

/** All it makes is constant; where some of that stays, it still has to make up for the constants it no longer reads. */
function addIdleRead(at: NodeSite, relation: Linear, positions: Positions, need: Need): void {
  const axis = axisOf(at, relation.x, positions);
  if (axis !== undefined && at.site.constant(relation.weights.index) !== undefined)
    need.linearReads.push({ at, relation, axis, needed: new Uint8Array(axis.extent) });
}

function grouped(at: NodeSite, relation: Grouped, positions: Positions, constant: Float64Array, need: Need): void {
  const x = axisOf(at, relation.x, positions);
  const y = axisOf(at, relation.y, positions);
  const [slot] = at.inSlots;
  const tensor = at.site.constant(relation.weights.index);
  if (x === undefined || y === undefined || tensor === undefined) return needAll(slot, positions, need);
  const matrix = new WeightMatrix(tensor, { ...relation.weights, inAxis: 1 });
  const inputs = x.extent / relation.groups;
  const outputs = y.extent / relation.groups;
  let any = false;
  for (const output of mattering(y, constant, need)) {
    const start = Math.floor(output / outputs) * inputs;
    for (let input = 0; input < inputs; input++) {
      const alreadyNeeded = any && need.needed[x.base + start + input] === 1;
      if (alreadyNeeded || !matrix.connects(output, input)) continue;
      need.needed[x.base + start + input] = 1;
      any = true;
    }
  }
  if (any) needOtherAxes(slot, x, positions, need);
}

/** Once any channel is read, every place of it is. */
function needOtherAxes(slot: Slot | undefined, read: Axis, positions: Positions, need: Need): void {
  if (slot === undefined || isOperand(slot)) return;
  need.touched.add(slot);
  for (const axis of positions.axesOf(slot)) if (axis !== undefined && axis !== read) fill(axis, need);
}

function pinReadExtents(at: NodeSite, start: number, positions: Positions, need: Need, board: PinBoard): void {
  const [slot] = at.inSlots;
  const [output] = at.node.outputs;
  if (slot === undefined || output === undefined) return;
  const [elements] = positions.axesOf(output);
  for (const axis of positions.axesOf(slot)) {
    if (axis === undefined) continue;
    const element = axis.axis - start;
    const isRead =
      elements === undefined ||
      (element >= 0 && element < elements.extent && need.needed[elements.base + element] === 1);
    if (isRead) board.pinAxis(axis, { node: at.node, reason: `${at.node.label} reads its extent` });
  }
}
