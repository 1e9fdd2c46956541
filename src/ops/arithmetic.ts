/** Operators of several operands with NumPy broadcasting. */
import { isNumber, type Known, type Pointwise } from './axes.js';
import { asked, broadcast, broadcastExtents } from './broadcast.js';
import type { Operator } from './operator.js';
import { choice, elementwise, equality, ofNumbers, product, quotient } from './shape-arithmetic.js';

/** What the runtime makes of two numbers is its own; `more` is what is known of one alone. */
function binary(type: string, more: Pick<Pointwise, 'constant' | 'jumps'> = {}): Operator {
  return { type, axes: (site) => asked(broadcast(site, 2), more), resultExtents: broadcastExtents };
}

function variadic(type: string): Operator {
  return {
    type,
    axes: (site) => asked(broadcast(site, site.node.inputs.length)),
    resultExtents: broadcastExtents,
  };
}

/**
 * Mul: a constant zero makes the product zero whatever the other factor is (finite activations).
 */
function multiply([a, b]: readonly Known[]): number | undefined {
  return a === 0 || b === 0 ? 0 : undefined;
}

/**
 * Zero stays zero. Integers are not divided by zero, nor the least of them by -1: the runtime
 * refuses, or stops.
 */
function divide([a, b]: readonly Known[]): number | undefined {
  if (b === 0 || (b === -1 && isNumber(a) && a <= -(2 ** 31))) return Number.NaN;
  return a === 0 && isNumber(b) ? 0 : undefined;
}

/** And: one false is enough. */
function and([a, b]: readonly Known[]): number | undefined {
  return a === 0 || b === 0 ? 0 : undefined;
}

/** Or: one true is enough. */
function or([a, b]: readonly Known[]): number | undefined {
  return a === 1 || b === 1 ? 1 : undefined;
}

/** Where-9: a condition that is the same everywhere decides; otherwise both sides must agree. */
function where([condition, x, y]: readonly Known[]): number | undefined {
  const chosen = isNumber(condition) ? (condition === 0 ? y : x) : x === y ? x : undefined;
  return chosen ?? undefined;
}

const COMPARISONS = ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];
const OF_BITS = ['BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor'];

export const arithmetic: readonly Operator[] = [
  { ...binary('Add'), shapeElements: elementwise(ofNumbers((a, b) => a + b)) },
  { ...binary('Sub'), shapeElements: elementwise(ofNumbers((a, b) => a - b)) },
  {
    ...binary('Div', { constant: divide }),
    shapeElements: elementwise(quotient),
    keepsZeros: 'first',
  },
  {
    ...binary('Mul', { constant: multiply }),
    shapeElements: elementwise(product),
    keepsZeros: 'all',
  },
  binary('Pow'),
  binary('Mod', { constant: divide, jumps: true }),
  { ...binary('Equal'), shapeElements: elementwise(equality) },
  ...COMPARISONS.map((type) => binary(type)),
  binary('And', { constant: and }),
  binary('Or', { constant: or }),
  binary('Xor'),
  ...OF_BITS.map((type) => binary(type)),
  {
    type: 'Where',
    axes: (site) => broadcast(site, 3, where),
    shapeElements: elementwise(choice),
    resultExtents: broadcastExtents,
    movesData: true,
  },
  variadic('Sum'),
  variadic('Mean'),
  { ...variadic('Max'), shapeElements: elementwise(ofNumbers((a, b) => Math.max(a, b))) },
  { ...variadic('Min'), shapeElements: elementwise(ofNumbers((a, b) => Math.min(a, b))) },
];
