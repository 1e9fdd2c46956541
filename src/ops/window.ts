/** How a sliding window changes a spatial extent, for extents that are not known as numbers. */
import type { Site } from './relation.js';

/** Maps the key of an input extent to that of the output extent: equal keys stay equal. */
export type ExtentMap = (key: string) => string;

/**
 * Conv, MaxPool, AveragePool with explicit padding: floor((n + pads - dilation * (kernel - 1) - 1) / stride) + 1. Two windows
 * with the same stride and the same pads - dilation * (kernel - 1) give the same extent for every n: 3x3 with padding 1 and
 * 1x1 without are such. Undefined for other axes and for padding that depends on n.
 */
export function windowOf({ node, constant }: Site, axis: number): ExtentMap | undefined {
  if (axis < 2 || node.string('auto_pad', 'NOTSET') !== 'NOTSET' || node.int('ceil_mode', 0) !== 0) return undefined;
  const at = axis - 2;
  const kernel = (node.ints('kernel_shape') ?? constant(1)?.dims.slice(2))?.[at];
  if (kernel === undefined) return undefined;
  const stride = node.ints('strides')?.[at] ?? 1;
  const dilation = node.ints('dilations')?.[at] ?? 1;
  const pads = node.ints('pads') ?? [];
  const grown = (pads[at] ?? 0) + (pads[at + pads.length / 2] ?? 0) - dilation * (kernel - 1);
  return (key) => (stride === 1 && grown === 0 ? key : `(${key}${grown < 0 ? '' : '+'}${grown})/${stride}`);
}
