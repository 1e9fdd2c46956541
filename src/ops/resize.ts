/** Resize and Upsample: interpolation along axes that get other extents. */
import type { Node } from '../ir/graph.js';
import { INT64, Tensor } from '../ir/tensor.js';
import { type Known, link, normalAxis, type Pointwise, type Relation } from './axes.js';
import type { Adjustment, Doubt, Kept, Operator } from './operator.js';
import type { Site } from './site.js';

const SIZES = 3;

/** One entry per axis that the node names; undefined where only the run knows it. */
interface Targets {
  readonly axes: readonly number[];
  readonly scales?: readonly number[];
  readonly sizes?: readonly number[];
  /** Sizes that are the image's own extents: per entry the axis. */
  readonly copied?: readonly (number | undefined)[];
}

/**
 * Scales are an attribute of Upsample-7, the second input of Upsample-9 and Resize-10, the third of
 * Resize-11, -13, -18, -19, which may have sizes instead. From opset 18 on `axes` says which axes
 * they are for.
 */
function targetsOf({ node, opset, inDims, constant, ownExtents }: Site): Targets | undefined {
  const rank = inDims(0)?.length;
  if (rank === undefined) return undefined;
  const axes = (node.ints('axes') ?? Array.from({ length: rank }, (_, axis) => axis)).map((axis) =>
    normalAxis(axis, rank),
  );
  const attribute = node.attributes.get('scales');
  if (attribute?.kind === 'floats') return { axes, scales: attribute.value };
  const isOld = node.opType === 'Upsample' || opset < 11;
  const scales = constant(isOld ? 1 : 2);
  // An empty list stands for none.
  if (scales !== undefined && scales.size > 0) return { axes, scales: [...scales.numbers()] };
  if (isOld || node.inputs[SIZES] === undefined) return undefined;
  // With another policy the least of all ratios is the scale of every axis.
  if (node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch') return { axes };
  const sizes = constant(SIZES);
  if (sizes !== undefined) return { axes, sizes: [...sizes.numbers()] };
  const copied = ownExtents(SIZES);
  return copied === undefined ? { axes } : { axes, copied };
}

/**
 * Axes that stay as they are are linked: with a scale of 1 every mode copies along them. The
 * weights of an interpolation sum to 1 in every mode, also where they are cut off at the border or
 * spread against aliasing: a constant stays what it is.
 */
function resizeAxes(site: Site): Relation | undefined {
  const { node } = site;
  const dims = site.inDims(0);
  const targets = targetsOf(site);
  if (dims === undefined || targets === undefined) return undefined;
  const { axes, scales, sizes, copied } = targets;
  const isCrop = node.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize';
  const region = isCrop ? site.constant(1)?.numbers() : undefined;
  const isStill = (axis: number) => {
    const at = axes.indexOf(axis);
    if (at < 0) return true;
    if (isCrop && (region?.[at] !== 0 || region[at + axes.length] !== 1)) return false;
    return scales?.[at] === 1 || copied?.[at] === axis || (sizes !== undefined && sizes[at] === dims[axis]);
  };
  const links = dims.map((_, axis) => axis).filter(isStill);
  const outside = node.float('extrapolation_value', 0);
  const constant: Pointwise['constant'] = ([x]: readonly Known[]) =>
    isCrop && x !== outside ? undefined : (x ?? undefined);
  const relation: Pointwise = {
    kind: 'pointwise',
    links: links.map((axis) => link({ index: 0, axis }, { index: 0, axis })),
    constant,
  };
  if (copied === undefined) return relation;
  // Extents of axes that stay follow by themselves: nobody has to keep them.
  const indices = axes.flatMap((axis, at) => (copied[at] === axis && isStill(axis) ? [] : [at]));
  return { ...relation, reads: { input: { index: SIZES, axis: 0 }, indices } };
}

function changedAxes(site: Site): readonly number[] | undefined {
  const { axes = [], copied } = targetsOf(site) ?? {};
  return copied && axes.filter((axis, at) => copied[at] !== axis);
}

/** Sizes repeat the extents of axes that stay; scales do not. */
function adjust(site: Site, kept: Kept): readonly Adjustment[] {
  const targets = targetsOf(site);
  if (targets?.sizes === undefined) return [];
  const { axes, sizes } = targets;
  const now = sizes.map((size, at) => kept.output({ index: 0, axis: axes[at] ?? -1 })?.length ?? size);
  if (now.join() === sizes.join()) return [];
  return [{ input: SIZES, tensor: Tensor.fromNumbers(INT64, [now.length], now) }];
}

/**
 * With fractions other than halves, quarters and so on the inference or the kernels multiply in
 * double precision. Scales are an attribute of Upsample-7, the second input of Upsample-9 and
 * Resize-10, the third of Resize-11.
 */
function doubt(node: Node, constant: (input: number) => Tensor | undefined): Doubt {
  const sizes = constant(SIZES);
  // "not_larger" and "not_smaller" change every extent that has a size.
  if (sizes !== undefined && node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return { axes: node.ints('axes') ?? Array.from({ length: sizes.size }, (_, axis) => axis), isAll: true };
  const attribute = node.attributes.get('scales');
  const scales =
    attribute?.kind === 'floats' ? attribute.value : [...(constant(node.inputs.length > 2 ? 2 : 1)?.numbers() ?? [])];
  const axes = node.ints('axes') ?? scales.map((_, axis) => axis);
  return { axes: axes.filter((_, at) => !isExact(scales[at] ?? 0)) };
}

/**
 * With six binary places every product up to 2^18 is a float32 as it is: there is nothing to round.
 */
function isExact(scale: number): boolean {
  return Number.isInteger(scale * 2 ** 6);
}

export const resizes: readonly Operator[] = [
  { type: 'Resize', axes: resizeAxes, adjust, changedAxes, doubt, movesData: true },
  { type: 'Upsample', axes: resizeAxes, doubt },
];
