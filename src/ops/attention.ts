/** Attention as one operator. */
import { type HeadPart, type Heads, type Known, type Link, link, type Relation } from './axes.js';
import { MICROSOFT } from './domains.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Site } from './site.js';

const QUERY = 0;
const KEY = 1;
const VALUE = 2;
const MASK = 3;
/**
 * Past keys and values, and how many of them count: what is kept from call to call keeps its
 * shape.
 */
const CACHE = [4, 5, 6];

/**
 * Attention-23, -24: Y = softmax(scale * Q * K' + mask) * V. A head of K and V serves equally many
 * heads of Q (one where all have as many). Heads pass, and the channels of V; those of Q and K are
 * summed over.
 */
function attention(site: Site): Relation | undefined {
  const { node } = site;
  const isPlain = !hasAny(site, CACHE) && node.outputs.slice(1).every((y) => !y);
  if (!isPlain || (node.inputs[MASK] !== undefined && site.inDims(MASK) === undefined)) return undefined;
  const ranks = [QUERY, KEY, VALUE].map((index) => site.inDims(index)?.length);
  if (ranks.every((rank) => rank === 4)) return headsAsAxis(site);
  return ranks.every((rank) => rank === 3) ? headsInAttributes(site) : undefined;
}

function hasAny({ node }: Site, inputs: readonly number[]): boolean {
  return inputs.some((index) => node.inputs[index] !== undefined);
}

/** Of [batch, heads, length, channels]. */
function headsAsAxis(site: Site): Relation | undefined {
  const [heads, shared, ofValues] = [QUERY, KEY, VALUE].map((index) => site.inDims(index)?.[1]);
  if (typeof heads !== 'number' || typeof shared !== 'number' || ofValues !== shared || heads % shared !== 0)
    return undefined;
  const served = { oneStart: 0, manyStart: 0, count: shared, inner: heads / shared, outer: 1, period: 0 };
  const headsOf = (index: number) =>
    link(at(index, 1), at(0, 1), heads === shared ? undefined : { one: 'input', ...served });
  const links: Link[] = [
    ...[QUERY, KEY, VALUE].map((index) => link(at(index, 0), at(0, 0))),
    link(at(QUERY, 1), at(0, 1)),
    ...[KEY, VALUE].map(headsOf),
    link(at(QUERY, 2), at(0, 2)),
    link(at(VALUE, 3), at(0, 3)),
    ...maskHeads(site, MASK).map((part) => link(part, at(0, 1))),
  ];
  return { kind: 'pointwise', links, sums: [[at(QUERY, 3), at(KEY, 3)]], constant: weighted };
}

/** A mask of one head is for all; of an extent that is not known it may be either. */
function maskHeads(site: Site, index: number): HeadPart[] {
  const dims = site.inDims(index);
  const axis = (dims?.length ?? 0) - 3;
  return dims === undefined || axis < 0 || dims[axis] === 1 ? [] : [{ index, axis, start: 0 }];
}

/** Of [batch, length, heads * channels], with the numbers of heads in attributes. */
function headsInAttributes(site: Site): Relation | undefined {
  const { node } = site;
  const [heads, count] = ['q_num_heads', 'kv_num_heads'].map((name) => node.int(name, 0));
  return sideBySide(site, { heads: heads ?? 0, count: count ?? 0, masks: maskHeads(site, MASK), bias: undefined });
}

interface SideBySide {
  readonly heads: number;
  readonly count: number;
  readonly masks: readonly HeadPart[];
  /** Input of one bias after the other, of queries, keys and values. */
  readonly bias: number | undefined;
}

function sideBySide(site: Site, { heads, count, masks, bias }: SideBySide): Relation | undefined {
  const served = heads / count;
  const widths = [QUERY, KEY, VALUE].map((index) => site.inDims(index)?.[2]);
  const [ofQueries, ofKeys, ofValues] = widths;
  if (typeof ofQueries !== 'number' || typeof ofKeys !== 'number' || typeof ofValues !== 'number') return undefined;
  const [channels, valueChannels] = [ofQueries / heads, ofValues / count];
  const areWhole = [served, channels, valueChannels].every((each) => Number.isInteger(each) && each > 0);
  // A mask whose heads are no number may have one for all.
  const hasMasks = masks.every((part) => site.inDims(part.index)?.[part.axis] === heads);
  if (!areWhole || !hasMasks || ofKeys !== count * channels) return undefined;
  if (bias !== undefined && site.inDims(bias)?.join() !== String(ofQueries + ofKeys + ofValues)) return undefined;
  const parts = (index: number, start: number): HeadPart[] => [
    { index, axis: 2, start: 0 },
    ...(bias === undefined ? [] : [{ index: bias, axis: 0, start }]),
  ];
  const value = parts(VALUE, ofQueries + ofKeys);
  const links = [
    ...[QUERY, KEY, VALUE].map((index) => link(at(index, 0), at(0, 0))),
    link(at(QUERY, 1), at(0, 1)),
    ...value.flatMap((part) => valuesOf(part, { count, served, valueChannels })),
  ];
  const output = 2;
  const [query, key] = [parts(QUERY, 0), parts(KEY, ofQueries)];
  const found: Heads = { count, served, channels, valueChannels, query, key, value, masks, output };
  return { kind: 'pointwise', links, heads: found, constant: bias === undefined ? weighted : weightedSum(bias) };
}

/** Values of one head are those of all heads that it serves. */
function valuesOf(
  { start, ...ref }: HeadPart,
  { count, served, valueChannels }: Pick<Heads, 'count' | 'served' | 'valueChannels'>,
): Link[] {
  return Array.from({ length: count }, (_, head) =>
    link(ref, at(0, 2), {
      ...{ one: 'input', oneStart: start + head * valueChannels, manyStart: head * served * valueChannels },
      ...{ count: valueChannels, inner: 1, outer: served, period: valueChannels },
    }),
  );
}

function at(index: number, axis: number) {
  return { index, axis };
}

/** Sums of zeros, whatever the weights are (finite activations). Those of other constants round. */
function weighted(operands: readonly Known[]): number | undefined {
  return operands[VALUE] === 0 ? 0 : undefined;
}

function weightedSum(bias: number) {
  return (operands: readonly Known[]) => (operands[bias] === 0 ? weighted(operands) : undefined);
}

/** Where no scale is given it is 1 / sqrt(channels) of what there was. */
function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  if (site.inDims(QUERY)?.length === 3) return adjustHeads(site, kept, ['q_num_heads', 'kv_num_heads']);
  const channels = site.inDims(QUERY)?.[3];
  const isNarrowed = kept.input(at(QUERY, 3)) !== undefined;
  if (!isNarrowed || site.node.attributes.has('scale') || typeof channels !== 'number') return [];
  return [scaleOf(channels)];
}

function scaleOf(channels: number): Adjustment {
  return { attribute: 'scale', value: { kind: 'float', value: 1 / Math.sqrt(channels) } };
}

/** Heads that have no channel left are gone; `names`: of the queries, and of the keys and values. */
function adjustHeads(site: Site, kept: Kept, names: readonly string[]): readonly Adjustment[] {
  const { node } = site;
  const numbers = names.map((attribute, at) => {
    const before = node.int(attribute, 0);
    const [index, axis] = [at === 0 ? QUERY : KEY, 2];
    const width = Number(site.inDims(index)?.[axis]);
    const indices = kept.input({ index, axis });
    const left = new Set(indices?.map((channel) => Math.floor((channel * before) / width)));
    return { attribute, before, channels: width / before, now: indices === undefined ? before : left.size };
  });
  const [queries] = numbers;
  const width = kept.input(at(QUERY, 2))?.length;
  const changed = numbers.filter(({ before, now }) => now !== before);
  const isNarrowed = width !== undefined && width !== (queries?.now ?? 0) * (queries?.channels ?? 0);
  // Of com.microsoft a scale of 0 is none.
  const hasScale = node.domain === '' ? node.attributes.has('scale') : node.float('scale', 0) !== 0;
  return [
    ...changed.map(({ attribute, now: value }): Adjustment => ({ attribute, value: { kind: 'int', value } })),
    ...(isNarrowed && !hasScale ? [scaleOf(queries?.channels ?? 1)] : []),
  ];
}

const BIAS = 3;
const SCORE_BIAS = 5;

/**
 * com.microsoft: queries, keys and values of [batch, length, heads * channels], a bias for each of
 * them, a mask of the keys, and what is added to the scores [1 or batch, 1 or heads, length, length].
 * Packed, and with heads as an axis of keys and values, it is not followed: the first the CPU has no
 * kernel for.
 */
function multiHead(site: Site): Relation | undefined {
  const { node } = site;
  const past = [...node.inputs.keys()].slice(SCORE_BIAS + 1);
  if (hasAny(site, past) || node.outputs.slice(1).some((y) => y !== undefined)) return undefined;
  if ([QUERY, KEY, VALUE].some((index) => site.inDims(index)?.length !== 3)) return undefined;
  const hasBias = node.inputs[BIAS] !== undefined;
  if (node.inputs[SCORE_BIAS] !== undefined && site.inDims(SCORE_BIAS)?.length !== 4) return undefined;
  const heads = node.int('num_heads', 0);
  const masks = maskHeads(site, SCORE_BIAS);
  return sideBySide(site, { heads, count: heads, masks, bias: hasBias ? BIAS : undefined });
}

export const attentions: readonly Operator[] = [
  { type: 'Attention', axes: attention, adjust },
  {
    type: 'MultiHeadAttention',
    domain: MICROSOFT,
    axes: multiHead,
    adjust: (site, kept) => adjustHeads(site, kept, ['num_heads']),
  },
];
