/** Which operands are parameters of a layer, under the names and in the layouts that PyTorch's modules have them. */
import type { Node } from '../ir/graph.js';

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
