/**
 * What elementwise operators make of the integers of a shape, of which some are symbols; those are
 * extents, and not negative.
 */
import { productOf, quotientOf } from './extents.js';
import type { Elements, Extent, ShapeSite } from './site.js';

type Scalar = (a: number, b: number) => number;
type Combine = (elements: Elements) => Extent | undefined;

/** Of lists of one length, where a list of one element counts for all places. */
export function elementwise(combine: Combine): (site: ShapeSite) => Elements | undefined {
  return (site) => {
    const lists = site.node.inputs.map((_, index) => site.elements(index));
    const length = Math.max(...lists.map((list) => list?.length ?? 0));
    if (lists.some((list) => list === undefined || (list.length !== length && list.length !== 1))) return undefined;
    return Array.from({ length }, (_, at) => combine(lists.map((list = []) => list[list.length === 1 ? 0 : at])));
  };
}

/** Where all are numbers. */
export function ofNumbers(scalar: Scalar): Combine {
  return (elements) => {
    const numbers = elements.filter((element) => typeof element === 'number');
    return numbers.length === elements.length ? numbers.reduce(scalar) : undefined;
  };
}

/** ONNX integer division truncates. */
export function quotient([a, b]: Elements): Extent | undefined {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? undefined : Math.trunc(a / b);
  return a === undefined || b === undefined ? undefined : quotientOf(a, b);
}

export function product([a, b]: Elements): Extent | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === undefined || b === undefined) return undefined;
  return [a, b].some((factor) => typeof factor === 'number' && factor < 0) ? undefined : productOf([a, b]);
}

/** Of what Where chooses from. */
export function choice([condition, x, y]: Elements): Extent | undefined {
  return typeof condition === 'number' ? (condition === 0 ? y : x) : x === y ? x : undefined;
}

/** 1 where they are surely equal, 0 where they surely are not. */
export function equality([a, b]: Elements): Extent | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number') return 0;
  return (typeof a === 'number' && a < 0) || (typeof b === 'number' && b < 0) ? 0 : undefined;
}
