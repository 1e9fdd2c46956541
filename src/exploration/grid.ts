/**
 * The points of an exploration: granularity x ratio x criterion, in an order in which every
 * beginning covers the whole range.
 */
import { PruneCompileError } from '../errors.js';
import { type Criterion, type Granularity, parseGranularity } from '../mask-maker/choice.js';

export interface Grid {
  readonly granularities: readonly string[];
  /** Shares of the units that are pruned, above 0 and below 1. */
  readonly ratios: readonly number[];
  readonly criteria: readonly Criterion[];
}

/** One point of the grid. */
export interface Place {
  readonly granularity: string;
  readonly criterion: Criterion;
  /** Of N:M what the pattern itself says. */
  readonly ratio: number;
}

/** Part `index` of `count`, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Structured zeros are removed; for all others layers become sparse operators. */
export type Way = 'structured' | 'sparse';

export const DEFAULT_RATIOS: readonly number[] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

/** Throws E-USAGE for a granularity that there is not. */
export function wayOf(granularity: string): Way {
  const { kind } = parsed(granularity);
  return kind === 'filter' || kind === 'channel' ? 'structured' : 'sparse';
}

/** Undefined where the ratio is the caller's. */
export function ownRatio(granularity: string): number | undefined {
  const found = parsed(granularity);
  return found.kind === 'pattern' ? 1 - found.keep / found.of : undefined;
}

function parsed(granularity: string): Granularity {
  const found = parseGranularity(granularity);
  if (found !== undefined) return found;
  throw new PruneCompileError('E-USAGE', {
    what: `there is no granularity "${granularity}"`,
    facts: [['try', '--granularities filter,channel,kernel,unstructured,4x1,2:4']],
  });
}

export function keyOf({ granularity, criterion, ratio }: Place): string {
  return `${granularity} ${criterion} ${ratio}`;
}

/**
 * All points. The ratio in the middle comes first, then those in the middle of each half, and so on:
 * what a budget cuts off is detail.
 */
export function placesOf({ granularities, ratios, criteria }: Grid): Place[] {
  const places = halving([...new Set(ratios)].toSorted((a, b) => a - b)).flatMap((ratio) =>
    criteria.flatMap((criterion) =>
      granularities.map((granularity) => ({ granularity, criterion, ratio: ownRatio(granularity) ?? ratio })),
    ),
  );
  return [...new Map(places.map((place) => [keyOf(place), place])).values()];
}

/** Every `count`-th point: each part covers the range, too. */
export function shardOf(places: readonly Place[], { index, count }: Shard): Place[] {
  return places.filter((_, at) => at % count === index - 1);
}

/** All that either has. */
export function unionOf(one: Grid, other: Grid): Grid {
  const both = <T>(a: readonly T[], b: readonly T[]) => [...new Set([...a, ...b])];
  return {
    granularities: both(one.granularities, other.granularities),
    ratios: both(one.ratios, other.ratios).toSorted((a, b) => a - b),
    criteria: both(one.criteria, other.criteria),
  };
}

function halving(sorted: readonly number[]): number[] {
  const order: number[] = [];
  const parts: (readonly number[])[] = [sorted];
  for (const part of parts) {
    const middle = Math.floor(part.length / 2);
    const found = part[middle];
    if (found === undefined) continue;
    order.push(found);
    parts.push(part.slice(0, middle), part.slice(middle + 1));
  }
  return order;
}

/** By granularity, criterion and ratio, as tables list them. */
export function sortedPlaces<T extends Place>(places: readonly T[], { granularities, criteria }: Grid): T[] {
  const rank = ({ granularity, criterion }: Place) =>
    granularities.indexOf(granularity) * criteria.length + criteria.indexOf(criterion);
  return places.toSorted((a, b) => rank(a) - rank(b) || a.ratio - b.ratio);
}
