/** Pad. */
import { INT64, Tensor } from '../ir/tensor.js';
import { type Known, type Link, link, normalAxis, range, type Relation, sameAxes } from './axes.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Site } from './site.js';

export interface Padding {
  /** Per axis of the data; negative: so many are cut off. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** What is padded with in the mode `constant`; undefined where it is computed. */
  readonly value: number | undefined;
}

/**
 * Pad-2 has attributes, Pad-11… inputs, Pad-18… a list of axes. Undefined if unknown.
 */
export function padding(site: Site): Padding | undefined {
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
function padAxes(site: Site): Relation | undefined {
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
      links.push(link({ index: 0, axis }, { index: 0, axis }, range(0, low, extent)));
  }
  if (!constantMode || value === undefined) return { kind: 'pointwise', links };
  const constant = ([x]: readonly Known[], axis: number) => {
    const meetsOtherPads = padded.some((other) => other !== axis);
    return x === value || !meetsOtherPads ? (x ?? undefined) : undefined;
  };
  return { kind: 'pointwise', links, constant, fill: value };
}

function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const pads = padding(site);
  const dims = site.inDims(0);
  if (pads === undefined || dims === undefined) return [];
  const low = [...pads.before];
  const high = [...pads.after];
  let changed = false;
  for (const [axis, extent] of dims.entries()) {
    const indices = kept.output({ index: 0, axis });
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

export const pads: readonly Operator[] = [{ type: 'Pad', axes: padAxes, adjust, movesData: true }];
