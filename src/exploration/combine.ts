/** Parts of one exploration: whether they belong together, and all of them as one. */
import { PruneCompileError } from '../errors.js';
import { withConclusions } from './conclusions.js';
import type { Exploration, Point } from './exploration.js';
import { keyOf, placesOf, shardOf, sortedPlaces, unionOf } from './grid.js';

export interface Part {
  /** As errors call it: its path. */
  readonly name: string;
  readonly exploration: Exploration;
}

/** Throws E-EXPLORATION unless both are of one model under the same settings. */
export function requireSame(one: Exploration, other: Exploration, oneName: string, otherName: string): void {
  const differing =
    one.model.sha256 === other.model.sha256
      ? Object.keys(other.settings).find((key) => textAt(one, key) !== textAt(other, key))
      : 'model';
  if (differing === undefined) return;
  const said = (exploration: Exploration) =>
    differing === 'model'
      ? `${exploration.model.name}, ${exploration.model.sha256.slice(0, 12)}`
      : textAt(exploration, differing);
  throw new PruneCompileError('E-EXPLORATION', {
    what: `${oneName} and ${otherName} do not belong together`,
    facts: [
      ['why', `their ${differing === 'model' ? 'models differ' : `settings differ: ${differing}`}`],
      [oneName, said(one)],
      [otherName, said(other)],
      ['try', '--output with another name, or --force to begin anew'],
    ],
  });
}

function textAt({ settings }: Exploration, key: string): string {
  const entry = Object.entries(settings).find(([name]) => name === key);
  return JSON.stringify(entry?.[1] ?? null);
}

/** The points of all parts; of one that several have, the first. Throws E-EXPLORATION. */
export function combined(parts: readonly Part[]): Exploration {
  const [first] = parts;
  if (first === undefined) throw new PruneCompileError('E-USAGE', { what: 'there is nothing to merge' });
  for (const { name, exploration } of parts) requireSame(first.exploration, exploration, first.name, name);
  const all = parts.map(({ exploration }) => exploration);
  const grid = all.map((one) => one.grid).reduce(unionOf);
  const points = new Map<string, Point>();
  for (const point of all.flatMap((one) => one.points)) {
    const known = points.get(keyOf(point));
    if (known === undefined || (known.problem !== undefined && point.problem === undefined))
      points.set(keyOf(point), point);
  }
  const { shard: _shard, dense: _dense, int8: _int8, ...rest } = first.exploration;
  const dense = all.find((one) => one.dense !== undefined)?.dense;
  const int8 = all.find((one) => one.int8 !== undefined)?.int8;
  const cpus = [...new Set([...points.values()].map(({ cpu }) => cpu))];
  const notes = new Set(all.flatMap((one) => one.notes));
  if (cpus.length > 1) notes.add(`points were measured on ${cpus.length} processors: ${cpus.join('; ')}`);
  return withConclusions({
    ...rest,
    grid,
    ...(dense && { dense }),
    ...(int8 && { int8 }),
    points: sortedPlaces([...points.values()], grid),
    notes: [...notes],
  });
}

/** How many points of the grid nobody has measured yet; of a part, of its own. */
export function countMissing({ grid, points, shard }: Exploration): number {
  const found = new Set(points.map(keyOf));
  const places = shard === undefined ? placesOf(grid) : shardOf(placesOf(grid), shard);
  return places.filter((place) => !found.has(keyOf(place))).length;
}
