/**
 * Where ONNX Runtime's shape inference says other extents than its kernels then make (found by running 200,000 nodes with random attributes in
 * 1.30 and 1.32, and comparing): nothing may be concluded from these.
 *
 * - Pools with ceil_mode: a last window that begins in the padding, or, with windows smaller than their stride, behind the image, is
 *   counted by the inference and not by the kernels. Strides of 1 leave nothing to round.
 * - Pools with auto_pad SAME_* and dilation: the kernels forget the dilation when they pad. With any auto_pad and pads besides, the
 *   inference goes by pads and the kernels do not.
 * - ConvTranspose with output_shape: it is taken for the whole shape. With auto_pad SAME_* output_padding is counted, and not made.
 * - Einsum: a label has the extent of its first operand, where that is 1 and another one is not, too.
 * - Slice backwards to an open end is taken for empty.
 * - Resize and Upsample by other fractions than halves, quarters and so on: one of the two multiplies in double precision.
 */
import type { Dim, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

export interface Doubt {
  /** Of the first input and output; negative ones count from the last. */
  readonly axes: readonly number[];
  /** Attributes that the inference goes by and must not see. */
  readonly misleading?: readonly string[];
  /** Whether the operator changes no other axis, and should not be asked at all. */
  readonly isAll?: boolean;
}

type Constant = (input: number) => Tensor | undefined;

/** Operators of which any may be doubtful; backward slices are too rare to suspect all. */
export const isSuspect = (domain: string, opType: string): boolean =>
  domain === '' && (opType === 'Einsum' || (opType !== 'Slice' && ROWS.has(opType)));

/** Axes of the node's output whose inferred extents may be wrong; undefined where there are none. `constant` knows inputs by index. */
export function doubtOf(node: Node, constant: Constant): Doubt | undefined {
  const doubt = node.domain === '' ? ROWS.get(node.opType)?.(node, constant) : undefined;
  return doubt === undefined || (doubt.axes.length === 0 && doubt.misleading === undefined) ? undefined : doubt;
}

const ROWS = new Map<string, (node: Node, constant: Constant) => Doubt>([
  ['MaxPool', pool],
  ['AveragePool', pool],
  ['LpPool', pool],
  ['MaxUnpool', (node) => ({ axes: spatialAxes(node.ints('kernel_shape')?.length ?? 0) })],
  ['ConvTranspose', transposed],
  ['Slice', sliced],
  ['Resize', resized],
  ['Upsample', resized],
]);

const spatialAxes = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 2);

function pool(node: Node): Doubt {
  const spatial = spatialAxes(node.ints('kernel_shape')?.length ?? 0);
  const isAuto = node.string('auto_pad', 'NOTSET') !== 'NOTSET';
  return {
    axes: spatial.filter((axis) => isDoubtfulWindow(node, axis - 2)),
    ...(isAuto && node.attributes.has('pads') && { misleading: ['pads'] }),
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

/** The weights may be computed and tell nothing; spatial axes are the last ones, and any list of that length says how many. */
function transposed(node: Node, constant: Constant): Doubt {
  const lists = ['kernel_shape', 'strides', 'dilations', 'output_padding', 'output_shape'].map((name) =>
    node.ints(name),
  );
  const count = (constant(1)?.dims.slice(2) ?? lists.find((list) => list !== undefined) ?? []).length;
  const spatial = Array.from({ length: count }, (_, at) => at - count);
  if (node.attributes.has('output_shape')) return { axes: spatial, misleading: ['output_shape'] };
  const isSame = node.string('auto_pad', '').startsWith('SAME_');
  return { axes: isSame ? spatial.filter((axis) => (node.ints('output_padding')?.at(axis) ?? 0) !== 0) : [] };
}

function sliced(_: Node, constant: Constant): Doubt {
  const steps = [...(constant(4)?.numbers() ?? [])];
  const axes = [...(constant(3)?.numbers() ?? steps.keys())];
  return { axes: axes.filter((_axis, at) => (steps[at] ?? 1) < 0) };
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

/**
 * Axes of the node's result that are in doubt for what is known of its operands. Of an Einsum these are labels whose first operand's extent is
 * 1, or a symbol that may stand for 1, while another one is not the same.
 */
export function doubtByOperands(
  node: Node,
  operands: readonly (readonly Dim[] | undefined)[],
  result: readonly Dim[] | undefined,
): readonly number[] {
  if (node.opType !== 'Einsum' || node.domain !== '' || result === undefined) return [];
  const equation = node.string('equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  // What the equation leaves to rules is not followed: any axis may be wrong.
  if (right === undefined || equation.includes('.')) return [...result.keys()];
  const terms = left.split(',');
  return right.split('').flatMap((label, axis) => {
    const extents = terms.flatMap((term, operand) =>
      term.split('').flatMap((other, at) => (other === label ? [operands[operand]?.[at] ?? ''] : [])),
    );
    const [first = ''] = extents;
    const isSure = first === '' || (typeof first === 'number' && first !== 1);
    return isSure || extents.every((extent) => extent === first) ? [] : [axis];
  });
}
