/**
 * Where deadness ends: a node ties a dead position to one that is alive. What the node does there is
 * the cause that both stay.
 */
import type { Relation } from '../ops/axes.js';
import { type AnalyzedNode, forEachPair, isDepthwise, readsTypeAlone, type ResolvedLink } from './analyzed-node.js';
import { positionsOfHead, spoiltZeros } from './heads.js';
import { type Axis, isOperand } from './positions.js';

/**
 * alive: it ties the position to one that is alive (Add). gate: it multiplies a constant by what is
 * computed from the input. shuffle: it ties several channels of one axis to one position. place:
 * what its window makes of a constant at padded borders is not known. constant: what it makes of a
 * constant is not known.
 */
export type StopCause = 'alive' | 'gate' | 'shuffle' | 'place' | 'constant';

export interface Stop {
  readonly cause: StopCause;
  readonly at: AnalyzedNode;
  /** An input position and an output position of the node. */
  readonly from: number;
  readonly to: number;
  /** Whether the input is the dead side. */
  readonly isForward: boolean;
}

/** What is asked of positions. */
export interface Deadness {
  readonly isDead: (position: number) => boolean;
  readonly isZero: (position: number) => boolean;
  /** Whether it depends on the place alone. */
  readonly isPlace: (position: number) => boolean;
}

/** Every tie of the node that has a dead position on one side alone. */
export function stopsAt(at: AnalyzedNode, deadness: Deadness): Stop[] {
  const stops: Stop[] = [];
  const { isDead } = deadness;
  const { layer } = at;
  if (layer?.x !== undefined && layer.y !== undefined && isDepthwise(layer))
    for (let index = 0; index < layer.x.extent; index++) {
      const [from, to] = [layer.x.base + index, layer.y.base + index];
      if (isDead(from) !== isDead(to))
        stops.push({ cause: isDead(from) ? 'place' : 'alive', at, from, to, isForward: isDead(from) });
    }
  const partners = new Map<Axis, Partners>();
  for (const link of [...at.links, ...at.choices.flat()]) {
    const { input, output } = link;
    // A scale per channel is constant always: nothing ends there.
    if (input === undefined || output === undefined || isOperand(input.slot)) continue;
    forEachPair(link, (i, j) => {
      const [from, to] = [input.base + i, output.base + j];
      if (isDead(from) === isDead(to)) return;
      const others = partners.get(output) ?? new Partners(at, output, deadness);
      partners.set(output, others);
      const cause = causeOf(at, link, { from, to, index: j }, others, deadness);
      stops.push({ cause, at, from, to, isForward: isDead(from) });
    });
  }
  return [...stops, ...stopsInHeads(at, deadness)];
}

/**
 * Dead positions of a head, tied to one that is alive. Where a bias makes another constant of a zero,
 * pruning more would not help.
 */
function stopsInHeads(at: AnalyzedNode, { isDead, isZero }: Deadness): Stop[] {
  const { heads } = at;
  if (heads === undefined) return [];
  const spoilt = spoiltZeros(heads, { isDead, isZero });
  const isSpoilt = new Set(spoilt.map(({ from }) => from));
  const gates = spoilt.map((each): Stop => ({ cause: 'gate', at, ...each, isForward: true }));
  const ties = Array.from({ length: heads.count }, (_, head) => {
    const positions = positionsOfHead(heads, head);
    const alive = positions.find((position) => !isDead(position));
    return alive === undefined
      ? []
      : positions
          .filter((position) => isDead(position) && !isSpoilt.has(position))
          .map((from): Stop => ({ cause: 'shuffle', at, from, to: alive, isForward: true }));
  }).flat();
  return [...gates, ...ties];
}

/** Whether other operands are alive at an index of one output axis. */
class Partners {
  readonly #alive: Uint8Array;

  constructor(at: AnalyzedNode, output: Axis, { isDead }: Deadness) {
    this.#alive = new Uint8Array(output.extent);
    const linked = new Set<number>();
    for (const link of at.links) {
      const { input } = link;
      if (input === undefined || link.output !== output) continue;
      linked.add(link.operand);
      forEachPair(link, (i, j) => {
        if (!isDead(input.base + i)) this.#alive[j] = 1;
      });
    }
    const broadcasts = at.inSlots.some(
      (slot, index) => slot !== undefined && !isOperand(slot) && !linked.has(index) && !readsTypeAlone(at, index),
    );
    if (broadcasts) this.#alive.fill(1);
  }

  isAlive(index: number): boolean {
    return this.#alive[index] === 1;
  }
}

interface Tie {
  readonly from: number;
  readonly to: number;
  /** Along the output axis. */
  readonly index: number;
}

function causeOf(
  at: AnalyzedNode,
  link: ResolvedLink,
  { from, to, index }: Tie,
  partners: Partners,
  deadness: Deadness,
): StopCause {
  // All of them may be dead, and hold different constants: the position then holds none.
  const isOfConstants = deadness.isDead(from) && !partners.isAlive(index);
  if (isShuffled(link, deadness.isDead(from))) return isOfConstants ? 'constant' : 'shuffle';
  if (deadness.isDead(to)) return 'alive';
  if (partners.isAlive(index)) return isProduct(at, link) ? 'gate' : 'alive';
  const { relation } = at;
  const isOfPlace = deadness.isPlace(from) || (relation?.kind === 'pointwise' && relation.padsMean === true);
  return isOfPlace ? 'place' : 'constant';
}

/** Whether the alive side stands for several positions of the dead one. */
function isShuffled({ blocks }: ResolvedLink, isInputDead: boolean): boolean {
  if (blocks === undefined) return false;
  if (blocks.one === 'picked') return !isInputDead;
  return blocks.inner * blocks.outer > 1 && blocks.one === (isInputDead ? 'output' : 'input');
}

/** Whether a zero would make zeros of whatever the other operands are. */
function isProduct(at: AnalyzedNode, { operand, output }: ResolvedLink): boolean {
  const { relation } = at;
  const zero = (one: Relation) =>
    one.kind === 'pointwise'
      ? one.constant?.(
          at.inSlots.map((_, index) => (index === operand ? 0 : undefined)),
          output?.axis ?? 0,
        )
      : undefined;
  return relation !== undefined && zero(relation) === 0;
}
