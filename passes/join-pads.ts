/**
 * join-pads: a convolution pads its image itself.
 *
 *   x -> Pad(0, 2 in front) -> Conv(no pads) -> y     =>     x -> Conv(pads 2, 0) -> y
 *
 * Exact? Up to the order of sums: the same products, some with zeros. Declines where the padding is
 * not known, is not of zeros, is mirrored or cut off, or touches the batch or the channels, and
 * where the convolution pads by the size of its image. Cost: none; a copy of the image goes. What
 * Pad makes of a constant channel depends on the place; what a convolution pads, its compensation
 * knows.
 */
import { siteOf } from '../src/graph-info/graph-info.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Node, Value } from '../src/ir/graph.js';
import { Window } from '../src/ops/attributes.js';
import { padding } from '../src/ops/pad.js';
import { type Pass, UNCHANGED } from './pass.js';

interface Joined {
  readonly node: Node;
  /** The image before padding. */
  readonly image: Value;
  readonly pads: readonly number[];
}

export const joinPads: Pass = {
  name: 'join-pads',
  summary: 'let convolutions pad their image themselves',
  exactness: 'rounding',
  async run({ editor, graphInfo }) {
    const facts = await graphInfo();
    const joined = facts.graph.nodes.flatMap((node) => joinedAt(node, facts) ?? []);
    if (joined.length === 0) return UNCHANGED;
    const changed = editor.transaction('join pads', () => {
      for (const { node, image, pads } of joined) {
        editor.setInput(node, 0, image);
        editor.setAttribute(node, 'pads', { kind: 'ints', value: pads });
        editor.setAttribute(node, 'auto_pad', undefined);
      }
    });
    const message = `${joined.length} ${joined.length === 1 ? 'convolution pads its' : 'convolutions pad their'} image`;
    return { changed, gains: false, remarks: [{ kind: 'applied', message }] };
  },
};

function joinedAt(node: Node, facts: GraphInfo): Joined | undefined {
  const pad = node.inputs[0]?.producer;
  const image = pad?.inputs[0];
  if (!isPlain(node, 'Conv') || pad === undefined || !isPlain(pad, 'Pad') || image === undefined) return undefined;
  if (pad.string('mode', 'constant') !== 'constant') return undefined;
  const window = new Window(node);
  const known = padding(siteOf(pad, facts));
  if (known?.value !== 0 || window.isSame) return undefined;
  const { before, after } = known;
  if (before.length < 3 || [...before, ...after].some((count) => count < 0)) return undefined;
  if ([...before.slice(0, 2), ...after.slice(0, 2)].some((count) => count !== 0)) return undefined;
  const own = (axis: number) => (window.autoPad === 'VALID' ? { begin: 0, end: 0 } : window.along(axis));
  const begins = before.slice(2).map((count, axis) => count + own(axis).begin);
  const ends = after.slice(2).map((count, axis) => count + own(axis).end);
  return { node, image, pads: [...begins, ...ends] };
}

function isPlain(node: Node, opType: string): boolean {
  return node.opType === opType && node.domain === '';
}
