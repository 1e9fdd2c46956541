/**
 * gather-shuffles: writes a shuffle of channels as a Gather, where not the same is dead in every
 * group.
 *
 *   x -> Reshape [N, 2, C/2, H, W] -> Transpose -> Reshape [N, C, H, W]     =>     Gather(x, [0, C/2, 1, C/2 + 1, …])
 *
 * Exact? Bitwise: the same elements in the same order. Declines where the axes that are turned are
 * not all made from one axis and become it again, where somebody else reads what is in between, and
 * where the groups can shrink alike, as they are. Cost: none; one node copies the data in place of
 * one. A Gather lets every channel go on its own; a Reshape only a channel of each group with those
 * at its place in the others.
 */
import type { Facts } from '../src/channels/facts.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Editor } from '../src/ir/editor.js';
import type { Dim, Node, Value } from '../src/ir/graph.js';
import { INT64, product, Tensor } from '../src/ir/tensor.js';
import { groupAxes } from '../src/ops/reshape.js';
import { type Pass, UNCHANGED } from './pass.js';

interface Shuffle {
  readonly input: Value;
  readonly output: Value;
  readonly axis: number;
  /** Extents that the axis is taken apart into. */
  readonly parts: readonly number[];
  /** Per index of the output the index of the input. */
  readonly picks: readonly number[];
}

export const gatherShuffles: Pass = {
  name: 'gather-shuffles',
  summary: 'write shuffles of unequal groups of channels as a Gather',
  exactness: 'bitwise',
  async run({ editor, graphInfo, facts: analyzed }) {
    const known = await graphInfo();
    const shuffles = known.graph.nodes.flatMap((node) => shuffleAt(node, known) ?? []);
    if (shuffles.length === 0) return UNCHANGED;
    const facts = await analyzed();
    const unequal = shuffles.filter((shuffle) => hasUnequalGroups(shuffle, facts));
    if (unequal.length === 0) return UNCHANGED;
    const changed = editor.transaction('gather shuffles', () => {
      for (const shuffle of unequal) replace(editor, shuffle);
    });
    const remarks = unequal.map(({ output }) => ({
      kind: 'applied' as const,
      message: `${output.name} is picked channel by channel: not the same is dead in every group of the shuffle`,
    }));
    return { changed, gains: false, remarks };
  },
};

/** Reshape, Transpose, Reshape, of which `last` is the last. */
function shuffleAt(last: Node, { shapes }: GraphInfo): Shuffle | undefined {
  const turn = producerOf(last, 'Reshape')?.node;
  const first = turn && producerOf(turn, 'Transpose');
  const [input] = first?.node === undefined || !isPlain(first.node, 'Reshape') ? [] : first.node.inputs;
  const [output] = last.outputs;
  const order = turn?.ints('perm');
  const [turned] = last.inputs;
  const apart = turn?.inputs[0];
  const dims = [input, apart, turned, output].map((value) => shapes.of(value));
  if (input === undefined || output === undefined || order === undefined) return undefined;
  if (output.uses.length === 0 && !output.isSeenOutside) return undefined;
  const [before, parts, moved, after] = dims;
  if (before === undefined || parts === undefined || moved === undefined || after === undefined) return undefined;
  const split = soleGroup(before, parts);
  const merged = soleGroup(after, moved);
  if (split === undefined || merged === undefined || split.whole !== merged.whole) return undefined;
  if (split.parts.join() !== merged.parts.join()) return undefined;
  if (!isSameShape(before, after)) return undefined;
  // Nothing else is turned.
  if (order.some((from, to) => from !== to && !split.parts.includes(to))) return undefined;
  const extents = split.parts.map((axis) => parts[axis]);
  if (!extents.every((extent) => typeof extent === 'number')) return undefined;
  const places = split.parts.map((axis) => split.parts.indexOf(order[axis] ?? -1));
  return { input, output, axis: split.whole, parts: extents, picks: turnedIndices(extents, places) };
}

/** With as many elements in all, a single extent that has another name is the same one. */
function isSameShape(before: readonly Dim[], after: readonly Dim[]): boolean {
  const others = before.filter((extent, axis) => extent !== after[axis] || extent === '');
  return before.length === after.length && others.length <= 1 && others.every((extent) => typeof extent === 'string');
}

/** The node that makes what `node`, an operator of this type, reads; nobody else reads it. */
function producerOf(node: Node, opType: string): { readonly node: Node } | undefined {
  const [value] = node.inputs;
  if (!isPlain(node, opType) || value?.producer === undefined || !value.hasSingleUse) return undefined;
  return { node: value.producer };
}

function isPlain(node: Node, opType: string): boolean {
  return node.opType === opType && node.domain === '';
}

/** The one axis that is taken apart, and the axes that it becomes; every other stays as it is. */
function soleGroup(
  whole: readonly Dim[],
  apart: readonly Dim[],
): { readonly whole: number; readonly parts: readonly number[] } | undefined {
  const groups = groupAxes(whole, apart);
  const changed = groups?.filter(({ before, after }) => before.length !== 1 || after.length !== 1);
  const [group, ...others] = changed ?? [];
  const [axis, ...more] = group?.before ?? [];
  if (group === undefined || axis === undefined || others.length + more.length > 0) return undefined;
  return { whole: axis, parts: group.after };
}

/** Where each element of the turned array was. `order`: per axis of it the axis before. */
function turnedIndices(extents: readonly number[], order: readonly number[]): number[] {
  const turned = order.map((axis) => extents[axis] ?? 1);
  const strides = extents.map((_, axis) => product(extents.slice(axis + 1)));
  return Array.from({ length: product(extents) }, (_, at) => {
    let rest = at;
    let from = 0;
    for (let axis = order.length - 1; axis >= 0; axis--) {
      const extent = turned[axis] ?? 1;
      from += (rest % extent) * (strides[order[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / extent);
    }
    return from;
  });
}

/**
 * Whether of the channels at one place of the groups some could go, and not all of them alike. The
 * widest of the parts is the one that a Reshape lets shrink.
 */
function hasUnequalGroups({ input, output, axis, parts, picks }: Shuffle, facts: Facts): boolean {
  const [from, to] = [facts.positions.axesOf(input)[axis], facts.positions.axesOf(output)[axis]];
  if (from === undefined || to === undefined) return false;
  const widest = parts.indexOf(Math.max(...parts));
  const inner = product(parts.slice(widest + 1));
  /** Per place the constants there: undefined of one that varies, NaN of one that nobody needs. */
  const found = Array.from({ length: parts[widest] ?? 0 }, () => new Set<number | undefined>());
  for (const [at, index] of picks.entries()) {
    const constant = facts.constant[from.base + index] ?? Number.NaN;
    const isNeeded = facts.needed[to.base + at] === 1;
    const state = Number.isNaN(constant) && isNeeded ? undefined : constant;
    found[Math.floor(index / inner) % found.length]?.add(state);
  }
  return found.some((states) => states.size > 1);
}

function replace(editor: Editor, { input, output, axis, picks }: Shuffle): void {
  const list = Tensor.fromNumbers(INT64, [picks.length], picks);
  const indices = editor.addInitializer(`${output.name}_picks`, list);
  const node = editor.addNode(
    {
      opType: 'Gather',
      name: editor.graph.freshNodeName(`${output.name}_picks`),
      inputs: [input, indices],
      outputs: [`${output.name}_picked`],
      attributes: { axis: { kind: 'int', value: axis } },
    },
    output.producer,
  );
  const [made] = node.outputs;
  if (made !== undefined) editor.swapProducers(output, made);
}
