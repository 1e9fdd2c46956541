/** Operators of several operands with NumPy broadcasting. */
import { isNumber, type Known } from './axes.js';
import { broadcast } from './broadcast.js';
import type { Operator } from './operator.js';
import type { Elements, ShapeSite } from './site.js';

type Scalar = (a: number, b: number) => number;

function binary(type: string, scalar: Scalar, ofIntegers: Scalar = scalar): Operator {
  return {
    type,
    axes: (site) => broadcast(site, 2, ([a, b]) => (isNumber(a) && isNumber(b) ? scalar(a, b) : undefined)),
    shapeElements: (site) => elementwise(site, ofIntegers),
  };
}

/** Of two lists of one length, or of a list and one number. */
function elementwise(site: ShapeSite, scalar: Scalar): Elements | undefined {
  const [a, b] = [site.elements(0), site.elements(1)];
  if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
    return undefined;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
    const [x, y] = [a[a.length === 1 ? 0 : index], b[b.length === 1 ? 0 : index]];
    return typeof x === 'number' && typeof y === 'number' ? scalar(x, y) : undefined;
  });
}

function variadic(type: string, combine: (values: readonly number[]) => number): Operator {
  return {
    type,
    axes: (site) =>
      broadcast(site, site.node.inputs.length, (operands) =>
        operands.every(isNumber) ? combine(operands) : undefined,
      ),
  };
}

/**
 * Mul: a constant zero makes the product zero whatever the other factor is (finite activations).
 */
function multiply([a, b]: readonly Known[]): number | undefined {
  if (a === 0 || b === 0) return 0;
  return isNumber(a) && isNumber(b) ? a * b : undefined;
}

/** Where-9: a condition that is the same everywhere decides; otherwise both sides must agree. */
function where([condition, x, y]: readonly Known[]): number | undefined {
  const chosen = isNumber(condition) ? (condition === 0 ? y : x) : x === y ? x : undefined;
  return chosen ?? undefined;
}

export const arithmetic: readonly Operator[] = [
  binary('Add', (a, b) => a + b),
  binary('Sub', (a, b) => a - b),
  // ONNX integer division truncates.
  {
    ...binary(
      'Div',
      (a, b) => a / b,
      (a, b) => Math.trunc(a / b),
    ),
    keepsZeros: 'first',
  },
  {
    ...binary('Mul', (a, b) => a * b),
    axes: (site) => broadcast(site, 2, multiply),
    keepsZeros: 'all',
  },
  { type: 'Where', axes: (site) => broadcast(site, 3, where), movesData: true },
  variadic('Sum', (values) => values.reduce((total, value) => total + value, 0)),
  variadic('Max', (values) => Math.max(...values)),
  variadic('Min', (values) => Math.min(...values)),
];
