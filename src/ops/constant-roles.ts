/**
 * What an operator does with a constant that it reads beside a value: after a normalisation that
 * exporters take apart, the scale is multiplied and the shift is added. Division and subtraction
 * have other numbers than the parameter.
 */
import type { Node } from '../ir/graph.js';

export type ConstantRole = 'scale' | 'shift';

const ROLES: ReadonlyMap<string, ConstantRole> = new Map([
  ['Mul', 'scale'],
  ['Add', 'shift'],
]);

export function roleOfConstant({ opType }: Pick<Node, 'opType'>): ConstantRole | undefined {
  return ROLES.get(opType);
}
