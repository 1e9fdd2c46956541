/**
 * A mask as its weight needs it: one factor per element, in the operand's own layout. Masks come
 * per element, per filter, per input channel or per kernel, as indices or patterns, and in
 * PyTorch's layout [out, in, …], Keras' or ONNX's.
 */
import { BOOL, product, UINT8 } from '../ir/tensor.js';
import type { Claim, MaskSource } from './claim.js';
import { FileTensor } from './contents.js';
import { type WeightSlot, fromTorchLayout } from './slots.js';

/**
 * Whose axes a mask has: those of the model's tensor as it is stored, or of the framework's
 * parameter.
 */
export type Layout = 'stored' | 'torch';
export const LAYOUTS = ['torch', 'stored'] as const;

export type Granularity = 'element' | 'kernel' | 'filter' | 'channel' | 'pattern';

export interface Expanded {
  /** Row-major over the operand's dims. 0 prunes; 1 keeps; other values only where `isSoft`. */
  readonly factors: Uint8Array | Float32Array | Float64Array;
  readonly granularity: Granularity;
  readonly zeros: number;
  /** A value that is neither 0 nor 1, if there is one. */
  readonly odd: number | undefined;
  /**
   * Added to what the factors leave: a bias that is another one once its layer's normalisation is
   * pruned.
   */
  readonly offsets?: Float64Array;
}

/** What a mask has to fit: a layer's operand, or any stored tensor (then axes have no meaning). */
export type Target = Pick<WeightSlot, 'tensor' | 'parameter' | 'outAxis' | 'inAxis'>;

/** Undefined when the shapes do not fit. */
export function expandMask(claim: Claim, target: Target, layout: Layout): Expanded | undefined {
  const { source } = claim;
  switch (source.kind) {
    case 'tensor': {
      const view = alignedView(source.tensor, claim, target, layout);
      return view === undefined ? undefined : fromTensor(view, source.tensor, target);
    }
    case 'indices':
      return fromIndices(source, claim, target, layout);
    case 'runs':
      return fromRuns(source, claim, target, layout);
    case 'pattern':
      return fromPattern(source, target);
  }
}

/** The tensor with the operand's axes and extents; undefined when it does not fit. */
export function alignedView(
  tensor: FileTensor,
  { name }: Pick<Claim, 'name'>,
  target: Target,
  layout: Layout,
): FileTensor | undefined {
  const { dims } = target.tensor;
  if (tensor.size === 1 && target.tensor.size === 1) return tensor.permuted(dims.map(() => undefined));
  if (tensor.dims.length === 0) return undefined;
  // Normalisations over several axes have a shift of several, in one order everywhere.
  if (target.parameter === 'bias' && tensor.dims.length > 1) return withExtents(tensor, dims);
  if (target.parameter === 'bias')
    return tensor.size === target.tensor.size
      ? tensor.permuted(dims.map((_, axis) => (axis === dims.length - 1 ? 0 : undefined)))
      : undefined;
  const wide = wideAxes(tensor.dims);
  // Extents of 1 do not matter where the order of the others is certain: no rule has turned them.
  if (target.outAxis < 0 && tensor.dims.length !== dims.length) return withExtents(tensor, dims);
  if (tensor.dims.length === 1)
    return tensor.dims[0] === dims[target.outAxis]
      ? tensor.permuted(dims.map((_, axis) => (axis === target.outAxis ? 0 : undefined))).broadcast(dims)
      : undefined;
  if (tensor.dims.length !== dims.length) return undefined;
  // One number for a whole layer is no mask of its filters or channels, whatever its rank is.
  if (wide.length === 0 && target.tensor.size > 1 && !hasOneChannel(target)) return undefined;
  // No shape overrules the layout: what fits an oblong matrix only when it is turned would fit a
  // square one as it is.
  if (layout === 'stored') return tensor.broadcast(dims);
  const isDepthwise = name.isKernel && name.module.endsWith('.depthwise');
  const parameter = name.isKernel ? tensor.permuted(fromKeras(tensor.dims.length, isDepthwise)) : tensor;
  return parameter.permuted(fromTorchLayout(target)).broadcast(dims);
}

/** The same elements in the same order, whatever axes of extent 1 there are besides. */
function withExtents(tensor: FileTensor, dims: readonly number[]): FileTensor | undefined {
  const [wide, places] = [wideAxes(tensor.dims), wideAxes(dims)];
  const isSame =
    wide.length === places.length && wide.every((axis, at) => tensor.dims[axis] === dims[places[at] ?? -1]);
  return isSame ? tensor.permuted(dims.map((_, axis) => wide[places.indexOf(axis)])) : undefined;
}

/** Then one number for each of its channels is one number. */
function hasOneChannel({ tensor: { dims }, outAxis, inAxis = -1 }: Target): boolean {
  return dims[outAxis] === 1 || dims[inAxis] === 1;
}

function wideAxes(dims: readonly number[]): number[] {
  return dims.flatMap((extent, axis) => (extent === 1 ? [] : [axis]));
}

/**
 * Kernels of Keras: [kh, kw, in, out] and [in, out] as PyTorch has them: [out, in, kh, kw], [out,
 * in]. A depthwise kernel is [kh, kw, in, multiplier], which is [in, 1, kh, kw] where the
 * multiplier is 1; with another one it does not fit.
 */
function fromKeras(rank: number, isDepthwise: boolean): number[] {
  const spatial = Array.from({ length: rank - 2 }, (_, axis) => axis);
  return isDepthwise ? [rank - 2, rank - 1, ...spatial] : [rank - 1, rank - 2, ...spatial];
}

function fromTensor(view: FileTensor, given: FileTensor, target: Target): Expanded {
  const elements = view.toTensor();
  // Bytes are compared as they are: as numbers they would take eight times the memory.
  const values = elements.dataType === BOOL || elements.dataType === UINT8 ? elements.bytes() : elements.numbers();
  let zeros = 0;
  let odd: number | undefined;
  // By index: an iterator costs several times as much.
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value === 0) zeros++;
    else if (value !== 1) odd ??= value;
  }
  const factors = odd === undefined ? new Uint8Array(values) : values;
  const said = granularityOf(given, target);
  const granularity =
    said === 'element' && target.parameter !== 'bias' && isWholeFilters(factors, target) ? 'filter' : said;
  return { factors, granularity, zeros, odd };
}

/** Whether what is written per element says no more than one number per filter. */
function isWholeFilters(factors: Expanded['factors'], { tensor: { dims }, outAxis }: Target): boolean {
  const extent = dims[outAxis] ?? 0;
  const inner = product(dims.slice(outAxis + 1));
  const first = new Float64Array(extent).fill(-1);
  for (let at = 0; at < factors.length; at++) {
    const filter = Math.floor(at / inner) % extent;
    const factor = factors[at] ?? 0;
    if (first[filter] === -1) first[filter] = factor;
    else if (first[filter] !== factor) return false;
  }
  return extent > 0;
}

function granularityOf({ dims, size }: FileTensor, { parameter, tensor }: Target): Granularity {
  if (parameter === 'bias') return 'element';
  const wide = dims.flatMap((extent, axis) => (extent > 1 ? [axis] : []));
  if (dims.length === 1 || wide.every((axis) => axis === 0)) return 'filter';
  if (wide.every((axis) => axis === 1)) return 'channel';
  // Kernels of one element are elements.
  return wide.every((axis) => axis < 2) && size < tensor.size ? 'kernel' : 'element';
}

function ones({ tensor }: Target): Uint8Array {
  return new Uint8Array(tensor.size).fill(1);
}

/**
 * Axis 0 lists filters and axis 1 input channels; beside a shape they are the axes of that shape,
 * whatever its layout.
 */
function fromIndices(
  source: MaskSource & { kind: 'indices' },
  claim: Claim,
  target: Target,
  layout: Layout,
): Expanded | undefined {
  const { axis, action, indices, shape } = source;
  const extent = shape === undefined ? extentOn(axis, target) : shape[axis];
  if (extent === undefined || extent > target.tensor.size || indices.some((index) => index >= extent)) return undefined;
  const listed = new Set(indices);
  const keep = Uint8Array.from({ length: extent }, (_, at) => (listed.has(at) === (action === 'keep') ? 1 : 0));
  if (shape === undefined) {
    const removed = [...keep.keys()].filter((at) => keep[at] === 0);
    const operandAxis = axis === 0 ? target.outAxis : (target.inAxis ?? -1);
    return maskFactors(target.tensor.dims, [{ axis: operandAxis, indices: removed }], target.outAxis);
  }
  const vector = FileTensor.contiguous(UINT8, [extent], () => keep);
  const lifted = vector.permuted(shape.map((_, at) => (at === axis ? 0 : undefined)));
  const whole = lifted.broadcast(shape);
  const view = whole && alignedView(whole, claim, target, layout);
  return view === undefined ? undefined : fromTensor(view, lifted, target);
}

function extentOn(axis: number, { tensor, outAxis, inAxis }: Target): number | undefined {
  return tensor.dims[axis === 0 ? outAxis : (inAxis ?? -1)];
}

function fromRuns(
  { shape, runs }: MaskSource & { kind: 'runs' },
  claim: Claim,
  target: Target,
  layout: Layout,
): Expanded | undefined {
  const size = product(shape);
  // Before anything is allocated: a few digits may claim any size.
  if (size !== target.tensor.size || runs.reduce((total, run) => total + run, 0) !== size) return undefined;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const [index, run] of runs.entries()) {
    if (index % 2 === 0) bytes.fill(1, at, at + run);
    at += run;
  }
  const tensor = FileTensor.contiguous(UINT8, shape, () => bytes);
  const view = alignedView(tensor, claim, target, layout);
  return view === undefined ? undefined : fromTensor(view, tensor, target);
}

/**
 * Groups of `of` neighbours along the input channels; the largest `keep` of each stay, ties go to
 * the first. A rest stays.
 */
function fromPattern({ keep, of }: MaskSource & { kind: 'pattern' }, target: Target): Expanded | undefined {
  const { inAxis, tensor } = target;
  if (target.parameter === 'bias' || inAxis === undefined) return undefined;
  const { dims } = tensor;
  const extent = dims[inAxis] ?? 0;
  const stride = product(dims.slice(inAxis + 1));
  const values = tensor.numbers();
  const factors = ones(target);
  for (let outer = 0; outer < product(dims.slice(0, inAxis)); outer++) {
    for (let inner = 0; inner < stride; inner++) {
      const place = (index: number) => (outer * extent + index) * stride + inner;
      for (let start = 0; start + of <= extent; start += of) {
        const group = Array.from({ length: of }, (_, index) => place(start + index));
        const size = (at: number) => Math.abs(values[at] ?? 0);
        group.sort((a, b) => size(b) - size(a) || a - b);
        for (const at of group.slice(keep)) factors[at] = 0;
      }
    }
  }
  return { factors, granularity: 'pattern', zeros: countZeros(factors), odd: undefined };
}

export function countZeros(factors: Expanded['factors']): number {
  let zeros = 0;
  for (const factor of factors) if (factor === 0) zeros++;
  return zeros;
}

/** The mask that takes whole indices of some axes. */
export function maskFactors(
  dims: readonly number[],
  removed: readonly { readonly axis: number; readonly indices: readonly number[] }[],
  outAxis = 0,
): Expanded {
  const factors = new Uint8Array(product(dims)).fill(1);
  for (const { axis, indices } of removed) {
    const listed = new Set(indices);
    const extent = dims[axis] ?? 1;
    const inner = product(dims.slice(axis + 1));
    for (let at = 0; at < factors.length; at++) if (listed.has(Math.floor(at / inner) % extent)) factors[at] = 0;
  }
  const isFilters = removed.every(({ axis, indices }) => axis === outAxis || indices.length === 0);
  return { factors, granularity: isFilters ? 'filter' : 'channel', zeros: countZeros(factors), odd: undefined };
}
