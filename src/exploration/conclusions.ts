/** What the points say together: from where on a way pays, which one is best, what is worth it. */
import type {
  Conclusions,
  Exploration,
  Fastest,
  FrontPoint,
  Gain,
  Int8,
  Payoff,
  Point,
  Timing,
} from './exploration.js';
import { type Grid, sortedPlaces } from './grid.js';

interface Measured extends Point {
  readonly timing: Timing;
}

function measuredPoints(points: readonly Point[]): Measured[] {
  return points.flatMap((point) => (point.timing === undefined ? [] : [{ ...point, timing: point.timing }]));
}

/** The same with what its points say now. */
export function withConclusions(found: Exploration): Exploration {
  const { points, grid, int8, dense } = found;
  return { ...found, conclusions: concluded(points, grid, { int8, accuracy: dense?.accuracy }) };
}

export function concluded(
  points: readonly Point[],
  grid: Grid,
  { int8, accuracy }: { readonly int8?: Int8 | undefined; readonly accuracy?: number | undefined },
): Conclusions {
  const measured = sortedPlaces(measuredPoints(points), grid);
  return { payoffs: payoffs(measured, int8), fastest: fastest(measured), front: front(measured, accuracy) };
}

function payoffs(measured: readonly Measured[], int8: Int8 | undefined): Payoff[] {
  const series = grouped(measured, ({ granularity, criterion }) => `${granularity} ${criterion}`);
  return [...series.values()].flatMap((points) => {
    const [first] = points;
    if (first === undefined) return [];
    const from = firstOfTail(points, isFaster);
    const faster = points.filter(isFaster);
    const best = faster.toSorted((a, b) => b.timing.speedup - a.timing.speedup)[0];
    const limit = int8 !== undefined && 'timing' in int8 ? int8.timing.interval[1] : Number.POSITIVE_INFINITY;
    const above = firstOfTail(points, ({ timing }) => timing.interval[0] > limit);
    return [
      {
        granularity: first.granularity,
        criterion: first.criterion,
        measured: points.map(({ ratio }) => ratio),
        ...(from !== undefined && { from: gainOf(from) }),
        ...(best !== undefined && { best: gainOf(best) }),
        scattered: faster.filter(({ ratio }) => from === undefined || ratio < from.ratio).map(({ ratio }) => ratio),
        ...(above !== undefined && { aboveInt8: above.ratio }),
      },
    ];
  });
}

function grouped<Key>(points: readonly Measured[], keyOf: (point: Measured) => Key): Map<Key, Measured[]> {
  const groups = new Map<Key, Measured[]>();
  for (const point of points) {
    const key = keyOf(point);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [point]);
    else group.push(point);
  }
  return groups;
}

function isFaster({ timing }: Measured): boolean {
  return timing.verdict === 'faster';
}

/** From it on all are so. */
function firstOfTail(points: readonly Measured[], holds: (point: Measured) => boolean): Measured | undefined {
  const lastFailing = points.findLastIndex((point) => !holds(point));
  return points[lastFailing + 1];
}

function gainOf({ ratio, timing: { speedup, interval } }: Measured): Gain {
  return { ratio, speedup, interval };
}

function fastest(measured: readonly Measured[]): Fastest[] {
  const byRatio = grouped(measured, ({ ratio }) => ratio);
  return [...byRatio.keys()]
    .toSorted((a, b) => a - b)
    .flatMap((ratio) => {
      const [best] = (byRatio.get(ratio) ?? [])
        .filter(isFaster)
        .toSorted((a, b) => b.timing.speedup - a.timing.speedup);
      return best === undefined ? [] : [{ granularity: best.granularity, criterion: best.criterion, ...gainOf(best) }];
    });
}

/** By speed, ascending. */
function front(measured: readonly Measured[], accuracy: number | undefined): FrontPoint[] {
  const all: FrontPoint[] = measured.flatMap(({ granularity, criterion, ratio, timing: { speedup }, accuracy: own }) =>
    own === undefined ? [] : [{ speedup, accuracy: own, place: { granularity, criterion, ratio } }],
  );
  if (accuracy !== undefined) all.push({ speedup: 1, accuracy });
  const isDominated = (one: FrontPoint) =>
    all.some(
      (other) =>
        other.speedup >= one.speedup &&
        other.accuracy >= one.accuracy &&
        (other.speedup > one.speedup || other.accuracy > one.accuracy),
    );
  return all.filter((one) => !isDominated(one)).toSorted((a, b) => a.speedup - b.speedup);
}
