/** com.microsoft: elementwise operators on codes, and a mean, whose operands and result have scales. */
import { type Known, link, type Pointwise } from './axes.js';
import { broadcast } from './broadcast.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/** Every operand is followed by its scale and its zero point, and the last of them by those of Y. */
interface Coded {
  readonly operands: readonly number[];
  /** Which of the operands have to be 0 for the result to be. */
  readonly zeroIf: 'all' | 'any';
}

/** What a zero point is made to; other codes are rounded, and each processor has a kernel of its own. */
function constantOf(site: Site, { operands, zeroIf }: Coded): (known: readonly Known[]) => number | undefined {
  const points = operands.map((index) => pointAt(site, index + 2));
  const made = pointAt(site, (operands.at(-1) ?? 0) + 4);
  return (known) => {
    const areZeros = operands.map((index, at) => known[index] !== undefined && known[index] === points[at]);
    return (zeroIf === 'all' ? !areZeros.includes(false) : areZeros.includes(true)) ? made : undefined;
  };
}

/** Undefined where it is computed, or for more than one scale. */
function pointAt({ node, constant }: Site, index: number): number | undefined {
  if (node.inputs[index] === undefined) return 0;
  const tensor = constant(index);
  return tensor?.size === 1 ? tensor.numbers()[0] : undefined;
}

function elementwise(type: string, coded: Coded): Operator {
  return {
    type,
    domain: MICROSOFT,
    axes: (site) => {
      const relation = broadcast(site, coded.operands, constantOf(site, coded));
      return relation && { ...relation, jumps: true };
    },
  };
}

/** QLinearGlobalAveragePool-1: [N, C, spatial…] to [N, C, 1…]. */
function globalMean(site: Site): Pointwise | undefined {
  if (site.node.int('channels_last', 0) !== 0) return undefined;
  const links = [0, 1].map((axis) => link({ index: 0, axis }, { index: 0, axis }));
  const constant = constantOf(site, { operands: [0], zeroIf: 'all' });
  return { kind: 'pointwise', links, jumps: true, constant };
}

export const codedArithmetic: readonly Operator[] = [
  elementwise('QLinearAdd', { operands: [0, 3], zeroIf: 'all' }),
  elementwise('QLinearMul', { operands: [0, 3], zeroIf: 'any' }),
  elementwise('QLinearLeakyRelu', { operands: [0], zeroIf: 'all' }),
  { type: 'QLinearGlobalAveragePool', domain: MICROSOFT, axes: globalMean },
];
