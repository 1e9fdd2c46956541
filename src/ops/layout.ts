/** Operators that move data without computing: Reshape and its kin, Transpose, and the readers of extents. */
import { type Dim } from '../ir/graph.js';
import { INT64, Tensor } from '../ir/tensor.js';
import {
  type Adjustment,
  type AxisRef,
  type Choice,
  input,
  type KeptOf,
  type Link,
  normalAxis,
  type OpRow,
  output,
  type Relation,
  type Site,
} from './relation.js';

/** Axes of both sides whose extents have the same product. */
interface Group {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * Cuts two shapes of the same data into the smallest groups of equal size. Undefined when they cannot be compared:
 * symbolic dims must stand alone on both sides, all but one pair with equal names (the total is equal, so then the last pair is too).
 */
export function groupAxes(before: readonly Dim[], after: readonly Dim[]): Group[] | undefined {
  const groups: Group[] = [];
  let unnamedPairs = 0;
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const from = before[i] ?? 1;
    const to = after[j] ?? 1;
    if (typeof from === 'string' && typeof to === 'string') {
      if (from !== to || from === '') unnamedPairs++;
      groups.push({ before: [i++], after: [j++] });
    } else if (typeof from === 'string') {
      if (to !== 1 || j >= after.length) return undefined;
      groups.push({ before: [], after: [j++] });
    } else if (typeof to === 'string') {
      if (from !== 1 || i >= before.length) return undefined;
      groups.push({ before: [i++], after: [] });
    } else {
      const group = staticGroup(before, after, i, j);
      if (group === undefined) return undefined;
      groups.push(group);
      i += group.before.length;
      j += group.after.length;
    }
  }
  return unnamedPairs > 1 ? undefined : groups;
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

/** Reshape-5…-23, Flatten, Squeeze, Unsqueeze: the same elements in the same order under other dims. */
function regroup(site: Site): Relation | undefined {
  const before = site.inDims(0);
  const after = site.outDims(0);
  if (before === undefined || after === undefined) return undefined;
  const groups = groupAxes(before, after);
  if (groups === undefined) return undefined;
  const links: Link[] = [];
  const choices: Choice[] = [];
  for (const group of groups) {
    const wide = (dims: readonly Dim[], axes: readonly number[]) => axes.filter((axis) => dims[axis] !== 1);
    const from = wide(before, group.before);
    const to = wide(after, group.after);
    const [single] = from;
    const [target] = to;
    if (single === undefined || target === undefined) continue;
    if (from.length === 1 && to.length === 1) links.push({ from: input(0, single), to: output(0, target) });
    else if (to.length === 1)
      choices.push({ candidates: merged(before, from, (axis) => input(0, axis), output(0, target)) });
    else if (from.length === 1)
      choices.push({ candidates: merged(after, to, (axis) => output(0, axis), input(0, single)) });
  }
  return { kind: 'pointwise', links, choices, constant: ([x]) => x ?? undefined };
}

/** Each of `axes` (row-major, merged into the axis `whole`) owns strided blocks of it. */
function merged(dims: readonly Dim[], axes: readonly number[], ref: (axis: number) => AxisRef, whole: AxisRef): Link[] {
  const extents = axes.map((axis) => Number(dims[axis]));
  return axes.map((axis, at) => {
    const count = extents[at] ?? 1;
    const inner = extents.slice(at + 1).reduce((total, extent) => total * extent, 1);
    const outer = extents.slice(0, at).reduce((total, extent) => total * extent, 1);
    return {
      from: ref(axis),
      to: whole,
      blocks: { fromStart: 0, toStart: 0, count, inner, outer, period: count * inner },
    };
  });
}

/** Entries of the target shape follow the axes that shrank; -1 stays, a 0 stays while it still copies the right extent. */
function adjustReshape(site: Site, kept: KeptOf): readonly Adjustment[] {
  const target = site.constant(1);
  const before = site.inDims(0);
  if (target === undefined || before === undefined) return [];
  const entries = [...target.numbers()];
  const zeroCopies = site.node.int('allowzero', 0) === 0;
  const adjusted = entries.map((entry, axis) => {
    const now = kept(output(0, axis))?.length;
    const copied = kept(input(0, axis))?.length ?? before[axis];
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

/** Transpose-1, -13, -21, -23. */
function transpose(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const permutation = site.node.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return {
    kind: 'pointwise',
    links: permutation.map((from, to) => ({ from: input(0, from), to: output(0, to) })),
    constant: ([x]) => x ?? undefined,
  };
}

/** Shape-1, -13, -15 (start): whoever reads an extent fixes it. */
function shape(site: Site): Relation | undefined {
  const rank = site.inDims(0)?.length;
  return rank === undefined ? undefined : { kind: 'extents', start: normalAxis(site.node.int('start', 0), rank) };
}

/** Gather-1, -11, -13. Of constant indices only those are read; others (a lookup in an embedding) may read all. */
function gather(site: Site): Relation | undefined {
  const dims = site.inDims(0);
  const indices = site.constant(1);
  const widened = (indices?.dims ?? site.inDims(1))?.length;
  if (dims === undefined || widened === undefined) return undefined;
  const axis = normalAxis(site.node.int('axis', 0), dims.length);
  const extent = dims[axis];
  if (typeof extent !== 'number') return undefined;
  const links = dims
    .map((_, from) => ({ from: input(0, from), to: output(0, from < axis ? from : from + widened - 1) }))
    .filter((_, from) => from !== axis);
  if (indices === undefined) return { kind: 'pointwise', links };
  const read = [...indices.numbers()].map((index) => normalAxis(index, extent));
  return { kind: 'pointwise', links, reads: { from: input(0, axis), indices: read } };
}

export const layoutRows: readonly OpRow[] = [
  { op: 'Reshape', relate: regroup, adjust: adjustReshape },
  { op: 'Flatten', relate: regroup },
  { op: 'Squeeze', relate: regroup },
  { op: 'Unsqueeze', relate: regroup },
  { op: 'Transpose', relate: transpose },
  { op: 'Shape', relate: shape },
  { op: 'Gather', relate: gather },
];
