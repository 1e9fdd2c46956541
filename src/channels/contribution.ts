/** What an operand of a node holds along an axis of an output: numbers in arrays of doubles. */
import type { Known } from '../ops/axes.js';

/** One number per index of the axis; NaN where it varies. */
export interface Column {
  readonly values: Float64Array;
  /** 1 where a link reaches the index; left out where all are reached. */
  readonly isReached?: Uint8Array;
}

/** Without a link to the axis: one scalar for all indices; undefined where it varies. */
export type Contribution = Column | number | undefined;

export function isColumn(contribution: Contribution): contribution is Column {
  return typeof contribution === 'object';
}

export function reaches({ isReached }: Column, index: number): boolean {
  return isReached === undefined || isReached[index] === 1;
}

export function knownAt(contribution: Contribution, index: number): Known {
  if (!isColumn(contribution)) return contribution;
  if (!reaches(contribution, index)) return null;
  const value = contribution.values[index] ?? Number.NaN;
  return Number.isNaN(value) ? undefined : value;
}

export function columnOf(known: readonly Known[]): Column {
  return {
    values: Float64Array.from(known, (value) => value ?? Number.NaN),
    isReached: Uint8Array.from(known, (value) => (value === null ? 0 : 1)),
  };
}

/** Whether nothing is known of the operand anywhere. */
export function varies(contribution: Contribution): boolean {
  if (!isColumn(contribution)) return contribution === undefined;
  return contribution.isReached === undefined && contribution.values.every(Number.isNaN);
}

/** Whether the operand is 0 at the index, or has no part in it. */
export function isZeroAt(contribution: Contribution, index: number): boolean {
  const known = knownAt(contribution, index);
  return known === 0 || known === null;
}

/** Every number of the operand times a factor. */
export function times(contribution: Contribution, factor: number): Contribution {
  if (!isColumn(contribution)) return contribution === undefined ? undefined : contribution * factor;
  return { ...contribution, values: contribution.values.map((value) => value * factor) };
}

/** Of two true statements about the same operand the one that knows more, index by index. */
export function surer(a: Contribution, b: Contribution): Contribution {
  if (!isColumn(a) || !isColumn(b)) return isColumn(b) ? b : a;
  const known = Array.from(a.values, (_, index): Known => {
    const [one, other] = [knownAt(a, index), knownAt(b, index)];
    return one === null || (one === undefined && typeof other === 'number') ? other : one;
  });
  return columnOf(known);
}
