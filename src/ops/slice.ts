/** Slice. */
import type { Node } from '../ir/graph.js';
import { INT64, Tensor } from '../ir/tensor.js';
import { link, normalAxis, range, type Relation, sameAxes, unchanged } from './axes.js';
import type { Adjustment, Doubt, Kept, Operator } from './operator.js';
import { minimum } from './extents.js';
import type { Elements, Extent, ShapeSite, Site } from './site.js';

/** What exporters write for "to the end", as int32 or more; no axis is as long. */
const OPEN_END = 2 ** 31 - 1;

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/**
 * Slice-1 has attributes, Slice-10, -11, -13 inputs. Undefined when they are not constant or the
 * extent is unknown.
 */
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

/**
 * Axes cut with step 1 are linked by offset; what lies outside the cut is not read. Other steps pin
 * their axis.
 */
function sliceAxes(site: Site): Relation | undefined {
  const list = cuts(site);
  if (list === undefined) return undefined;
  const links = sameAxes(
    site,
    0,
    list.map(({ axis }) => axis),
  );
  for (const { axis, start, end, step } of list) {
    if (step === 1 && end > start)
      links.push(link({ index: 0, axis }, { index: 0, axis }, range(start, 0, end - start)));
  }
  return { kind: 'pointwise', links, constant: unchanged };
}

function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const list = cuts(site);
  if (list === undefined || list.every(({ axis }) => kept.input({ index: 0, axis }) === undefined)) return [];
  const before = (axis: number, bound: number) =>
    kept.input({ index: 0, axis })?.filter((index) => index < bound).length;
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

/** Of a list of extents. */
function shapeElements({ node, elements }: ShapeSite): Elements | undefined {
  const from = elements(0);
  const list = (index: number, attribute: string) => node.ints(attribute) ?? elements(index);
  const [start] = list(1, 'starts') ?? [];
  const [end] = list(2, 'ends') ?? [];
  const [step] = node.inputs[4] === undefined ? [1] : (elements(4) ?? []);
  if (from === undefined || typeof start !== 'number' || typeof end !== 'number' || step !== 1) return undefined;
  return from.slice(start, end);
}

/** Cut with step 1: of known extents, and from the start to an end that only the run knows. */
function resultExtents({ node, elements, extents }: ShapeSite): Elements | undefined {
  const own = extents(0);
  const [starts, ends] = [node.ints('starts') ?? elements(1), node.ints('ends') ?? elements(2)];
  if (own === undefined || starts === undefined || ends === undefined) return undefined;
  const axes = node.ints('axes') ?? (node.inputs[3] === undefined ? [...starts.keys()] : elements(3));
  const steps = node.inputs[4] === undefined ? starts.map(() => 1) : elements(4);
  const result: (Extent | undefined)[] = [...own];
  if (axes === undefined || steps === undefined) return undefined;
  for (const [at, listed] of axes.entries()) {
    if (typeof listed !== 'number') return undefined;
    const axis = normalAxis(listed, own.length);
    result[axis] = steps[at] === 1 ? cutExtent(own[axis], starts[at], ends[at]) : undefined;
  }
  return result;
}

function cutExtent(extent?: Extent, start?: Extent, end?: Extent): Extent | undefined {
  if (typeof start !== 'number' || extent === undefined || end === undefined) return undefined;
  if (typeof extent === 'number' && typeof end === 'number') {
    const clamp = (bound: number) => Math.max(0, Math.min(extent, bound < 0 ? bound + extent : bound));
    return Math.max(0, clamp(end) - clamp(start));
  }
  if (start !== 0) return undefined;
  if (typeof end === 'number') return end >= OPEN_END ? extent : undefined;
  return typeof extent === 'number' ? minimum(end, extent) : undefined;
}

/** Backwards to an open end: the inference takes it for empty. */
function doubt(_: Node, constant: (input: number) => Tensor | undefined): Doubt {
  const steps = [...(constant(4)?.numbers() ?? [])];
  const sliced = [...(constant(3)?.numbers() ?? steps.keys())];
  return { axes: sliced.filter((_axis, at) => (steps[at] ?? 1) < 0) };
}

export const slices: readonly Operator[] = [
  {
    type: 'Slice',
    axes: sliceAxes,
    adjust,
    shapeElements,
    resultExtents,
    doubt,
    isRarelyDoubtful: true,
    movesData: true,
  },
];
