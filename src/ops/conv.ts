/** Convolutions: Conv, and what is known of its relatives. */
import { isStatic, type Link, link, type Relation } from './axes.js';
import { Window, windowedExtents, windowKey } from './attributes.js';
import type { Adjustment, Doubt, Kept, LayerOperands, Operator } from './operator.js';
import type { Site } from './site.js';
import type { Node } from '../ir/graph.js';
import { product, type Tensor } from '../ir/tensor.js';

const BATCH: readonly Link[] = [link({ index: 0, axis: 0 }, { index: 0, axis: 0 })];
const CHANNELS = { index: 0, axis: 1 } as const;

/** Conv-1, -11, -22: X [N, C, spatial…], W [M, C / group, kernel…], B [M], Y [N, M, spatial…]. */
function convAxes(site: Site): Relation | undefined {
  const x = site.inDims(0);
  const weights = site.constant(1);
  const y = site.outDims(0);
  if (x === undefined || weights === undefined || y === undefined) return undefined;
  if (site.node.inputs[2] !== undefined && site.constant(2) === undefined) return undefined;
  const groups = site.node.int('group', 1);
  const padded = new Window(site.node).isPadded;
  const operands = { weights: { index: 1, inAxis: 1, outAxis: 0 }, bias: { index: 2, beta: 1 }, alpha: 1 };
  const shared = { links: BATCH, x: CHANNELS, y: CHANNELS, ...operands, padded, hasWindow: true } as const;
  if (groups === 1) return { kind: 'linear', ...shared };
  // A group's inputs go with its outputs: both sides must have positions.
  if (typeof x[1] !== 'number' || typeof y[1] !== 'number') return undefined;
  return { kind: 'grouped', ...shared, groups };
}

/** The `group` attribute counts the groups of which anything is left. */
export function adjustGroups(site: Site, kept: Kept): readonly Adjustment[] {
  const groups = site.node.int('group', 1);
  const keptOutputs = kept.output(CHANNELS);
  const total = site.outDims(0)?.[1];
  if (groups === 1 || keptOutputs === undefined || typeof total !== 'number') return [];
  const left = new Set(keptOutputs.map((index) => Math.floor((index * groups) / total)));
  return left.size === groups ? [] : [{ attribute: 'group', value: { kind: 'int', value: left.size } }];
}

function convWeights(site: Site): LayerOperands | undefined {
  return site.constant(1) === undefined ? undefined : { weights: { index: 1, inAxis: 1, outAxis: 0 }, bias: 2 };
}

/** `weights`: which input they are. */
export function convMacs(site: Site, weights = 1): number | undefined {
  const y = site.outDims(0);
  const dims = site.constant(weights)?.dims ?? site.inDims(weights) ?? [];
  return isStatic(y) && isStatic(dims) ? product(y) * product(dims.slice(1)) : undefined;
}

/**
 * ConvTranspose-1, -11, -22: X [N, C, spatial…], W [C, M / group, kernel…], B [M], Y [N, M,
 * spatial…]. Each place of X is spread over several of Y, so that most places of Y miss some taps:
 * constants are no sum that is the same everywhere, unless there is one tap and no gap.
 */
function transposedAxes(site: Site): Relation | undefined {
  const { node } = site;
  const weights = site.constant(1);
  const [x, y] = [site.inDims(0), site.outDims(0)];
  if (x === undefined || y === undefined || weights === undefined) return undefined;
  if (node.inputs[2] !== undefined && site.constant(2) === undefined) return undefined;
  const groups = node.int('group', 1);
  const operands = { weights: { index: 1, inAxis: 0, outAxis: 1 }, bias: { index: 2, beta: 1 }, alpha: 1 };
  const shared = { links: BATCH, x: CHANNELS, y: CHANNELS, ...operands, padded: spreads(node, weights) };
  if (groups === 1) return { kind: 'linear', ...shared, needsCarrier: true };
  if (typeof x[1] !== 'number' || typeof y[1] !== 'number') return undefined;
  return { kind: 'grouped', ...shared, groups, needsCarrier: true };
}

/** Whether the output has places that do not see every tap. */
function spreads(node: Node, { dims }: Tensor): boolean {
  const isOne = (name: string) => node.ints(name)?.every((value) => value === 1) !== false;
  const isGrown =
    node.ints('output_padding')?.some((value) => value !== 0) === true || node.attributes.has('output_shape');
  return product(dims.slice(2)) !== 1 || !isOne('strides') || isGrown || new Window(node).isPadded;
}

/**
 * Filters of a grouped one are those of axis 1 in each group of axis 0: no axis counts them, but
 * where each group is one channel.
 */
function transposedWeights({ node, constant }: Site): LayerOperands | undefined {
  const dims = constant(1)?.dims;
  const groups = node.int('group', 1);
  if (dims === undefined) return undefined;
  if (groups === 1) return { weights: { index: 1, inAxis: 0, outAxis: 1 }, bias: 2 };
  const isDepthwise = dims[0] === groups && dims[1] === 1;
  return isDepthwise ? { weights: { index: 1, inAxis: 1, outAxis: 0 }, bias: 2 } : undefined;
}

/** Each element of X meets every tap of its row of W. */
function transposedMacs(site: Site): number | undefined {
  const x = site.inDims(0);
  const dims = site.constant(1)?.dims ?? site.inDims(1) ?? [];
  return isStatic(x) && isStatic(dims) ? product(x) * product(dims.slice(1)) : undefined;
}

/** Y [N, M, …] of X [N, C, …] and W [M, C / group, …]. */
function problem({ node, inDims }: Site): string | undefined {
  const group = node.int('group', 1);
  const [filters, channels] = inDims(1) ?? [];
  const given = inDims(0)?.[1];
  if (typeof filters === 'number' && filters % group !== 0) return `${filters} filters are not ${group} equal groups`;
  if (typeof channels === 'number' && typeof given === 'number' && channels * group !== given)
    return `its weight has ${channels} channels in each of ${group} groups, and ${given} come in`;
  return undefined;
}

/**
 * ConvTranspose with output_shape: the inference takes it for the whole shape. With auto_pad SAME_*
 * it counts output_padding, which the kernels do not make. The weights may be computed and tell
 * nothing; spatial axes are the last ones, and any list of that length says how many.
 */
function transposedDoubt(node: Node, constant: (input: number) => Tensor | undefined): Doubt {
  const lists = ['kernel_shape', 'strides', 'dilations', 'output_padding', 'output_shape'].map((name) =>
    node.ints(name),
  );
  const count = (constant(1)?.dims.slice(2) ?? lists.find((list) => list !== undefined) ?? []).length;
  const spatial = Array.from({ length: count }, (_, at) => at - count);
  if (node.attributes.has('output_shape')) return { axes: spatial, misleading: ['output_shape'] };
  const { isSame } = new Window(node);
  return { axes: isSame ? spatial.filter((axis) => (node.ints('output_padding')?.at(axis) ?? 0) !== 0) : [] };
}

const PARAMETERS = [undefined, 'weight', 'bias'] as const;

export const convolution: Operator = {
  type: 'Conv',
  axes: convAxes,
  resultExtents: (site) => windowedExtents(site, site.constant(1)?.dims[0]),
  adjust: adjustGroups,
  weights: convWeights,
  macs: (site) => convMacs(site),
  parameters: PARAMETERS,
  hasGroups: true,
  extentKey: windowKey,
  hasWindow: true,
  problem,
};

export const convolutions: readonly Operator[] = [
  convolution,
  {
    type: 'ConvTranspose',
    axes: transposedAxes,
    adjust: adjustGroups,
    weights: transposedWeights,
    macs: transposedMacs,
    parameters: PARAMETERS,
    hasGroups: true,
    // W [C, M / group, kernel…]
    filters: (node, dims) => (dims[1] ?? 1) * node.int('group', 1),
    hasWindow: true,
    doubt: transposedDoubt,
  },
  { type: 'DeformConv', hasWindow: true },
];
