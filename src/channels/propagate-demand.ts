/**
 * Backward pass: which positions reach an output of the model. A reader's output that is constant
 * needs nothing, because the weights that make it so are exactly zero on everything that varies.
 * Extents that are read become pins here.
 */
import type { Graph, Value } from '../ir/graph.js';
import { makesOnes } from '../ir/origin.js';
import type { LayerRelation, Pointwise } from '../ops/axes.js';
import {
  type AnalyzedNode,
  type FeedbackAxes,
  forEachPair,
  type HeadAxes,
  isDepthwise,
  type LayerAxes,
  readsTypeAlone,
  type ResolvedLink,
} from './analyzed-node.js';
import { readOfHeads } from './heads.js';
import type { Pin, PinBoard } from './pins.js';
import { pinBy } from './relate.js';
import { type Axis, isOperand, type Positions, type Slot } from './positions.js';
import { weightMatrix } from './weight-matrix.js';

/** A reader that ends a class: it sums over `axis`, or over a group of it. */
export interface LinearRead {
  readonly at: AnalyzedNode;
  readonly relation: LayerRelation;
  readonly axis: Axis;
  /** 1 where the index of `axis` reaches a needed output that is not constant. */
  readonly needed: Uint8Array;
}

export interface Demand {
  /** Per position: 1 when it is needed. */
  readonly needed: Uint8Array;
  readonly linearReads: readonly LinearRead[];
}

/** `constant`: per position the scalar, or NaN where it varies. */
export function propagateDemand(
  graph: Graph,
  nodes: readonly AnalyzedNode[],
  positions: Positions,
  constant: Float64Array,
  board: PinBoard,
): Demand {
  const pass = new DemandPass(positions, constant, board);
  for (const output of graph.outputs) pass.needAll(output);
  for (const value of graph.values.values()) if (value.capturedBy.length > 0) pass.needAll(value);
  for (const at of nodes.toReversed()) pass.visit(at);
  return pass;
}

class DemandPass implements Demand {
  readonly needed: Uint8Array;
  readonly linearReads: LinearRead[] = [];
  readonly #positions: Positions;
  readonly #constant: Float64Array;
  readonly #board: PinBoard;
  /** Values that are needed at all: also those without positions (scalars, unknown shapes). */
  readonly #touched = new Set<Value>();

  constructor(positions: Positions, constant: Float64Array, board: PinBoard) {
    this.needed = new Uint8Array(positions.count);
    this.#positions = positions;
    this.#constant = constant;
    this.#board = board;
  }

  needAll(slot: Slot | undefined): void {
    if (slot === undefined || isOperand(slot)) return;
    this.#touched.add(slot);
    for (const axis of this.#positions.axesOf(slot)) if (axis !== undefined) this.#fill(axis);
  }

  visit(at: AnalyzedNode): void {
    const { relation, layer } = at;
    if (!at.node.outputs.some((value) => value !== undefined && this.#touched.has(value))) {
      if (layer !== undefined) this.#addIdleRead(at, layer);
      return;
    }
    if (relation === undefined) for (const slot of at.inSlots) this.needAll(slot);
    else if (relation.kind === 'extents') this.#pinReadExtents(at, relation.start);
    else if (relation.kind === 'pointwise') this.#pointwise(at, relation);
    else if (layer !== undefined) this.#layer(at, layer);
  }

  #fill({ base, extent }: Axis): void {
    this.needed.fill(1, base, base + extent);
  }

  /** Whether the output position matters: needed, and not already known. */
  #matters(position: number): boolean {
    return this.needed[position] === 1 && Number.isNaN(this.#constant[position] ?? Number.NaN);
  }

  #pointwise(at: AnalyzedNode, { reads }: Pointwise): void {
    const linked = new Set<Axis>();
    if (at.feedback !== undefined) this.#fedBack(at, at.feedback);
    for (const links of [...at.links.map((link) => [link]), ...at.choices]) this.#alongLinks(links, linked);
    for (const axes of at.sums) this.#alongSum(at, axes, linked);
    if (at.heads !== undefined) this.#alongHeads(at.heads, linked);
    for (const [index, slot] of at.inSlots.entries()) {
      if (slot === undefined || isOperand(slot) || readsTypeAlone(at, index)) continue;
      this.#touched.add(slot);
      for (const axis of this.#positions.axesOf(slot)) {
        if (axis === undefined || linked.has(axis)) continue;
        if (reads?.input.index === index && reads.input.axis === axis.axis) {
          for (const position of reads.indices) this.needed[axis.base + position] = 1;
        } else this.#fill(axis);
      }
    }
  }

  /**
   * An input index is read where a linked output index matters; where several outputs are parts of
   * the input (a Reshape takes heads and their channels apart), all of its parts have to.
   */
  #alongLinks(links: readonly ResolvedLink[], linked: Set<Axis>): void {
    const parts = new Map<Axis, ResolvedLink[]>();
    for (const link of links) {
      const { input, output } = link;
      if (input === undefined || output === undefined) continue;
      linked.add(input);
      const ofInput = parts.get(input);
      if (ofInput === undefined) parts.set(input, [link]);
      else ofInput.push(link);
    }
    for (const [input, ofInput] of parts) {
      const ofParts = ofInput.map((link) => this.#readAlong(link, input));
      this.#needRead(
        input,
        ofParts.reduce((one, other) => one.map((read, index) => read & (other[index] ?? 0))),
      );
    }
  }

  #needRead({ base }: Axis, read: Uint8Array): void {
    for (let index = 0; index < read.length; index++) if (read[index] === 1) this.needed[base + index] = 1;
  }

  /** Per index of the input 1 where a linked output index matters. */
  #readAlong(link: ResolvedLink, input: Axis): Uint8Array {
    const read = new Uint8Array(input.extent);
    const { base } = link.output ?? input;
    if (link.blocks === undefined)
      for (let index = 0; index < input.extent; index++) read[index] = this.#matters(base + index) ? 1 : 0;
    else
      forEachPair(link, (from, to) => {
        if (this.#matters(base + to)) read[from] = 1;
      });
    return read;
  }

  /** What is summed over together is read where none of the operands is zero, and then stays. */
  #alongSum(at: AnalyzedNode, axes: readonly (Axis | undefined)[], linked: Set<Axis>): void {
    const known = axes.filter((axis) => axis !== undefined);
    const extent = Math.max(0, ...known.map((axis) => axis.extent));
    const read: number[] = [];
    for (let index = 0; index < extent; index++)
      if (known.every(({ base }) => this.#constant[base + index] !== 0)) read.push(index);
    for (const axis of known) {
      linked.add(axis);
      const positions = read.map((index) => axis.base + index);
      for (const position of positions) this.needed[position] = 1;
      this.#board.pinPositions(positions, alivePin(at, known.length === 1));
    }
  }

  /** What is fed back into anything is read, whoever reads it besides, and then stays. */
  #fedBack(at: AnalyzedNode, { outputs, weights }: FeedbackAxes): void {
    for (const output of outputs) {
      const read: number[] = [];
      for (let index = 0; index < output.extent; index++) {
        const isUnread = weights !== undefined && this.#constant[weights.base + index] === 0;
        if (!isUnread && this.#constant[output.base + index] !== 0) read.push(output.base + index);
      }
      for (const position of read) this.needed[position] = 1;
      this.#board.pinPositions(read, pinBy(at, 'alive', `${at.node.label} feeds it back to itself`));
    }
  }

  /** Of heads that matter, what is summed over and not zero. The links say it of the values. */
  #alongHeads(heads: HeadAxes, linked: Set<Axis>): void {
    for (const axis of heads.axes) linked.add(axis);
    const matters = (position: number) => this.#matters(position);
    const isZero = (position: number) => this.#constant[position] === 0;
    for (const position of readOfHeads(heads, { matters, isZero })) this.needed[position] = 1;
  }

  /** Outputs of the axis that matter. */
  #mattering(y: Axis): number[] {
    const outputs: number[] = [];
    for (let index = 0; index < y.extent; index++) if (this.#matters(y.base + index)) outputs.push(index);
    return outputs;
  }

  #layer(at: AnalyzedNode, layer: LayerAxes): void {
    const { x, y, relation } = layer;
    const slot = at.inSlots[relation.x.index];
    const matrix = weightMatrix(at.site, relation);
    if (x === undefined || y === undefined || matrix === undefined) return this.needAll(slot);
    if (relation.rangesInput === true) this.#alongSum(at, [x], new Set());
    const read = matrix.inputsOf(this.#mattering(y));
    this.#needRead(x, read);
    if (!isDepthwise(layer)) this.linearReads.push({ at, relation, axis: x, needed: read });
    // The ones of indicators read no channel, but they have the extents of the image.
    if (read.includes(1) || makesOnes(at.node)) this.#needOtherAxes(slot, x);
  }

  /**
   * All it makes is constant; where some of that stays, it still has to make up for the constants
   * it no longer reads.
   */
  #addIdleRead(at: AnalyzedNode, layer: LayerAxes): void {
    const { x, relation } = layer;
    if (x !== undefined && !isDepthwise(layer) && at.site.constant(relation.weights.index) !== undefined)
      this.linearReads.push({ at, relation, axis: x, needed: new Uint8Array(x.extent) });
  }

  /** Once any channel is read, every place of it is. */
  #needOtherAxes(slot: Slot | undefined, read: Axis): void {
    if (slot === undefined || isOperand(slot)) return;
    this.#touched.add(slot);
    for (const axis of this.#positions.axesOf(slot)) if (axis !== undefined && axis !== read) this.#fill(axis);
  }

  #pinReadExtents(at: AnalyzedNode, start: number): void {
    const [slot] = at.inSlots;
    const [output] = at.node.outputs;
    if (slot === undefined || output === undefined) return;
    const [elements] = this.#positions.axesOf(output);
    for (const axis of this.#positions.axesOf(slot)) {
      if (axis === undefined) continue;
      const element = axis.axis - start;
      const isRead =
        elements === undefined ||
        (element >= 0 && element < elements.extent && this.needed[elements.base + element] === 1);
      if (isRead) this.#board.pinAxis(axis, pinBy(at, 'extent', `${at.node.label} reads its extent`));
    }
  }
}

/** Alone: of one operand, so that nothing else has to be zero. */
function alivePin(at: AnalyzedNode, isAlone: boolean): Pin {
  const { label } = at.node;
  return isAlone
    ? { ...pinBy(at, 'alive', `${label} makes a scale of all that is not zero`), isWhileAlive: true }
    : pinBy(at, 'alive', `${label} sums over it, and it is alive`);
}
