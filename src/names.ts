/**
 * What names lead to, where an object is wanted. Any text may be a name in a model or a file,
 * `constructor` and `__proto__` too, and a plain object answers these with what every object
 * inherits. Wherever no object is wanted, names are keys of a Map.
 */

/** An object that holds these entries and inherits nothing. */
export function byName<T>(entries: Iterable<readonly [name: string, value: T]>): Readonly<Record<string, T>> {
  const record = Object.create(null) as Record<string, T>;
  // On an object without a prototype __proto__ is a name as others are.
  for (const [name, value] of entries) record[name] = value;
  return record;
}

/** What an object that somebody else made has under a name; nothing that it inherits. */
export function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
