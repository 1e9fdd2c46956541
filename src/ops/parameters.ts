/** Which operands are parameters of a layer, under the names and in the layouts that PyTorch's modules have them. */
import type { Dim, Node, Value } from '../ir/graph.js';

export interface ParameterRole {
  readonly name: 'weight' | 'bias' | 'running_mean' | 'running_var';
  /** Whether the operand has the axes of the module's parameter in reverse: [in, out] for [out, in]. */
  readonly isReversed: boolean;
}

type Names = readonly (ParameterRole['name'] | undefined)[];

const LAYER: Names = [undefined, 'weight', 'bias'];

/** By operator, per input. */
const NAMES: ReadonlyMap<string, Names> = new Map(
  Object.entries({
    Conv: LAYER,
    ConvTranspose: LAYER,
    Gemm: LAYER,
    MatMul: [undefined, 'weight'],
    BatchNormalization: [undefined, 'weight', 'bias', 'running_mean', 'running_var'],
    InstanceNormalization: LAYER,
    LayerNormalization: LAYER,
    PRelu: [undefined, 'weight'],
  } satisfies Record<string, Names>),
);

export function parameterRole(node: Node, index: number): ParameterRole | undefined {
  const name = node.domain === '' ? NAMES.get(node.opType)?.[index] : undefined;
  if (name === undefined) return undefined;
  const isMatrix = node.opType === 'MatMul' || (node.opType === 'Gemm' && node.int('transB', 0) === 0);
  return { name, isReversed: isMatrix && name === 'weight' };
}

/** The `groups` of a convolution; undefined for operators that have none. */
export function groupsOf(node: Node): number | undefined {
  return node.domain === '' && ['Conv', 'ConvTranspose'].includes(node.opType) ? node.int('group', 1) : undefined;
}

/** Which axes of the operand are the module's parameter's, where the operand is stored for the operator alone: a PReLU has one slope per channel. */
export function parameterAxes(node: Node, index: number, dims: readonly number[]): readonly number[] {
  const axes = dims.map((_, axis) => axis);
  if (parameterRole(node, index)?.isReversed === true && axes.length === 2) return [1, 0];
  if (node.opType !== 'PRelu' || axes.length < 2) return axes;
  const wide = axes.filter((axis) => dims[axis] !== 1);
  return wide.length > 1 ? axes : [wide[0] ?? 0];
}

/** How many filters a layer with a weight of these extents has, which is the size of its bias. */
export function filtersOf(node: Node, dims: readonly number[]): number {
  if (node.opType === 'ConvTranspose') return (dims[1] ?? 1) * (groupsOf(node) ?? 1);
  return dims[parameterAxes(node, 1, dims)[0] ?? 0] ?? 1;
}

/** The two factors of a product. */
export function factorsOf({ opType, domain, inputs: [left, right] }: Node): readonly [Value, Value] | undefined {
  const isProduct = opType === 'Mul' && domain === '' && left !== undefined && right !== undefined;
  return isProduct ? [left, right] : undefined;
}

/** Whether it reads an extent, and no number. */
export function readsExtents({ opType }: Node): boolean {
  return opType === 'Shape' || opType === 'Size';
}

/** Whether the gates of all directions are one tensor: a module has them otherwise. */
export function isRecurrent({ opType }: Node): boolean {
  return ['LSTM', 'GRU', 'RNN'].includes(opType);
}

/**
 * From which axes of its result a node that hands a tensor on has each axis of that tensor: `axes` per axis of the result, and so per
 * axis of what it reads; undefined where axes of extent 1 came up. Nothing where it is another tensor.
 */
export function axesBefore<Axis>(
  node: Node,
  before: readonly Dim[],
  after: readonly Dim[],
  axes: readonly (Axis | undefined)[],
): readonly (Axis | undefined)[] | undefined {
  if (node.opType === 'Transpose') {
    const order = node.ints('perm') ?? after.map((_, axis) => after.length - 1 - axis);
    return before.map((_, axis) => axes[order.indexOf(axis)]);
  }
  if (before.join() === after.join()) return axes;
  if (factorsOf(node) !== undefined) return undefined;
  // Axes of extent 1 come and go; whatever else a Reshape does is another tensor.
  const wide = after.flatMap((extent, axis) => (extent === 1 ? [] : [axis]));
  const isSame = before.filter((extent) => extent !== 1).join() === wide.map((axis) => after[axis]).join();
  let next = 0;
  return isSame ? before.map((extent) => (extent === 1 ? undefined : axes[wide[next++] ?? -1])) : undefined;
}
