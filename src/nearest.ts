/** "Did you mean": names within a few typing errors of what was given. */

/** The nearest names, best first; empty when none is near. */
export function nearestNames(given: string, names: Iterable<string>, limit = 3): string[] {
  const wish = given.toLowerCase();
  const allowed = Math.max(1, Math.floor(given.length / 3));
  return [...names]
    .map((name) => ({ name, distance: distance(wish, name.toLowerCase(), allowed) }))
    .filter((entry) => entry.distance <= allowed)
    .toSorted((one, other) => one.distance - other.distance)
    .slice(0, limit)
    .map(({ name }) => name);
}

/**
 * Edits (insert, delete, replace, swap neighbours) between two texts; anything above `allowed` may
 * come back as larger.
 */
function distance(from: string, to: string, allowed: number): number {
  if (Math.abs(from.length - to.length) > allowed) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[to.length] ?? Number.POSITIVE_INFINITY;
}
