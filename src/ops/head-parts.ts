/** Heads that lie side by side along one axis: relations and attributes of operators that have them. */
import type { Dim } from '../ir/graph.js';
import { type HeadPart, type Heads, type Known, type Link, link, type Pointwise } from './axes.js';
import type { Adjustment, Kept } from './operator.js';
import type { Site } from './site.js';

/** Queries, keys and values. */
export type Three<Each> = readonly [query: Each, key: Each, value: Each];

interface SideBySide {
  /** Of the queries, and of the keys and values. */
  readonly heads: number;
  readonly count: number;
  /** Channels of all heads. */
  readonly widths: Three<Dim | undefined>;
  /** What is added up: a projection and its bias. */
  readonly parts: Three<readonly HeadPart[]>;
  readonly masks: readonly HeadPart[];
  /** Batch and length. */
  readonly links: readonly Link[];
  readonly sums?: Pointwise['sums'];
}

/** Undefined where the numbers do not fit. The output is [batch, length, heads * channels]. */
export function sideBySide(site: Site, given: SideBySide): Pointwise | undefined {
  const { heads, count, widths, parts, masks } = given;
  const [ofQueries, ofKeys, ofValues] = widths;
  if (typeof ofQueries !== 'number' || typeof ofKeys !== 'number' || typeof ofValues !== 'number') return undefined;
  const [served, channels, valueChannels] = [heads / count, ofQueries / heads, ofValues / count];
  const areWhole = [served, channels, valueChannels].every((each) => Number.isInteger(each) && each > 0);
  // A mask whose heads are no number may have one for all.
  const hasMasks = masks.every((part) => site.inDims(part.index)?.[part.axis] === heads);
  if (!areWhole || !hasMasks || ofKeys !== count * channels) return undefined;
  const [query, key, value] = parts;
  const output = 2;
  const found: Heads = { count, served, channels, valueChannels, query, key, value, masks, output };
  const links = [...given.links, ...value.flatMap((part) => valuesOf(part, found))];
  // Sums of zeros, whatever the weights are (finite activations). Those of other constants round.
  const constant = (operands: readonly Known[]) => (value.every(({ index }) => operands[index] === 0) ? 0 : undefined);
  return { kind: 'pointwise', links, heads: found, constant, ...(given.sums && { sums: given.sums }) };
}

/** Values of one head are those of all heads that it serves. */
function valuesOf({ start, ...ref }: HeadPart, { count, served, valueChannels, output }: Heads): Link[] {
  return Array.from({ length: count }, (_, head) =>
    link(
      ref,
      { index: 0, axis: output },
      {
        one: 'input',
        oneStart: start + head * valueChannels,
        manyStart: head * served * valueChannels,
        count: valueChannels,
        inner: 1,
        outer: served,
        period: valueChannels,
      },
    ),
  );
}

/**
 * Heads of a mask, or of what is added to scores: [batch, heads, length, length], maybe without
 * axes in front. One head is for all.
 */
export function maskHeads(site: Site, index: number): HeadPart[] {
  const dims = site.inDims(index);
  const axis = (dims?.length ?? 0) - 3;
  return dims === undefined || axis < 0 || dims[axis] === 1 ? [] : [{ index, axis, start: 0 }];
}

export function hasAny({ node }: Site, inputs: readonly number[]): boolean {
  return inputs.some((index) => node.inputs[index] !== undefined);
}

/** What stays of the channels of `heads` heads. */
interface HeadsLeft {
  readonly heads: number;
  readonly width: number;
}

/** Heads that have no channel left are gone. */
export function headsLeft(kept: Kept, { start, ...ref }: HeadPart, width: number, heads: number): HeadsLeft {
  const indices = kept.input(ref)?.filter((index) => index >= start && index < start + width);
  if (indices === undefined) return { heads, width };
  const left = new Set(indices.map((index) => Math.floor(((index - start) * heads) / width)));
  return { heads: left.size, width: indices.length };
}

/** Where no scale is given it is 1 / sqrt(channels) of what there was. */
export function adjustScale({ node }: Site, before: number, now: number): Adjustment[] {
  // Of com.microsoft a scale of 0 is none.
  const hasScale = node.domain === '' ? node.attributes.has('scale') : node.float('scale', 0) !== 0;
  return now === before || hasScale
    ? []
    : [{ attribute: 'scale', value: { kind: 'float', value: 1 / Math.sqrt(before) } }];
}
