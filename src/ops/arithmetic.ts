/** Operators of several operands with NumPy broadcasting. */
import { isNumber, type Known, type Pointwise } from './axes.js';
import { asked, broadcast } from './broadcast.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite } from './site.js';

type Scalar = (a: number, b: number) => number;

/** What the runtime makes of two numbers is its own; `more` is what is known of one alone. */
function binary(type: string, more: Pick<Pointwise, 'constant' | 'jumps'> = {}): Operator {
  return { type, axes: (site) => asked(broadcast(site, 2), more) };
}

function variadic(type: string): Operator {
  return { type, axes: (site) => asked(broadcast(site, site.node.inputs.length)) };
}

/** Of two lists of one length, or of a list and one number: the integers of a shape. */
function elementwise(scalar: Scalar): (site: ShapeSite) => Elements | undefined {
  return (site) => {
    const [a, b] = [site.elements(0), site.elements(1)];
    if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
      return undefined;
    return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
      const [x, y] = [a[a.length === 1 ? 0 : index], b[b.length === 1 ? 0 : index]];
      return typeof x === 'number' && typeof y === 'number' ? scalar(x, y) : undefined;
    });
  };
}

/**
 * Mul: a constant zero makes the product zero whatever the other factor is (finite activations).
 */
function multiply([a, b]: readonly Known[]): number | undefined {
  return a === 0 || b === 0 ? 0 : undefined;
}

/** Integers are not divided by zero, nor the least of them by -1: the runtime refuses, or stops. */
function divide([a, b]: readonly Known[]): number | undefined {
  return b === 0 || (b === -1 && isNumber(a) && a <= -(2 ** 31)) ? Number.NaN : undefined;
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

const COMPARISONS = ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];
const OF_BITS = ['BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor'];

export const arithmetic: readonly Operator[] = [
  { ...binary('Add'), shapeElements: elementwise((a, b) => a + b) },
  { ...binary('Sub'), shapeElements: elementwise((a, b) => a - b) },
  // ONNX integer division truncates.
  {
    ...binary('Div', { constant: divide }),
    shapeElements: elementwise((a, b) => Math.trunc(a / b)),
    keepsZeros: 'first',
  },
  {
    ...binary('Mul', { constant: multiply }),
    shapeElements: elementwise((a, b) => a * b),
    keepsZeros: 'all',
  },
  binary('Pow'),
  binary('Mod', { constant: divide, jumps: true }),
  ...COMPARISONS.map((type) => binary(type)),
  binary('And', { constant: and }),
  binary('Or', { constant: or }),
  binary('Xor'),
  ...OF_BITS.map((type) => binary(type)),
  { type: 'Where', axes: (site) => broadcast(site, 3, where), movesData: true },
  ...['Sum', 'Mean', 'Max', 'Min'].map(variadic),
];
