/** Which operands are parameters of a layer, under the names and in the layouts that PyTorch's modules have them. */
import type { Node, Value } from '../ir/graph.js';

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

/** Operators that hand their first operand on; others (a Shape, an Expand) make something else of it. */
const HANDED_ON = new Set(['Transpose', 'Identity', 'Cast', 'CastLike', 'Reshape', 'Squeeze', 'Unsqueeze']);

/** The operands that the result of a node on constants is a version of: a parameter, and a mask that is multiplied with it. */
export function sourcesOf({ opType, inputs }: Node): readonly Value[] {
  const sources = opType === 'Mul' ? inputs : HANDED_ON.has(opType) ? inputs.slice(0, 1) : [];
  return sources.filter((value) => value !== undefined);
}

/** Whether the result is the matrix with its axes exchanged. */
export function isTransposition(node: Node): boolean {
  const order = node.ints('perm');
  return node.opType === 'Transpose' && (order === undefined || (order.length === 2 && order[0] === 1));
}
