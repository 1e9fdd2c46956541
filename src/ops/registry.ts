/**
 * All operators that anything is known of, by name. Of one that is not here the report gives the
 * name.
 */
import type { Node } from '../ir/graph.js';
import { activations } from './activation.js';
import { arithmetic } from './arithmetic.js';
import { attentions } from './attention.js';
import { concats } from './concat.js';
import { constants } from './constant.js';
import { convolutions } from './conv.js';
import { conversions } from './conversions.js';
import { copies } from './copies.js';
import { dataMovements } from './data-movement.js';
import { einsums } from './einsum.js';
import { fusedConvolutions } from './fused-conv.js';
import { gathers } from './gather.js';
import { matrixProducts } from './matrix-products.js';
import { normalizations } from './normalization.js';
import { integerLayers } from './integer-layers.js';
import { natives } from './native.js';
import type { Operator } from './operator.js';
import { pads } from './pad.js';
import { pools } from './pool.js';
import { codedArithmetic } from './coded-arithmetic.js';
import { quantised } from './quantised.js';
import { randoms } from './random.js';
import { recurrents } from './recurrent.js';
import { reductions } from './reduce.js';
import { repeats } from './repeat.js';
import { reshapes } from './reshape.js';
import { resizes } from './resize.js';
import { extentReaders } from './shape.js';
import { slices } from './slice.js';
import { spaceDepths } from './space-depth.js';
import { splits } from './split.js';
import { transposes } from './transpose.js';

export const operators: readonly Operator[] = [
  ...convolutions,
  ...fusedConvolutions,
  ...matrixProducts,
  ...attentions,
  ...pools,
  ...reductions,
  ...normalizations,
  ...activations,
  ...arithmetic,
  ...copies,
  ...reshapes,
  ...transposes,
  ...gathers,
  ...slices,
  ...splits,
  ...repeats,
  ...spaceDepths,
  ...pads,
  ...concats,
  ...extentReaders,
  ...resizes,
  ...einsums,
  ...recurrents,
  ...conversions,
  ...integerLayers,
  ...codedArithmetic,
  ...quantised,
  ...dataMovements,
  ...randoms,
  ...constants,
  ...natives,
];

const byName = new Map(operators.map((operator) => [nameOf(operator.domain ?? '', operator.type), operator]));

export function operatorOf({ domain, opType }: Pick<Node, 'domain' | 'opType'>): Operator | undefined {
  return byName.get(nameOf(domain, opType));
}

/** Whether anything is known of what the operator does with channels. */
export function hasAxes(node: Node): boolean {
  return operatorOf(node)?.axes !== undefined;
}

function nameOf(domain: string, type: string): string {
  return `${domain}::${type}`;
}
