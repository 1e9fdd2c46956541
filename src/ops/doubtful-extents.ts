/**
 * Where ONNX Runtime's shape inference says other extents than its kernels then make (found by running 160,000 windows and resizes with
 * random attributes in 1.32, and comparing): nothing may be concluded from these.
 *
 * - Pools with ceil_mode: a last window that begins in the padding, or, with windows smaller than their stride, behind the image, is
 *   counted by the inference and not by the kernels. Strides of 1 leave nothing to round.
 * - Pools with auto_pad SAME_* and dilation: the kernels forget the dilation when they pad.
 * - ConvTranspose with output_shape: it is taken for the whole shape. With auto_pad SAME_* output_padding is counted, and not made.
 * - Resize and Upsample by other fractions than halves, quarters and so on: one of the two multiplies in double precision.
 */
import type { Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

export interface Doubt {
  /** Of the first output; negative ones count from the last. */
  readonly axes: readonly number[];
  /** Attributes that the inference goes by and must not see. */
  readonly misleading?: readonly string[];
  /** Whether the operator changes no other axis, and should not be asked at all. */
  readonly isAll?: boolean;
}

type Constant = (input: number) => Tensor | undefined;

/** Operators of which any may be doubtful. */
export const isSuspect = (domain: string, opType: string): boolean => domain === '' && Object.hasOwn(ROWS, opType);

/** Axes of the node's output whose inferred extents may be wrong; undefined where there are none. `constant` knows inputs by index. */
export function doubtOf(node: Node, constant: Constant): Doubt | undefined {
  const doubt = node.domain === '' ? ROWS[node.opType]?.(node, constant) : undefined;
  return doubt === undefined || doubt.axes.length === 0 ? undefined : doubt;
}

const ROWS: Readonly<Record<string, (node: Node, constant: Constant) => Doubt>> = {
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  MaxUnpool: (node) => ({ axes: spatialAxes(node.ints('kernel_shape')?.length ?? 0) }),
  ConvTranspose: transposed,
  Resize: resized,
  Upsample: resized,
};

const spatialAxes = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 2);

function pool(node: Node): Doubt {
  return {
    axes: spatialAxes(node.ints('kernel_shape')?.length ?? 0).filter((axis) => isDoubtfulWindow(node, axis - 2)),
  };
}

/** Of a pool, along one spatial axis. */
export function isDoubtfulWindow(node: Node, at: number): boolean {
  const dilation = node.ints('dilations')?.[at] ?? 1;
  const stride = node.ints('strides')?.[at] ?? 1;
  const window = dilation * ((node.ints('kernel_shape')?.[at] ?? 1) - 1) + 1;
  const pads = node.ints('pads') ?? [];
  const isPadded = [at, at + pads.length / 2].some((side) => (pads[side] ?? 0) !== 0);
  const isSame = node.string('auto_pad', '').startsWith('SAME_');
  return (isSame && dilation > 1) || (node.int('ceil_mode', 0) !== 0 && stride > 1 && (isPadded || window < stride));
}

function transposed(node: Node, constant: Constant): Doubt {
  const spatial = spatialAxes((node.ints('kernel_shape') ?? constant(1)?.dims.slice(2) ?? []).length);
  if (node.attributes.has('output_shape')) return { axes: spatial, misleading: ['output_shape'] };
  const isSame = node.string('auto_pad', '').startsWith('SAME_');
  return { axes: isSame ? spatial.filter((axis) => (node.ints('output_padding')?.[axis - 2] ?? 0) !== 0) : [] };
}

/** Scales are an attribute of Upsample-7, the second input of Upsample-9 and Resize-10, the third of Resize-11. */
function resized(node: Node, constant: Constant): Doubt {
  const sizes = constant(3);
  // "not_larger" and "not_smaller" change every extent that has a size.
  if (sizes !== undefined && node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return { axes: node.ints('axes') ?? Array.from({ length: sizes.size }, (_, axis) => axis), isAll: true };
  const attribute = node.attributes.get('scales');
  const scales =
    attribute?.kind === 'floats' ? attribute.value : [...(constant(node.inputs.length > 2 ? 2 : 1)?.numbers() ?? [])];
  const axes = node.ints('axes') ?? scales.map((_, axis) => axis);
  return { axes: axes.filter((_, at) => !isExact(scales[at] ?? 0)) };
}

/** With six binary places every product up to 2^18 is a float32 as it is: there is nothing to round. */
function isExact(scale: number): boolean {
  return Number.isInteger(scale * 2 ** 6);
}
