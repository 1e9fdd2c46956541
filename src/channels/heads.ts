/**
 * Attention of heads that lie side by side along one axis. A head goes whole, with its queries, keys,
 * values and outputs, or every head loses as many channels of the queries and keys, or of the
 * values. Which channel of one head goes with which of another one is free, as in grouped layers:
 *
 *   values of two heads, x where dead   [x . x .] [. x . x]   ->   [. .] [. .]
 */
import type { HeadAxes, HeadPartAxis } from './analyzed-node.js';

interface Reads {
  /** Whether an output position is needed, and not known. */
  readonly matters: (position: number) => boolean;
  readonly isZero: (position: number) => boolean;
}

/**
 * Positions of queries, keys and masks that are read: of heads that matter all of the mask, and of
 * the channels those at which neither the queries nor the keys are zero.
 */
export function readOfHeads(heads: HeadAxes, { matters, isZero }: Reads): number[] {
  const { count, served, channels, valueChannels, output } = heads;
  const read: number[] = [];
  const all = (parts: readonly HeadPartAxis[], at: (part: HeadPartAxis) => number) => parts.map(at);
  for (let head = 0; head < count; head++) {
    for (let of = 0; of < served; of++) {
      const first = output.base + (head * served + of) * valueChannels;
      if (!places(first, valueChannels).some(matters)) continue;
      read.push(...all(heads.masks, ({ base }) => base + head * served + of));
      for (let channel = 0; channel < channels; channel++) {
        const queries = all(heads.query, ({ base }) => base + (head * served + of) * channels + channel);
        const keys = all(heads.key, ({ base }) => base + head * channels + channel);
        if (!queries.every(isZero) && !keys.every(isZero)) read.push(...queries, ...keys);
      }
    }
  }
  return read;
}

interface Zeros {
  readonly isZero: (position: number) => boolean;
  readonly isDead: (position: number) => boolean;
}

/** A zero, and a position that is not dead on account of another constant of its channel. */
interface SpoiltZero {
  readonly from: number;
  readonly to: number;
}

/**
 * Zeros of channels to which another operand, such as a bias, adds a constant other than 0: of
 * values it is mixed by what the input says, of queries and keys it meets what is not zero.
 */
export function spoiltZeros(heads: HeadAxes, { isZero, isDead }: Zeros): SpoiltZero[] {
  const isConstant = (position: number) => isDead(position) && !isZero(position);
  const found: SpoiltZero[] = [];
  const add = (positions: readonly number[], to: number | undefined) => {
    if (to !== undefined) found.push(...positions.filter(isZero).map((from) => ({ from, to })));
  };
  for (let head = 0; head < heads.count; head++) {
    for (let channel = 0; channel < heads.valueChannels; channel++) {
      const { values, outputs } = mixed(heads, head, channel);
      if (values.some(isConstant))
        add(
          values,
          outputs.find((position) => !isDead(position)),
        );
    }
    for (let channel = 0; channel < heads.channels; channel++) {
      const { queries, keys } = summed(heads, head, channel);
      if (queries.every(isZero) || keys.every(isZero)) continue;
      add(queries, queries.find(isConstant));
      add(keys, keys.find(isConstant));
    }
  }
  return found;
}

interface Choice {
  readonly isNeeded: (position: number) => boolean;
  readonly isDead: (position: number) => boolean;
  readonly isFree: (position: number) => boolean;
}

/** Positions that go together or not at all. */
type Class = readonly number[];

interface Ties {
  readonly classes: readonly Class[];
  /** Positions that cannot go, although no layer reads them. */
  readonly alive: readonly number[];
}

/** Heads, or channels of every head: whichever lets more positions go. */
export function tiesOfHeads(heads: HeadAxes, choice: Choice): Ties {
  const whole = wholeHeads(heads, choice);
  const channels = channelsOfHeads(heads, choice);
  return channels.gone > whole.gone ? channels : whole;
}

interface Counted extends Ties {
  /** How many positions may go. */
  readonly gone: number;
}

function wholeHeads(heads: HeadAxes, { isDead, isFree }: Choice): Counted {
  const classes = places(0, heads.count).map((head) => positionsOfHead(heads, head));
  const gone = classes.filter(
    (positions, head) => positions.every(isFree) && ofHead(heads.output, head).every((position) => isDead(position)),
  );
  return { classes, alive: [], gone: gone.flat().length };
}

/** Of a head of keys and values, with all that it serves. */
export function positionsOfHead({ query, key, value, masks, output }: HeadAxes, head: number): number[] {
  return [...query, ...key, ...value, ...masks, output].flatMap((part) => ofHead(part, head));
}

function ofHead({ base, size }: HeadPartAxis, head: number): number[] {
  return places(base + head * size, size);
}

function channelsOfHeads(heads: HeadAxes, { isNeeded, isDead, isFree }: Choice): Counted {
  const { count, channels, valueChannels } = heads;
  // What the product reads is needed on both sides.
  const isSummed = (head: number, channel: number) => {
    const { queries, keys } = summed(heads, head, channel);
    return queries.some(isNeeded) && keys.some(isNeeded);
  };
  const alive: number[] = [];
  for (let head = 0; head < count; head++)
    for (let channel = 0; channel < channels; channel++)
      if (isSummed(head, channel)) alive.push(...summed(heads, head, channel).queries);
  const ofSums = together(count, channels, (head, channel) => {
    const { queries, keys } = summed(heads, head, channel);
    const positions = [...queries, ...keys];
    return { positions, goes: positions.every(isFree) && !isSummed(head, channel) };
  });
  const ofValues = together(count, valueChannels, (head, channel) => {
    const { values, outputs } = mixed(heads, head, channel);
    const positions = [...values, ...outputs];
    return { positions, goes: positions.every(isFree) && outputs.every(isDead) };
  });
  return { classes: [...ofSums.classes, ...ofValues.classes], alive, gone: ofSums.gone + ofValues.gone };
}

/** Positions of one channel of a head that are multiplied and summed to a score. */
function summed({ query, key, channels }: HeadAxes, head: number, channel: number) {
  return { queries: inAll(query, head, channels, channel), keys: inAll(key, head, channels, channel) };
}

/** Positions of one channel of the values, and of what is made of them. */
function mixed({ value, output, valueChannels }: HeadAxes, head: number, channel: number) {
  return {
    values: inAll(value, head, valueChannels, channel),
    outputs: inAll([output], head, valueChannels, channel),
  };
}

/** Of a head of keys and values `size / each` heads are served. */
function inAll(parts: readonly HeadPartAxis[], head: number, each: number, channel: number): number[] {
  return parts.flatMap(({ base, size }) =>
    places(0, size / each).map((of) => base + head * size + of * each + channel),
  );
}

/** One channel of every head in each class; those that may go meet in the first ones. */
function together(
  count: number,
  channels: number,
  at: (head: number, channel: number) => { readonly positions: Class; readonly goes: boolean },
): { readonly classes: readonly Class[]; readonly gone: number } {
  const sorted = places(0, count).map((head) =>
    places(0, channels)
      .map((channel) => at(head, channel))
      .toSorted((a, b) => Number(b.goes) - Number(a.goes)),
  );
  const rows = places(0, channels).map((row) => sorted.flatMap((list) => list[row] ?? []));
  const classes = rows.map((row) => row.flatMap(({ positions }) => positions));
  const gone = rows.filter((row) => row.every(({ goes }) => goes));
  return { classes, gone: gone.flatMap((row) => row.flatMap(({ positions }) => positions)).length };
}

function places(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => start + at);
}
