/** From what trials found to how many channels each layer may still have. */
import type { Findings } from './removable.js';
import type { Channels, Structure, Tie } from './small-structure.js';

export interface Allowance {
  /** By layer: channels that must stay, plus one for each width that would be zero without it. */
  readonly most: ReadonlyMap<string, number>;
  /** Channels of all layers that can go, fillers included. */
  readonly removable: number;
}

/** What the engine is expected to see about additions and gates. */
export interface Expected {
  /** An addition of two operands that could both be left out: the better one is. */
  readonly constantSums: boolean;
  /** A product with an operand that is constant all over: it becomes a constant factor. */
  readonly constantGates: boolean;
}

export function allowanceOf(structure: Structure, findings: Findings, expected: Expected): Allowance {
  const classes = new Classes();
  const { readers, ties, layers, pinned } = structure;
  for (const tie of ties) {
    for (const side of sidesThatStay(tie, findings, expected))
      for (const [at, id] of tie.result.ids.entries()) classes.join(id, side.ids[at] ?? id);
  }
  const stays = new Set([...pinned].map((id) => classes.of(id)));
  for (const { name, ids, noise } of readers) {
    for (const [at, id] of ids.entries())
      if (findings.constant.get(name)?.[at] !== 1 && findings.unneeded.get(noise)?.[at] !== 1)
        stays.add(classes.of(id));
  }
  const isLive = (id: number) => stays.has(classes.of(id));
  // Every width keeps one channel; which one, and so which others are tied to it, is not
  // prescribed.
  const emptied = [...layers.values(), ...readers.map(({ ids }) => ids)].filter((ids) => !ids.some(isLive));
  const groups = new Map(emptied.map((ids) => [key(ids), new Set(ids.map((id) => classes.of(id)))]));
  const most = new Map<string, number>();
  let removable = 0;
  for (const [layer, ids] of layers) {
    const live = ids.filter(isLive).length;
    const places = (kept: number) => ids.filter((id) => classes.of(id) === kept).length;
    const fillers = [...groups.values()].map((group) => Math.max(...[...group].map(places)));
    most.set(
      layer,
      Math.min(
        ids.length,
        fillers.reduce((total, count) => total + count, live),
      ),
    );
    removable += ids.length - live;
  }
  return { most, removable };

  function key(ids: readonly number[]): string {
    return String([...new Set(ids.map((id) => classes.of(id)))].toSorted((a, b) => a - b));
  }
}

/**
 * An operand that is known all over, or not needed behind, can be left out: its channels are then
 * nobody's business.
 */
function sidesThatStay(tie: Tie, { constant, unneeded }: Findings, expected: Expected): readonly Channels[] {
  const { a, b, noise } = tie;
  const isConstant = ({ name }: Channels, at: number) => constant.get(name)?.[at] === 1;
  const isKnown = (side: Channels) =>
    side.ids.every((_, at) => isConstant(side, at) || unneeded.get(noise)?.[at] === 1);
  if (tie.op === 'Mul') return expected.constantGates && isKnown(b) ? [a] : [a, b];
  if (isKnown(a) && isKnown(b) && !expected.constantSums) return [a, b];
  return isKnown(b) ? [a] : isKnown(a) ? [b] : [a, b];
}

class Classes {
  readonly #parents = new Map<number, number>();

  of(id: number): number {
    let at = id;
    for (let up = this.#parents.get(at); up !== undefined; up = this.#parents.get(at)) at = up;
    return at;
  }

  join(a: number, b: number): void {
    const [from, to] = [this.of(a), this.of(b)];
    if (from !== to) this.#parents.set(from, to);
  }
}
