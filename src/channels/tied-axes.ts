/**
 * Which axes get positions: those that operators tie to channels of a layer, to a constant operand,
 * or to a list of extents. Nothing of the others can ever go, and there are as many rows and
 * columns as an image has: nobody numbers them.
 */
import type { Dim } from '../ir/graph.js';
import { type AxisRef, weightsRefs } from '../ops/axes.js';
import { choicesOf, headsOf, type NodeSite, sumsOf } from './analyzed-node.js';
import { isOperand, type Slot } from './positions.js';

export type AxisTest = (slot: Slot, axis: number) => boolean;

/** Says of the axes of `slots` whether they are tied to anything, and whether to a layer. */
export function tiedAxes(
  slots: ReadonlyMap<Slot, readonly Dim[]>,
  sites: readonly NodeSite[],
): { readonly isTied: AxisTest; readonly isOfLayer: AxisTest } {
  const axes = new AxisNumbers(slots);
  const seeds: number[] = [];
  const ofLayers: number[] = [];
  for (const at of sites) {
    const { relation } = at;
    if (relation === undefined) continue;
    if (relation.kind === 'extents') {
      for (const value of at.node.outputs) if (value !== undefined) seeds.push(...axes.of(value));
      continue;
    }
    const input = ({ index, axis }: AxisRef) => axes.at(at.inSlots[index], axis);
    const output = ({ index, axis }: AxisRef) => axes.at(at.node.outputs[index], axis);
    for (const link of [...relation.links, ...choicesOf(at).flat()]) axes.tie(input(link.input), output(link.output));
    for (const sum of sumsOf(at)) {
      const [first, ...others] = sum;
      for (const other of others) if (first !== undefined) axes.tie(input(first), input(other));
      // Weights of more axes than a matrix: those that they make are channels, too.
      const weights = sum.find(({ index }) => isOperandAt(at, index));
      if (weights === undefined) continue;
      const made = relation.links.flatMap((link) => (link.input.index === weights.index ? [output(link.output)] : []));
      ofLayers.push(...[input(weights), ...made].filter((number) => number !== undefined));
    }
    const heads = headsOf(at);
    for (const part of heads === undefined ? [] : [heads.query, heads.key, heads.value, heads.masks].flat())
      axes.tie(input(part), output({ index: 0, axis: heads?.output ?? 0 }));
    if (relation.kind === 'pointwise') {
      ofLayers.push(...(relation.feedback?.outputs ?? []).flatMap((ref) => output(ref) ?? []));
      continue;
    }
    const weights = weightsRefs(relation);
    const [x, y] = [input(relation.x), output(relation.y)];
    ofLayers.push(...[x, y].filter((number) => number !== undefined));
    axes.tie(weights.out && input(weights.out), y);
    axes.tie(weights.in && input(weights.in), x);
    if (relation.kind === 'grouped') axes.tie(x, y);
    axes.tie(y, biasAxis(at, relation.bias?.index, axes));
  }
  for (const slot of slots.keys()) if (isOperand(slot)) seeds.push(...axes.of(slot));
  const isIn = (numbers: readonly number[]): AxisTest => {
    const classes = new Set(numbers.map((number) => axes.classOf(number)));
    return (slot, axis) => {
      const number = axes.at(slot, axis);
      return number !== undefined && classes.has(axes.classOf(number));
    };
  };
  return { isTied: isIn([...seeds, ...ofLayers]), isOfLayer: isIn(ofLayers) };
}

function isOperandAt(at: NodeSite, index: number): boolean {
  const slot = at.inSlots[index];
  return slot !== undefined && isOperand(slot);
}

/** The last axis of a layer's bias goes with its outputs. */
function biasAxis(at: NodeSite, index: number | undefined, axes: AxisNumbers): number | undefined {
  const slot = index === undefined ? undefined : at.inSlots[index];
  return slot === undefined ? undefined : axes.of(slot).at(-1);
}

/** Axes, numbered, in classes (union-find). */
class AxisNumbers {
  readonly #first = new Map<Slot, number>();
  readonly #ranks = new Map<Slot, number>();
  readonly #parent: number[] = [];

  constructor(slots: ReadonlyMap<Slot, readonly Dim[]>) {
    for (const [slot, dims] of slots) {
      this.#first.set(slot, this.#parent.length);
      this.#ranks.set(slot, dims.length);
      for (const _ of dims) this.#parent.push(this.#parent.length);
    }
  }

  at(slot: Slot | undefined, axis: number): number | undefined {
    const first = slot === undefined ? undefined : this.#first.get(slot);
    const isThere = slot !== undefined && axis >= 0 && axis < (this.#ranks.get(slot) ?? 0);
    return first === undefined || !isThere ? undefined : first + axis;
  }

  of(slot: Slot): number[] {
    const first = this.#first.get(slot) ?? 0;
    return Array.from({ length: this.#ranks.get(slot) ?? 0 }, (_, axis) => first + axis);
  }

  classOf(number: number): number {
    let at = number;
    for (let up = this.#parent[at] ?? at; up !== at; up = this.#parent[at] ?? at) {
      this.#parent[at] = this.#parent[up] ?? up;
      at = up;
    }
    return at;
  }

  tie(a: number | undefined, b: number | undefined): void {
    if (a !== undefined && b !== undefined) this.#parent[this.classOf(a)] = this.classOf(b);
  }
}
