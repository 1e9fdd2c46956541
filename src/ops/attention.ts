/** Attention as one operator. */
import { type HeadPart, isStatic, type Known, type Link, link, type Relation } from './axes.js';
import { MICROSOFT } from './domains.js';
import { adjustScale, hasAny, headsLeft, maskHeads, sideBySide, type Three } from './head-parts.js';
import type { Adjustment, Kept, LayerOperands, Operator } from './operator.js';
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
  if (hasAny(site, CACHE) || !hasOneOutput(site)) return undefined;
  if (node.inputs[MASK] !== undefined && site.inDims(MASK) === undefined) return undefined;
  const ranks = [QUERY, KEY, VALUE].map((index) => site.inDims(index)?.length);
  if (ranks.every((rank) => rank === 4)) return headsAsAxis(site);
  return ranks.every((rank) => rank === 3) ? headsInAttributes(site) : undefined;
}

function hasOneOutput({ node }: Site): boolean {
  return node.outputs.slice(1).every((y) => y === undefined);
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

/** Sums of zeros, whatever the weights are (finite activations). Those of other constants round. */
function weighted(operands: readonly Known[]): number | undefined {
  return operands[VALUE] === 0 ? 0 : undefined;
}

/** Of [batch, length, heads * channels], with the numbers of heads in attributes. */
function headsInAttributes(site: Site): Relation | undefined {
  const { node } = site;
  const [heads, count] = [node.int('q_num_heads', 0), node.int('kv_num_heads', 0)];
  return projected(site, { heads, count, masks: maskHeads(site, MASK), bias: undefined });
}

interface Projected {
  readonly heads: number;
  readonly count: number;
  readonly masks: readonly HeadPart[];
  /** Input of one bias after the other, of queries, keys and values. */
  readonly bias: number | undefined;
}

/** Queries, keys and values are three inputs. */
function projected(site: Site, { heads, count, masks, bias }: Projected): Relation | undefined {
  const [ofQueries, ofKeys, ofValues] = [QUERY, KEY, VALUE].map((index) => site.inDims(index)?.[2]);
  const starts = [0, Number(ofQueries), Number(ofQueries) + Number(ofKeys)] as const;
  const end = starts[2] + Number(ofValues);
  if (bias !== undefined && site.inDims(bias)?.join() !== String(end)) return undefined;
  const parts = (index: number, start: number): HeadPart[] => [
    { index, axis: 2, start: 0 },
    ...(bias === undefined ? [] : [{ index: bias, axis: 0, start }]),
  ];
  return sideBySide(site, {
    heads,
    count,
    masks,
    widths: [ofQueries, ofKeys, ofValues],
    parts: [parts(QUERY, starts[0]), parts(KEY, starts[1]), parts(VALUE, starts[2])],
    links: [...[QUERY, KEY, VALUE].map((index) => link(at(index, 0), at(0, 0))), link(at(QUERY, 1), at(0, 1))],
  });
}

function at(index: number, axis: number) {
  return { index, axis };
}

function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  if (site.inDims(QUERY)?.length === 3) return adjustHeads(site, kept, ['q_num_heads', 'kv_num_heads']);
  const channels = site.inDims(QUERY)?.[3];
  const now = kept.input(at(QUERY, 3))?.length;
  return now === undefined || typeof channels !== 'number' ? [] : adjustScale(site, channels, now);
}

/** `names`: of the number of heads of the queries, and of the keys and values. */
function adjustHeads(site: Site, kept: Kept, names: readonly string[]): readonly Adjustment[] {
  const { node } = site;
  const left = [QUERY, KEY].map((index) => {
    const [width, heads] = [Number(site.inDims(index)?.[2]), node.int(names[index] ?? '', 0)];
    return { before: width / heads, heads, now: headsLeft(kept, { ...at(index, 2), start: 0 }, width, heads) };
  });
  const numbers = names.flatMap((attribute, index): Adjustment[] => {
    const { heads, now } = left[index] ?? {};
    return now === undefined || now.heads === heads ? [] : [{ attribute, value: { kind: 'int', value: now.heads } }];
  });
  const [queries] = left;
  if (queries === undefined) return numbers;
  return [...numbers, ...adjustScale(site, queries.before, queries.now.width / queries.now.heads)];
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
  if (hasAny(site, past) || !hasOneOutput(site)) return undefined;
  if ([QUERY, KEY, VALUE].some((index) => site.inDims(index)?.length !== 3)) return undefined;
  if (node.inputs[SCORE_BIAS] !== undefined && site.inDims(SCORE_BIAS)?.length !== 4) return undefined;
  const heads = node.int('num_heads', 0);
  const bias = node.inputs[BIAS] === undefined ? undefined : BIAS;
  return projected(site, { heads, count: heads, masks: maskHeads(site, SCORE_BIAS), bias });
}

const PACKED_WEIGHTS = 1;
const PACKED_BIAS = 2;
const PACKED_PAST = 4;

/** Of com.microsoft's Attention: how many columns of the weights make queries, keys and values. */
function packedSizes(site: Site): Three<number> | undefined {
  const width = site.constant(PACKED_WEIGHTS)?.dims[1] ?? 0;
  const [query = width / 3, key = width / 3, value = width / 3] = site.node.ints('qkv_hidden_sizes') ?? [];
  const isWhole = query + key + value === width && site.constant(PACKED_BIAS)?.dims.join() === String(width);
  return isWhole && width > 0 ? [query, key, value] : undefined;
}

/**
 * com.microsoft: X [batch, length, inputs] times W [inputs, queries | keys | values] plus bias, and
 * attention of these. Zeros of X and of W are followed; a constant of X stays, as in a product of
 * two activations.
 */
function packed(site: Site): Relation | undefined {
  const { node } = site;
  const sizes = packedSizes(site);
  const past = [...node.inputs.keys()].filter((index) => index === PACKED_PAST || index > SCORE_BIAS);
  if (sizes === undefined || hasAny(site, past) || !hasOneOutput(site)) return undefined;
  if (site.inDims(0)?.length !== 3 || node.int('do_rotary', 0) !== 0) return undefined;
  if (node.inputs[SCORE_BIAS] !== undefined && site.inDims(SCORE_BIAS)?.length !== 4) return undefined;
  const heads = node.int('num_heads', 0);
  const [ofQueries, ofKeys] = sizes;
  const parts = (start: number): HeadPart[] => [
    { ...at(PACKED_WEIGHTS, 1), start },
    { ...at(PACKED_BIAS, 0), start },
  ];
  return sideBySide(site, {
    heads,
    count: heads,
    widths: sizes,
    masks: maskHeads(site, SCORE_BIAS),
    parts: [parts(0), parts(ofQueries), parts(ofQueries + ofKeys)],
    links: [link(at(0, 0), at(0, 0)), link(at(0, 1), at(0, 1))],
    sums: [[at(0, 2), at(PACKED_WEIGHTS, 0)]],
  });
}

function packedLayer(site: Site): LayerOperands | undefined {
  if (site.constant(PACKED_WEIGHTS)?.dims.length !== 2) return undefined;
  return { weights: { index: PACKED_WEIGHTS, inAxis: 0, outAxis: 1 }, bias: PACKED_BIAS, isJoined: true };
}

/** Of the projection, of the scores, and of the sums of values. */
function packedMacs(site: Site): number | undefined {
  const [x, sizes] = [site.inDims(0), packedSizes(site)];
  if (!isStatic(x) || sizes === undefined) return undefined;
  const [batch = 0, length = 0, inputs = 0] = x;
  const [query, key, value] = sizes;
  return batch * length * (inputs * (query + key + value) + length * (query + value));
}

function adjustPacked(site: Site, kept: Kept): readonly Adjustment[] {
  const sizes = packedSizes(site);
  if (sizes === undefined || kept.input(at(PACKED_WEIGHTS, 1)) === undefined) return [];
  const heads = site.node.int('num_heads', 0);
  let start = 0;
  const left = sizes.map((width) => {
    const part = { ...at(PACKED_WEIGHTS, 1), start };
    start += width;
    return headsLeft(kept, part, width, heads);
  });
  const [queries] = left;
  if (queries === undefined) return [];
  return [
    { attribute: 'num_heads', value: { kind: 'int', value: queries.heads } },
    { attribute: 'qkv_hidden_sizes', value: { kind: 'ints', value: left.map(({ width }) => width) } },
    ...adjustScale(site, sizes[0] / heads, queries.width / queries.heads),
  ];
}

export const attentions: readonly Operator[] = [
  { type: 'Attention', axes: attention, adjust },
  {
    type: 'MultiHeadAttention',
    domain: MICROSOFT,
    axes: multiHead,
    adjust: (site, kept) => adjustHeads(site, kept, ['num_heads']),
  },
  {
    type: 'Attention',
    domain: MICROSOFT,
    axes: packed,
    weights: packedLayer,
    macs: packedMacs,
    adjust: adjustPacked,
    parameters: [undefined, 'weight', 'bias'],
    isReversed: () => true,
  },
];
