/** The same elements in the same order under other dims: Reshape, Flatten, Squeeze, Unsqueeze. */
import type { Dim, Node } from '../ir/graph.js';
import { INT64, Tensor } from '../ir/tensor.js';
import {
  type AxisRef,
  type Choice,
  type Link,
  link,
  normalAxis,
  type Pointwise,
  type Relation,
  unchanged,
} from './axes.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import { productOf, quotientOf } from './extents.js';
import type { Elements, Extent, ShapeSite, Site } from './site.js';

/** Axes of both sides whose extents have the same product. */
interface Group {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

interface Grouping {
  readonly groups: Group[];
  /** Whether every axis is in one. */
  readonly isWhole: boolean;
}

/**
 * Cuts two shapes of the same data into the smallest groups of equal size. Symbolic dims stand alone
 * on both sides: all but one pair with equal names (the total is equal, so then the last pair is
 * too). Where they do not, what stands before the first and after the last one is still
 * grouped: it counts the same blocks of elements, and the same elements within a block.
 */
export function groupAxes(before: readonly Dim[], after: readonly Dim[]): Group[] {
  const all = groupsFrom(before, after);
  if (all.isWhole) return all.groups;
  const size = { before: before.length, after: after.length };
  const last = groupsFrom(before.toReversed(), after.toReversed(), 0).groups.map((group) => mirrored(group, size));
  const isFree = (side: 'before' | 'after') => {
    const taken = new Set(last.flatMap((group) => group[side]));
    return (_: Dim, axis: number) => !taken.has(axis);
  };
  // What is taken comes after what is free: the axes keep their numbers.
  const first = groupsFrom(before.filter(isFree('before')), after.filter(isFree('after')), 0);
  return [...first.groups, ...last.toReversed()];
}

function mirrored(group: Group, size: { readonly before: number; readonly after: number }): Group {
  return {
    before: group.before.map((axis) => size.before - 1 - axis).toReversed(),
    after: group.after.map((axis) => size.after - 1 - axis).toReversed(),
  };
}

/** From the first axis on, as far as it goes; `mostUnnamed` pairs need not have equal names. */
function groupsFrom(before: readonly Dim[], after: readonly Dim[], mostUnnamed = 1): Grouping {
  const groups: Group[] = [];
  let unnamedPairs = 0;
  let i = 0;
  let j = 0;
  const upToHere = () => ({ groups, isWhole: false });
  while (i < before.length || j < after.length) {
    const from = before[i] ?? 1;
    const to = after[j] ?? 1;
    if (typeof from === 'string' && typeof to === 'string') {
      if (from !== to || from === '') unnamedPairs++;
      if (unnamedPairs > mostUnnamed) return upToHere();
      groups.push({ before: [i++], after: [j++] });
    } else if (typeof from === 'string') {
      if (to !== 1 || j >= after.length) return upToHere();
      groups.push({ before: [], after: [j++] });
    } else if (typeof to === 'string') {
      if (from !== 1 || i >= before.length) return upToHere();
      groups.push({ before: [i++], after: [] });
    } else {
      const group = staticGroup(before, after, i, j);
      if (group === undefined) return upToHere();
      groups.push(group);
      i += group.before.length;
      j += group.after.length;
    }
  }
  return { groups, isWhole: true };
}

function staticGroup(before: readonly Dim[], after: readonly Dim[], i: number, j: number): Group | undefined {
  const group = { before: [] as number[], after: [] as number[] };
  const next = { left: i, right: j };
  const size = { left: 1, right: 1 };
  const take = (side: 'left' | 'right'): boolean => {
    const at = next[side]++;
    const dim = (side === 'left' ? before : after)[at];
    if (typeof dim !== 'number' || dim === 0) return false;
    (side === 'left' ? group.before : group.after).push(at);
    size[side] *= dim;
    return true;
  };
  if (i < before.length && !take('left')) return undefined;
  if (j < after.length && !take('right')) return undefined;
  while (size.left !== size.right) {
    if (!take(size.left < size.right ? 'left' : 'right')) return undefined;
  }
  return group;
}

/**
 * Reshape-5…-23. A computed target repeats extents that nobody could adjust: only the axis where it
 * says -1 is free. Where a 0 of the target copies an extent that is not known, both sides
 * get one name.
 */
function reshapeAxes(site: Site): Relation | undefined {
  const target = site.constant(1)?.numbers();
  const [before, after] = [site.inDims(0), site.outDims(0)];
  if (before === undefined || after === undefined) return undefined;
  if (target === undefined) {
    const rest = site.integers(1);
    const open = rest?.length === after.length ? rest.indexOf(-1) : -1;
    return open < 0 ? undefined : onlyAxis(regroupDims(before, after), open);
  }
  const zeroCopies = site.node.int('allowzero', 0) === 0;
  const named = (dim: Dim, axis: number) => (zeroCopies && dim === '' && target[axis] === 0 ? `copied ${axis}` : dim);
  return regroupDims(before.map(named), after.map(named));
}

function onlyAxis(relation: Pointwise, axis: number): Pointwise {
  const isOpen = ({ output }: Link) => output.axis === axis;
  const choices = relation.choices?.map((links) => links.filter(isOpen)).filter(({ length }) => length > 0) ?? [];
  return { ...relation, links: relation.links.filter(isOpen), choices };
}

/** Flatten, Squeeze, Unsqueeze. */
function regroup(site: Site): Relation | undefined {
  const [before, after] = [site.inDims(0), site.outDims(0)];
  return before === undefined || after === undefined ? undefined : regroupDims(before, after);
}

function regroupDims(before: readonly Dim[], after: readonly Dim[]): Pointwise {
  const groups = groupAxes(before, after);
  const links: Link[] = [];
  const choices: Choice[] = [];
  for (const group of groups) {
    const wide = (dims: readonly Dim[], axes: readonly number[]) => axes.filter((axis) => dims[axis] !== 1);
    const from = wide(before, group.before);
    const to = wide(after, group.after);
    const [single] = from;
    const [target] = to;
    if (single === undefined || target === undefined) continue;
    const [input, output] = [
      { index: 0, axis: single },
      { index: 0, axis: target },
    ];
    if (from.length === 1 && to.length === 1) links.push(link(input, output));
    else if (to.length === 1) choices.push(merged(before, from, 'input', output));
    else if (from.length === 1) choices.push(merged(after, to, 'output', input));
  }
  return { kind: 'pointwise', links, choices, constant: unchanged };
}

/**
 * Each of `axes` on the side `one` (row-major, merged into the axis `whole` of the other side) owns
 * strided blocks of it.
 */
function merged(dims: readonly Dim[], axes: readonly number[], one: 'input' | 'output', whole: AxisRef): Link[] {
  const extents = axes.map((axis) => Number(dims[axis]));
  return axes.map((axis, at) => {
    const count = extents[at] ?? 1;
    const inner = extents.slice(at + 1).reduce((total, extent) => total * extent, 1);
    const outer = extents.slice(0, at).reduce((total, extent) => total * extent, 1);
    const part = { index: 0, axis };
    const [input, output] = one === 'input' ? [part, whole] : [whole, part];
    return link(input, output, { one, oneStart: 0, manyStart: 0, count, inner, outer, period: count * inner });
  });
}

/**
 * Entries of the target shape follow the axes that shrank; -1 stays, a 0 stays while it still
 * copies the right extent.
 */
function adjustReshape(site: Site, kept: Kept): readonly Adjustment[] {
  const target = site.constant(1);
  const before = site.inDims(0);
  if (target === undefined || before === undefined) return [];
  const entries = [...target.numbers()];
  const zeroCopies = site.node.int('allowzero', 0) === 0;
  const adjusted = entries.map((entry, axis) => {
    const now = kept.output({ index: 0, axis })?.length;
    const copied = kept.input({ index: 0, axis })?.length ?? before[axis];
    if (entry === -1) return entry;
    if (entry === 0 && zeroCopies) {
      const extent = now ?? site.outDims(0)?.[axis];
      return copied === extent || typeof extent !== 'number' ? 0 : extent;
    }
    return now ?? entry;
  });
  if (adjusted.every((entry, axis) => entry === entries[axis])) return [];
  return [{ input: 1, tensor: Tensor.fromNumbers(INT64, [adjusted.length], adjusted) }];
}

/**
 * The extents that a target asks for, of data of these: a 0 copies, and what is -1 or not known is
 * what is left of the elements.
 */
export function targetExtents(node: Node, target: Elements, own: readonly Extent[]): Elements {
  const zeroCopies = node.int('allowzero', 0) === 0;
  const wanted = target.map((entry, axis) =>
    entry === 0 && zeroCopies ? own[axis] : entry === -1 ? undefined : entry,
  );
  const others = wanted.filter((entry) => entry !== undefined);
  if (others.length + 1 !== wanted.length) return wanted;
  const rest = quotientOf(productOf(own), productOf(others));
  return wanted.map((entry) => entry ?? rest);
}

function reshapedExtents({ node, elements, extents }: ShapeSite): Elements | undefined {
  const [own, target] = [extents(0), elements(1)];
  return own === undefined || target === undefined ? undefined : targetExtents(node, target, own);
}

/** The axes of Squeeze and Unsqueeze: an attribute, from opset 13 on an input. */
function listedAxes({ node, elements }: ShapeSite): readonly number[] | undefined {
  const listed = node.ints('axes') ?? elements(1);
  return listed?.every((axis) => typeof axis === 'number') === true ? listed : undefined;
}

function squeezedExtents(site: ShapeSite): Elements | undefined {
  const own = site.extents(0);
  const axes = listedAxes(site)?.map((axis) => normalAxis(axis, own?.length ?? 0));
  // Without axes all of extent 1 go: all have to be known.
  if (axes === undefined && own?.every((extent) => typeof extent === 'number') !== true) return undefined;
  return own?.filter((extent, axis) => (axes === undefined ? extent !== 1 : !axes.includes(axis)));
}

function unsqueezedExtents(site: ShapeSite): Elements | undefined {
  const [own, listed] = [site.extents(0), listedAxes(site)];
  if (own === undefined || listed === undefined) return undefined;
  const rank = own.length + listed.length;
  const axes = new Set(listed.map((axis) => normalAxis(axis, rank)));
  const rest = own.values();
  return Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : rest.next().value));
}

export const reshapes: readonly Operator[] = [
  {
    type: 'Reshape',
    axes: reshapeAxes,
    adjust: adjustReshape,
    shapeElements: ({ elements }) => elements(0),
    resultExtents: reshapedExtents,
    alias: 'reshaped',
  },
  { type: 'Flatten', axes: regroup },
  {
    type: 'Squeeze',
    axes: regroup,
    shapeElements: ({ elements }) => elements(0),
    resultExtents: squeezedExtents,
    alias: 'reshaped',
  },
  {
    type: 'Unsqueeze',
    axes: regroup,
    shapeElements: ({ elements }) => elements(0),
    resultExtents: unsqueezedExtents,
    alias: 'reshaped',
  },
];
