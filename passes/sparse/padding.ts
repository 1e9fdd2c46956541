/** Padding as the operators want it, in numbers: they have no auto_pad. */
import type { Dim, Node } from '../../src/ir/graph.js';

const NONE = [0, 0, 0, 0] as const;

/** Of a window over images: top, left, bottom, right. Undefined where that depends on a size that is open, or fits no operator. */
export function padsOf(
  node: Node,
  kernel: readonly number[],
  image: readonly Dim[] | undefined,
): readonly number[] | undefined {
  const auto = autoPadOf(node);
  if (auto === 'VALID') return NONE;
  if (auto === 'NOTSET') return writtenPads(node);
  if (!auto.startsWith('SAME_')) return undefined;
  const totals = kernel.map((taps, axis) => sameTotal(node, axis, taps, image?.[axis + 2]));
  if (totals.length !== 2 || !totals.every((total) => total !== undefined)) return undefined;
  const [less, more] = [totals.map((total) => Math.floor(total / 2)), totals.map((total) => Math.ceil(total / 2))];
  return auto === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less];
}

export function autoPadOf(node: Node): string {
  const auto = node.string('auto_pad', '');
  return auto === '' ? 'NOTSET' : auto;
}

function writtenPads(node: Node): readonly number[] | undefined {
  const pads = node.ints('pads') ?? NONE;
  return pads.length === 4 && pads.every((pad) => pad >= 0) ? pads : undefined;
}

/** Of both sides together: as much as ceil(extent / stride) windows need. */
function sameTotal(node: Node, axis: number, taps: number, extent: Dim | undefined): number | undefined {
  // ONNX Runtime has no such windows with gaps.
  if ((node.ints('dilations')?.[axis] ?? 1) !== 1) return undefined;
  const stride = node.ints('strides')?.[axis] ?? 1;
  if (stride === 1) return taps - 1;
  if (typeof extent !== 'number') return undefined;
  const total = (Math.ceil(extent / stride) - 1) * stride + taps - extent;
  // What is left over behind the last window is not read. Older runtimes split more than one such pixel, and begin behind the first.
  return total < -1 ? undefined : Math.max(0, total);
}
