/**
 * What ONNX demands of an operator and ONNX Runtime does not look at before it computes: some of it ends the process there. Everything else that is
 * wrong with a node it says itself when it loads the model.
 */
import type { Site } from './relation.js';

/** Operators that slide a window over places. */
const WINDOWED: ReadonlySet<string> = new Set([
  'Conv',
  'ConvInteger',
  'ConvTranspose',
  'DeformConv',
  'QLinearConv',
  'AveragePool',
  'LpPool',
  'MaxPool',
  'MaxUnpool',
]);

const AT_LEAST: ReadonlyMap<string, number> = new Map([
  ['group', 1],
  ['strides', 1],
  ['dilations', 1],
  ['kernel_shape', 1],
  ['pads', 0],
]);

/** Why an operator with these attributes cannot be computed; undefined where nothing is wrong. `numbersOf` is empty for others than integers. */
export function attributeProblem(
  domain: string,
  opType: string,
  numbersOf: (attribute: string) => readonly number[],
): string | undefined {
  if (domain !== '' || !WINDOWED.has(opType)) return undefined;
  for (const [name, least] of AT_LEAST) {
    const values = numbersOf(name);
    if (values.some((value) => value < least)) return `${name} is ${values.join(', ')}, and may not be below ${least}`;
  }
  return undefined;
}

/** Conv: Y [N, M, …] of X [N, C, …] and W [M, C / group, …]. */
export function groupsProblem({ node, inDims }: Site): string | undefined {
  if (node.domain !== '' || node.opType !== 'Conv') return undefined;
  const group = node.int('group', 1);
  const [filters, channels] = inDims(1) ?? [];
  const given = inDims(0)?.[1];
  if (typeof filters === 'number' && filters % group !== 0) return `${filters} filters are not ${group} equal groups`;
  if (typeof channels === 'number' && typeof given === 'number' && channels * group !== given)
    return `its weight has ${channels} channels in each of ${group} groups, and ${given} come in`;
  return undefined;
}
