/** Attention as one operator. */
import { type Known, type Link, link, type Relation } from './axes.js';
import type { Adjustment, Kept, Operator } from './operator.js';
import type { Site } from './site.js';

const QUERY = 0;
const KEY = 1;
const VALUE = 2;
const MASK = 3;
/** Past keys and values, and how many of them count: what is kept from call to call keeps its shape. */
const CACHE = [4, 5, 6];

/**
 * Attention-23, -24 of [batch, heads, length, channels]: Y = softmax(scale * Q * K' + mask) * V. A
 * head of K and V serves equally many heads of Q (one where all have as many). Heads pass, and the
 * channels of V; those of Q and K are summed over. With three axes heads are only numbers in an
 * attribute: not followed.
 */
function attention(site: Site): Relation | undefined {
  const { node } = site;
  const [query, key, value, mask] = [QUERY, KEY, VALUE, MASK].map((index) => site.inDims(index));
  const isPlain = CACHE.every((index) => node.inputs[index] === undefined) && node.outputs.slice(1).every((y) => !y);
  if (query?.length !== 4 || key?.length !== 4 || value?.length !== 4 || !isPlain) return undefined;
  if (node.inputs[MASK] !== undefined && mask === undefined) return undefined;
  const [heads, shared] = [query[1], key[1]];
  if (typeof heads !== 'number' || typeof shared !== 'number' || value[1] !== shared || heads % shared !== 0)
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
  ];
  // A mask of one head is for all; of an extent that is not known it may be either.
  if (mask?.length === 4 && mask[1] !== 1) links.push(link(at(MASK, 1), at(0, 1)));
  return { kind: 'pointwise', links, sums: [[at(QUERY, 3), at(KEY, 3)]], constant: weighted };
}

function at(index: number, axis: number) {
  return { index, axis };
}

/** Sums of zeros, whatever the weights are (finite activations). Those of other constants round. */
function weighted(operands: readonly Known[]): number | undefined {
  return operands[VALUE] === 0 ? 0 : undefined;
}

/** Where no scale is given it is 1 / sqrt(channels) of what there was. */
function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const channels = site.inDims(QUERY)?.[3];
  const isNarrowed = kept.input(at(QUERY, 3)) !== undefined;
  if (!isNarrowed || site.node.attributes.has('scale') || typeof channels !== 'number') return [];
  return [{ attribute: 'scale', value: { kind: 'float', value: 1 / Math.sqrt(channels) } }];
}

export const attentions: readonly Operator[] = [{ type: 'Attention', axes: attention, adjust }];
