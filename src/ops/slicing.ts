/** Operators that cut, pad and join along axes: Slice, Pad, Concat. */
import { INT64, Tensor } from '../ir/tensor.js';
import {
  type Adjustment,
  type Blocks,
  input,
  type KeptOf,
  type Known,
  type Link,
  normalAxis,
  type OpRow,
  output,
  type Relation,
  sameAxes,
  type Site,
} from './relation.js';

const shifted = (fromStart: number, toStart: number, count: number): Blocks => ({
  fromStart,
  toStart,
  count,
  inner: 1,
  outer: 1,
  period: 0,
});

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Slice-1 has attributes, Slice-10, -11, -13 inputs. Undefined when they are not constant or the extent is unknown. */
function cuts(site: Site): Cut[] | undefined {
  const { node, opset } = site;
  const dims = site.inDims(0);
  const list = (index: number, attribute: string): readonly number[] | undefined => {
    if (opset < 10) return node.ints(attribute);
    const tensor = site.constant(index);
    return tensor === undefined ? undefined : [...tensor.numbers()];
  };
  const starts = list(1, 'starts');
  const ends = list(2, 'ends');
  if (dims === undefined || starts === undefined || ends === undefined) return undefined;
  const given = (index: number) => opset >= 10 && node.inputs[index] !== undefined;
  const axes = list(3, 'axes') ?? (given(3) ? undefined : starts.map((_, axis) => axis));
  const steps = opset < 10 || !given(4) ? starts.map(() => 1) : list(4, 'steps');
  if (axes === undefined || steps === undefined) return undefined;
  return starts.map((start, at) => {
    const axis = normalAxis(axes[at] ?? 0, dims.length);
    const extent = dims[axis];
    const step = steps[at] ?? 1;
    if (typeof extent !== 'number') return { axis, start: Number.NaN, end: Number.NaN, step };
    const clamp = (bound: number) => Math.max(0, Math.min(extent, bound < 0 ? bound + extent : bound));
    return { axis, start: clamp(start), end: clamp(ends[at] ?? extent), step };
  });
}

/** Axes cut with step 1 are linked by offset; what lies outside the cut is not read. Other steps pin their axis. */
function slice(site: Site): Relation | undefined {
  const list = cuts(site);
  if (list === undefined) return undefined;
  const links = sameAxes(
    site,
    0,
    list.map(({ axis }) => axis),
  );
  for (const { axis, start, end, step } of list) {
    if (step === 1 && end > start)
      links.push({ from: input(0, axis), to: output(0, axis), blocks: shifted(start, 0, end - start) });
  }
  return { kind: 'pointwise', links, constant: ([x]) => x ?? undefined };
}

function adjustSlice(site: Site, kept: KeptOf): readonly Adjustment[] {
  const list = cuts(site);
  if (list === undefined || list.every(({ axis }) => kept(input(0, axis)) === undefined)) return [];
  const before = (axis: number, bound: number) => kept(input(0, axis))?.filter((index) => index < bound).length;
  const original = (index: number, attribute: string) =>
    site.node.ints(attribute) ?? [...(site.constant(index)?.numbers() ?? [])];
  const starts = original(1, 'starts').map((bound, at) => before(list[at]?.axis ?? -1, list[at]?.start ?? 0) ?? bound);
  const ends = original(2, 'ends').map((bound, at) => before(list[at]?.axis ?? -1, list[at]?.end ?? 0) ?? bound);
  if (site.opset < 10) {
    return [
      { attribute: 'starts', value: { kind: 'ints', value: starts } },
      { attribute: 'ends', value: { kind: 'ints', value: ends } },
    ];
  }
  // starts and ends share one dtype by the operator's definition; axes and steps keep theirs.
  const dataType = site.constant(1)?.dataType ?? INT64;
  return [
    { input: 1, tensor: Tensor.fromNumbers(dataType, [starts.length], starts) },
    { input: 2, tensor: Tensor.fromNumbers(dataType, [ends.length], ends) },
  ];
}

/** Pad-2 has attributes, Pad-11… inputs, Pad-18… a list of axes. [before…, after…] over all axes; undefined if unknown. */
function padding(site: Site): { before: number[]; after: number[]; value: number | undefined } | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const given = site.opset < 11 ? site.node.ints('pads') : site.constant(1)?.numbers();
  if (given === undefined || (site.node.inputs[3] !== undefined && site.constant(3) === undefined)) return undefined;
  const pads = [...given];
  const listed = site.constant(3)?.numbers();
  const axes =
    listed === undefined
      ? Array.from({ length: rank }, (_, axis) => axis)
      : [...listed].map((axis) => normalAxis(axis, rank));
  const value =
    site.opset < 11
      ? site.node.float('value', 0)
      : site.node.inputs[2] === undefined
        ? 0
        : site.constant(2)?.numbers()[0];
  const before = Array.from({ length: rank }, () => 0);
  const after = [...before];
  for (const [at, axis] of axes.entries()) {
    before[axis] = pads[at] ?? 0;
    after[axis] = pads[axes.length + at] ?? 0;
  }
  return { before, after, value };
}

/** Constant padding links by offset; reflected, wrapped or negative padding pins its axis. */
function pad(site: Site): Relation | undefined {
  const pads = padding(site);
  const dims = site.inDims(0);
  if (pads === undefined || dims === undefined) return undefined;
  const { before, after, value } = pads;
  const isPadded = (axis: number) => before[axis] !== 0 || after[axis] !== 0;
  const padded = dims.map((_, axis) => axis).filter(isPadded);
  const links: Link[] = sameAxes(site, 0, padded);
  const constantMode = site.node.string('mode', 'constant') === 'constant';
  for (const axis of padded) {
    const extent = dims[axis];
    const [low, high] = [before[axis] ?? 0, after[axis] ?? 0];
    if (constantMode && typeof extent === 'number' && low >= 0 && high >= 0)
      links.push({ from: input(0, axis), to: output(0, axis), blocks: shifted(0, low, extent) });
  }
  if (!constantMode || value === undefined) return { kind: 'pointwise', links };
  const constant = ([x]: readonly Known[], axis: number) => {
    const meetsOtherPads = padded.some((other) => other !== axis);
    return x === value || !meetsOtherPads ? (x ?? undefined) : undefined;
  };
  return { kind: 'pointwise', links, constant, fill: value };
}

function adjustPad(site: Site, kept: KeptOf): readonly Adjustment[] {
  const pads = padding(site);
  const dims = site.inDims(0);
  if (pads === undefined || dims === undefined) return [];
  const low = [...pads.before];
  const high = [...pads.after];
  let changed = false;
  for (const [axis, extent] of dims.entries()) {
    const indices = kept(output(0, axis));
    if (indices === undefined || typeof extent !== 'number') continue;
    const begin = pads.before[axis] ?? 0;
    low[axis] = indices.filter((index) => index < begin).length;
    high[axis] = indices.filter((index) => index >= begin + extent).length;
    changed ||= low[axis] !== pads.before[axis] || high[axis] !== pads.after[axis];
  }
  if (!changed) return [];
  if (site.opset < 11) return [{ attribute: 'pads', value: { kind: 'ints', value: [...low, ...high] } }];
  const listed = site.constant(3)?.numbers();
  const axes =
    listed === undefined ? low.map((_, axis) => axis) : [...listed].map((axis) => normalAxis(axis, dims.length));
  const values = [...axes.map((axis) => low[axis] ?? 0), ...axes.map((axis) => high[axis] ?? 0)];
  return [{ input: 1, tensor: Tensor.fromNumbers(INT64, [values.length], values) }];
}

/** Concat-4, -11, -13: each input owns a range of the output axis. */
function concat(site: Site): Relation | undefined {
  const rank = site.outDims(0)?.length;
  if (rank === undefined) return undefined;
  const joined = normalAxis(site.node.int('axis', 1), rank);
  const links: Link[] = [];
  let start = 0;
  for (const index of site.node.inputs.keys()) {
    const extent = site.inDims(index)?.[joined];
    links.push(...sameAxes(site, index, [joined]));
    if (typeof extent !== 'number') return undefined;
    links.push({ from: input(index, joined), to: output(0, joined), blocks: shifted(0, start, extent) });
    start += extent;
  }
  const constant = (operands: readonly Known[]) => {
    const [first, ...others] = operands.filter((value) => value !== null);
    return others.every((value) => value === first) ? first : undefined;
  };
  return { kind: 'pointwise', links, constant };
}

export const slicingRows: readonly OpRow[] = [
  { op: 'Slice', relate: slice, adjust: adjustSlice },
  { op: 'Pad', relate: pad, adjust: adjustPad },
  { op: 'Concat', relate: concat },
];
