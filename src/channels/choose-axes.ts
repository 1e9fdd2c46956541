/**
 * Of the axes that a Reshape merges or takes apart one may shrink; the others are pinned. Heads and
 * the channels within a head are such axes: [., S, H * d] becomes [., S, H, d].
 */
import { type AnalyzedNode, forEachPair, type HeadAxes, type ResolvedLink } from './analyzed-node.js';
import { tiesOfHeads } from './heads.js';
import type { Pin, PinBoard } from './pins.js';
import type { Axis, Positions } from './positions.js';
import { openEnd, pinBy } from './relate.js';

/** What is known of positions. */
interface Known {
  readonly isNeeded: (position: number) => boolean;
  /** Whether nothing varies there, or nobody needs it. */
  readonly isDead: (position: number) => boolean;
}

/** Takes one axis of each choice, and ties channels of heads that lie side by side. */
export function chooseAxes(nodes: readonly AnalyzedNode[], positions: Positions, board: PinBoard, known: Known): void {
  const undecided = nodes.filter(({ choices, heads }) => choices.length > 0 || heads !== undefined);
  if (undecided.length === 0) return;
  const chooser = new Chooser(positions, board, known);
  for (const at of undecided) {
    for (const candidates of at.choices) chooser.choose(at, candidates);
    if (at.heads !== undefined) chooser.tieHeads(at, at.heads);
  }
}

/**
 * Takes the axis of which the largest part is dead, else the widest that is not pinned. What then
 * is dead along the others may go in the next round. Which classes are pinned is kept from choice
 * to choice: a transformer has many, and each may depend on those before it.
 */
class Chooser {
  readonly #positions: Positions;
  readonly #board: PinBoard;
  readonly #known: Known;
  /** By class representative: 1 where it is pinned. */
  readonly #isPinned: Uint8Array;

  constructor(positions: Positions, board: PinBoard, known: Known) {
    this.#positions = positions;
    this.#board = board;
    this.#known = known;
    const pinOf = board.byClass(positions);
    this.#isPinned = new Uint8Array(positions.count);
    for (const root of positions.classes()) if (pinOf(root) !== undefined) this.#isPinned[root] = 1;
  }

  choose(at: AnalyzedNode, candidates: readonly ResolvedLink[]): void {
    const [taken] = candidates
      .filter((link) => this.#hasFreePosition(partOf(link)))
      .map((link) => ({ link, extent: partOf(link)?.extent ?? 1, dead: this.#deadIndices(link) }))
      .toSorted((a, b) => b.dead / b.extent - a.dead / a.extent || b.extent - a.extent);
    const pin = pinBy(at, 'shuffle', 'the reshape mixes this axis with another one');
    for (const link of candidates) if (link !== taken?.link) this.#pin(partOf(link), pin);
    const [first] = candidates;
    if (taken !== undefined) this.#unite(at, taken.link);
    else if (first !== undefined) this.#pin(wholeOf(first), pin);
  }

  tieHeads(at: AnalyzedNode, heads: HeadAxes): void {
    const isFree = (position: number) => this.#isFree(position);
    const { classes, alive } = tiesOfHeads(heads, { ...this.#known, isFree });
    for (const [first, ...others] of classes)
      for (const other of others) if (first !== undefined) this.#tie(first, other);
    this.#board.pinPositions(alive, pinBy(at, 'alive', `${at.node.label} sums over it, and it is alive`));
    for (const position of alive) this.#isPinned[this.#positions.classOf(position)] = 1;
  }

  #isFree(position: number): boolean {
    return this.#isPinned[this.#positions.classOf(position)] === 0;
  }

  #hasFreePosition(axis: Axis | undefined): boolean {
    for (let index = 0; index < (axis?.extent ?? 0); index++) if (this.#isFree((axis?.base ?? 0) + index)) return true;
    return false;
  }

  /** How many indices of the part are dead, and free on both sides. */
  #deadIndices(link: ResolvedLink): number {
    const { input, output } = link;
    const part = partOf(link);
    if (input === undefined || output === undefined || part === undefined) return 0;
    const stays = new Uint8Array(part.extent);
    forEachPair(link, (i, j) => {
      if (!this.#isFree(input.base + i) || !this.#isFree(output.base + j)) stays[part === input ? i : j] = 1;
    });
    return stays.reduce(
      (total, held, index) => total + (held === 0 && this.#known.isDead(part.base + index) ? 1 : 0),
      0,
    );
  }

  #pin(axis: Axis | undefined, pin: Pin): void {
    this.#board.pinAxis(axis, pin);
    for (let index = 0; index < (axis?.extent ?? 0); index++)
      this.#isPinned[this.#positions.classOf((axis?.base ?? 0) + index)] = 1;
  }

  #unite(at: AnalyzedNode, link: ResolvedLink): void {
    const { input, output } = link;
    if (input === undefined || output === undefined) {
      for (const end of [input, output]) this.#pin(end, openEnd(at));
      return;
    }
    forEachPair(link, (i, j) => this.#tie(input.base + i, output.base + j));
  }

  #tie(one: number, other: number): void {
    const positions = this.#positions;
    const [a, b] = [positions.classOf(one), positions.classOf(other)];
    const isPinned = this.#isPinned[a] === 1 || this.#isPinned[b] === 1;
    positions.unite(a, b);
    if (isPinned) this.#isPinned[positions.classOf(a)] = 1;
  }
}

/** The side whose axis is one of several that make up the axis on the other side. */
function partOf({ input, output, blocks }: ResolvedLink): Axis | undefined {
  return blocks?.one === 'output' ? output : input;
}

function wholeOf({ input, output, blocks }: ResolvedLink): Axis | undefined {
  return blocks?.one === 'output' ? input : output;
}
