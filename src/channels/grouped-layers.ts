/**
 * What group-balance.ts counts: how many channels go from each group of a grouped layer, on the side
 * of its inputs and on that of its outputs.
 */
import { product } from '../ir/tensor.js';
import { groupsOf } from '../ops/axes.js';
import { operatorOf } from '../ops/registry.js';
import { type AnalyzedNode, isDepthwise } from './analyzed-node.js';
import type { Axis } from './positions.js';

export class Side {
  readonly layer: GroupedLayer;
  readonly name: 'input' | 'output';
  readonly axis: Axis;
  readonly perGroup: number;
  /** How many go from every group that stays, once the layer is balanced. */
  target = 0;
  readonly #removed: Int32Array;
  /** What went before anything was put back. */
  #wanted: Int32Array;

  constructor(layer: GroupedLayer, name: Side['name'], axis: Axis) {
    this.layer = layer;
    this.name = name;
    this.axis = axis;
    this.perGroup = axis.extent / layer.groups;
    this.#removed = new Int32Array(layer.groups);
    this.#wanted = this.#removed;
  }

  groupOf(index: number): number {
    return Math.floor(index / this.perGroup);
  }

  removed(group: number): number {
    return this.#removed[group] ?? 0;
  }

  count(isGoing: (axis: Axis, index: number) => boolean): void {
    this.#removed.fill(0);
    for (let index = 0; index < this.axis.extent; index++)
      if (isGoing(this.axis, index)) this.add(this.groupOf(index), 1);
    this.#wanted = this.#removed.slice();
  }

  /** `count` more channels of the group go. */
  add(group: number, count: number): void {
    this.#removed[group] = this.removed(group) + count;
  }

  /** How many channels of the group are to be put back. */
  excess(group: number): number {
    return this.layer.isGone(group) ? 0 : this.removed(group) - this.target;
  }

  /**
   * The group that keeps the most; of several the one that had to from the beginning. Undefined
   * where no group needs any channel, and one of each has to stay all the same.
   */
  get fullest(): number | undefined {
    const atFirst = (group: number) => this.#wanted[group] ?? 0;
    let fullest = 0;
    for (let group = 1; group < this.layer.groups; group++) {
      const more = this.removed(fullest) - this.removed(group);
      if (more > 0 || (more === 0 && atFirst(group) < atFirst(fullest))) fullest = group;
    }
    return atFirst(fullest) === this.perGroup && this.target === this.perGroup - 1 ? undefined : fullest;
  }
}

export class GroupedLayer {
  readonly at: AnalyzedNode;
  readonly groups: number;
  readonly input: Side;
  readonly output: Side;
  /** Whether groups may go whole; if not, every group stays. */
  #wholeGroups = true;

  constructor(at: AnalyzedNode, groups: number, x: Axis, y: Axis) {
    this.at = at;
    this.groups = groups;
    this.input = new Side(this, 'input', x);
    this.output = new Side(this, 'output', y);
  }

  /** Whether all inputs and all outputs of the group go. */
  isGone(group: number): boolean {
    const { input, output } = this;
    return this.#wholeGroups && input.removed(group) === input.perGroup && output.removed(group) === output.perGroup;
  }

  /** How many groups stay. */
  get left(): number {
    let left = 0;
    for (let group = 0; group < this.groups; group++) if (!this.isGone(group)) left++;
    return left;
  }

  /** Multiply-accumulates, in units that are the same for all layers of static sizes. */
  get macs(): number {
    const { input, output, left } = this;
    const live = (side: Side) => Math.max(0, left * (side.perGroup - side.target));
    return left === 0 ? 0 : ((live(input) * live(output)) / left) * macsPerPair(this.at);
  }

  count(isGoing: (axis: Axis, index: number) => boolean, wholeGroups: boolean): void {
    this.#wholeGroups = wholeGroups;
    for (const side of [this.input, this.output]) side.count(isGoing);
    this.aim();
  }

  /** What the group with the fewest that go allows; a group that stays keeps at least one channel. */
  aim(): void {
    for (const side of [this.input, this.output]) {
      side.target = side.perGroup - 1;
      for (let group = 0; group < this.groups; group++)
        if (!this.isGone(group)) side.target = Math.min(side.target, side.removed(group));
    }
  }
}

/** Undefined for layers without groups, and where a group is one channel: there classes do it. */
export function groupedLayer(at: AnalyzedNode): GroupedLayer | undefined {
  const { layer } = at;
  if (layer?.relation.kind !== 'grouped' || isDepthwise(layer)) return undefined;
  const { x, y, relation } = layer;
  if (x === undefined || y === undefined) return undefined;
  return new GroupedLayer(at, relation.groups, x, y);
}

/** What one output channel costs per input channel that it reads. */
export function macsPerPair({ node, site, layer }: AnalyzedNode): number {
  if (layer?.x === undefined || layer.y === undefined) return 0;
  const pairs = (layer.x.extent * layer.y.extent) / groupsOf(layer.relation);
  const macs = operatorOf(node)?.macs?.(site);
  if (macs !== undefined) return macs / pairs;
  return product(site.constant(layer.relation.weights.index)?.dims.slice(2) ?? []);
}
