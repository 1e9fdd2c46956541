/**
 * gather-shuffles: writes a shuffle of channels as a Gather, where not the same is dead in every
 * group, and a Slice with steps where anything is dead. A Gather of everything in order goes.
 *
 *   Slice(x, axis 1, start 1, step 2)   =>   Gather(x, [1, 3, 5, …])
 *   x -> Reshape [N, 2, C/2, H, W] -> Transpose -> Reshape [N, C, H, W]     =>     Gather(x, [0, C/2, 1, C/2 + 1, …])
 *
 * Exact? Bitwise: the same elements in the same order. Declines where the axes that are turned are
 * not all made from one axis and become it again, where somebody else reads what is in between, and
 * where the groups can shrink alike, as they are, and their targets are no computed ones. Cost: none; one node copies the data in place of
 * one. A Gather lets every channel go on its own; a Reshape only a channel of each group with those
 * at its place in the others.
 */
import type { Facts } from '../src/channels/facts.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import type { Editor } from '../src/ir/editor.js';
import type { Node, Value } from '../src/ir/graph.js';
import { INT64, product, Tensor } from '../src/ir/tensor.js';
import type { Extent } from '../src/ops/site.js';
import { type Pass, type PassResult, UNCHANGED } from './pass.js';

/** What a Gather may stand for. */
interface Picked {
  readonly input: Value;
  readonly output: Value;
  readonly axis: number;
  /** Per index of the output the index of the input. */
  readonly picks: readonly number[];
}

interface Shuffle extends Picked {
  /** Extents that the axis is taken apart into. */
  readonly parts: readonly number[];
  readonly reshapes: readonly Node[];
}

export const gatherShuffles: Pass = {
  name: 'gather-shuffles',
  summary: 'write shuffles of unequal groups of channels as a Gather',
  exactness: 'bitwise',
  async run({ editor, graphInfo, facts: analyzed }) {
    const before = await graphInfo();
    const isDropped = dropWholes(editor, before);
    const known = isDropped ? await graphInfo() : before;
    const keys = new ExtentKeys(known);
    const shuffles = known.graph.nodes.flatMap((node) => shuffleAt(node, keys) ?? []);
    const strides = known.graph.nodes.flatMap((node) => stridesAt(node, known) ?? []);
    if (shuffles.length + strides.length === 0) return isDropped ? DROPPED : UNCHANGED;
    const facts = await analyzed();
    // One Slice that stays would hold the whole axis for all others of its input.
    const dead = strides.filter(
      (stride) => skipsDead(stride, strides, facts) || statesOf(stride, facts).some((state) => state !== undefined),
    );
    const inputs = new Set(dead.map(({ input }) => input));
    const unequal = [
      ...shuffles.filter((shuffle) => hasUnequalGroups(shuffle, facts)),
      ...strides.filter(({ input }) => inputs.has(input)),
    ];
    if (unequal.length === 0) return isDropped ? DROPPED : UNCHANGED;
    const changed = editor.transaction('gather shuffles', () => {
      for (const shuffle of unequal) replace(editor, shuffle);
    });
    const remarks = unequal.map(({ output }) => ({
      kind: 'applied' as const,
      message: `${output.name} is picked channel by channel: what is dead has no places in common`,
    }));
    return { changed, gains: false, remarks };
  },
};

const DROPPED: PassResult = { changed: true, gains: false, remarks: [] };

/** Whether any Gather picked all of an axis in its order; what picked some may do so now. */
function dropWholes(editor: Editor, { graph, constants, shapes }: GraphInfo): boolean {
  const wholes = graph.nodes.filter((node) => {
    const [input, indices] = node.inputs;
    const [output] = node.outputs;
    const list = constants.tensor(indices);
    const dims = input === undefined ? undefined : shapes.of(input);
    if (!isPlain(node, 'Gather') || output === undefined || output.isSeenOutside || dims === undefined) return false;
    const axis = node.int('axis', 0);
    const extent = dims[axis < 0 ? axis + dims.length : axis];
    if (list?.dims.length !== 1 || list.size !== extent || constants.has(output)) return false;
    return list.numbers().every((index, at) => index === at);
  });
  if (wholes.length === 0) return false;
  return editor.transaction('drop gathers of everything', () => {
    for (const { inputs, outputs } of wholes) {
      const [input, output] = [inputs[0], outputs[0]];
      if (input !== undefined && output !== undefined) editor.replaceAllUsesWith(output, input);
    }
  });
}

/**
 * Reshape, Transpose, Reshape, of which `last` is the last. Whatever becomes of the axes behind the
 * channels in between, they have as many elements as before, in their order.
 */
function shuffleAt(last: Node, keys: ExtentKeys): Shuffle | undefined {
  const turn = producerOf(last, 'Reshape')?.node;
  const first = turn && producerOf(turn, 'Transpose')?.node;
  const [input] = first === undefined || !isPlain(first, 'Reshape') ? [] : first.inputs;
  const [output] = last.outputs;
  const order = turn?.ints('perm');
  const apart = turn?.inputs[0];
  if (input === undefined || output === undefined || apart === undefined || order === undefined) return undefined;
  if (first === undefined || (output.uses.length === 0 && !output.isSeenOutside)) return undefined;
  const [before, parts, after] = [keys.extents(input), keys.extents(apart), keys.extents(output)];
  if (before === undefined || parts === undefined || after === undefined || !isSameShape(before, after))
    return undefined;
  // The axes in front stay, and nothing but parts of one axis is turned.
  const axis = order.findIndex((from, to) => from !== to);
  const isFront = before.slice(0, axis).every((extent, at) => extent === parts[at]);
  const extents = axis < 0 || !isFront ? undefined : partsOf(before[axis], parts.slice(axis));
  if (extents === undefined || order.some((from, to) => from !== to && to >= axis + extents.length)) return undefined;
  const picks = turnedIndices(
    extents,
    extents.map((_, at) => (order[axis + at] ?? 0) - axis),
  );
  return { input, output, axis, parts: extents, picks, reshapes: [first, last] };
}

/** The first of `extents`, as many as make up the whole. */
function partsOf(whole: Extent | undefined, extents: readonly Extent[]): readonly number[] | undefined {
  const parts: number[] = [];
  for (const extent of extents) {
    if (typeof extent !== 'number' || product(parts) === whole) break;
    parts.push(extent);
  }
  return product(parts) === whole ? parts : undefined;
}

/** With as many elements in all, a single extent that has another name is the same one. */
function isSameShape(before: readonly Extent[], after: readonly Extent[]): boolean {
  const others = before.filter((extent, axis) => extent !== after[axis]);
  return before.length === after.length && others.length <= 1 && others.every((extent) => typeof extent === 'string');
}

/** A Slice of one axis with a step of more than 1: what is left of it has no common step. */
function stridesAt(node: Node, { constants, shapes }: GraphInfo): Picked | undefined {
  const [input, ...bounds] = node.inputs;
  const [output] = node.outputs;
  if (output?.uses.length === 0 && !output.isSeenOutside) return undefined;
  if (!isPlain(node, 'Slice') || input === undefined || output === undefined || bounds.length !== 4) return undefined;
  const numbers = bounds.map((value) => constants.tensor(value)?.numbers());
  if (numbers.some((list) => list?.length !== 1)) return undefined;
  const [start = 0, end = 0, listed = 0, step = 1] = numbers.map((list) => Number(list?.[0]));
  const dims = shapes.of(input);
  const axis = listed < 0 ? listed + (dims?.length ?? 0) : listed;
  const extent = dims?.[axis];
  if (typeof extent !== 'number' || step <= 1) return undefined;
  const bound = (at: number) => Math.max(0, Math.min(extent, at < 0 ? at + extent : at));
  const all = Array.from({ length: extent }, (_, index) => index).slice(bound(start), bound(end));
  const picks = all.filter((_, at) => at % step === 0);
  return picks.length === 0 ? undefined : { input, output, axis, picks };
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
 * widest of the parts is the one that a Reshape lets shrink, unless its target is computed.
 */
function hasUnequalGroups({ parts, reshapes, ...shuffle }: Shuffle, facts: Facts): boolean {
  const states = statesOf(shuffle, facts);
  const widest = parts.indexOf(Math.max(...parts));
  const inner = product(parts.slice(widest + 1));
  const found = Array.from({ length: parts[widest] ?? 0 }, () => new Set<number | undefined>());
  for (const [at, state] of states.entries()) {
    const index = shuffle.picks[at] ?? 0;
    found[Math.floor(index / inner) % found.length]?.add(state);
  }
  const areFollowed = reshapes.every((node) => (facts.nodeOf.get(node)?.choices.length ?? 0) > 0);
  return found.some((here) => here.size > 1 || (!areFollowed && here.size > 0 && !here.has(undefined)));
}

/** Whether an index that no such Slice takes is a constant, or is read by nobody else. */
function skipsDead({ input, axis }: Picked, strides: readonly Picked[], { positions, constant }: Facts): boolean {
  const along = positions.axesOf(input)[axis];
  if (along === undefined) return false;
  const others = strides.filter((other) => other.input === input && other.axis === axis);
  const taken = new Set(others.flatMap(({ picks }) => picks));
  const isReadElsewhere = input.isSeenOutside || input.uses.length > others.length;
  return Array.from({ length: along.extent }, (_, index) => index).some(
    (index) => !taken.has(index) && !(isReadElsewhere && Number.isNaN(constant[along.base + index] ?? Number.NaN)),
  );
}

/**
 * Per index of the output the constant there: undefined of one that varies, NaN of one that nobody
 * needs. None where channels are not followed.
 */
function statesOf({ input, output, axis, picks }: Picked, facts: Facts): (number | undefined)[] {
  const [from, to] = [facts.positions.axesOf(input)[axis], facts.positions.axesOf(output)[axis]];
  if (from === undefined || to === undefined) return [];
  return picks.map((index, at) => {
    const constant = facts.constant[from.base + index] ?? Number.NaN;
    const isNeeded = facts.needed[to.base + at] === 1;
    return Number.isNaN(constant) && isNeeded ? undefined : constant;
  });
}

function replace(editor: Editor, { input, output, axis, picks }: Picked): void {
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
