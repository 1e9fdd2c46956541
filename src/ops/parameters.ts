/**
 * Which operands are parameters of a layer, under the names and in the layouts that PyTorch's
 * modules have them.
 */
import type { Dim, Node, Value } from '../ir/graph.js';
import type { ParameterName } from './operator.js';
import { operatorOf } from './registry.js';

export interface ParameterRole {
  readonly name: ParameterName;
  /**
   * Whether the operand has the axes of the module's parameter in reverse: [in, out] for [out, in].
   */
  readonly isReversed: boolean;
}

export function parameterRole(node: Node, index: number): ParameterRole | undefined {
  const operator = operatorOf(node);
  const name = operator?.parameters?.[index];
  if (name === undefined) return undefined;
  return { name, isReversed: name === 'weight' && operator?.isReversed?.(node) === true };
}

/** The `groups` of a convolution; undefined for operators that have none. */
export function groupsOf(node: Node): number | undefined {
  return operatorOf(node)?.hasGroups === true ? node.int('group', 1) : undefined;
}

/**
 * Which axes of the operand are the module's parameter's, where the operand is stored for the
 * operator alone.
 */
export function parameterAxes(node: Node, index: number, dims: readonly number[]): readonly number[] {
  if (parameterRole(node, index)?.isReversed === true && dims.length === 2) return [1, 0];
  return operatorOf(node)?.parameterAxes?.(dims) ?? dims.map((_, axis) => axis);
}

/** How many filters a layer with a weight of these extents has, which is the size of its bias. */
export function filtersOf(node: Node, dims: readonly number[]): number {
  return operatorOf(node)?.filters?.(node, dims) ?? dims[parameterAxes(node, 1, dims)[0] ?? 0] ?? 1;
}

/** The two factors of a product. */
export function factorsOf({ opType, domain, inputs: [left, right] }: Node): readonly [Value, Value] | undefined {
  const isProduct = opType === 'Mul' && domain === '' && left !== undefined && right !== undefined;
  return isProduct ? [left, right] : undefined;
}

/** Whether it reads an extent, and no number. */
export function readsExtents(node: Node): boolean {
  return operatorOf(node)?.ignoresElementsOf?.includes(0) === true;
}

/** Whether the gates of all directions are one tensor: a module has them otherwise. */
export function isRecurrent(node: Node): boolean {
  return operatorOf(node)?.gates !== undefined;
}

/**
 * From which axes of its result a node that hands a tensor on has each axis of that tensor: `axes`
 * per axis of the result, and so per axis of what it reads; undefined where axes of extent 1 came
 * up. Nothing where it is another tensor.
 */
export function axesBefore<Axis>(
  node: Node,
  before: readonly Dim[],
  after: readonly Dim[],
  axes: readonly (Axis | undefined)[],
): readonly (Axis | undefined)[] | undefined {
  if (operatorOf(node)?.alias === 'transposed') {
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
