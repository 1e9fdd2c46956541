/** What holds a class of channels of which some are dead. */
import type { Node } from '../ir/graph.js';
import { type Blocker, type Blockers, describeStuck } from './blockers.js';
import { type Facts, isDeadAt } from './facts.js';
import { describeImbalance } from './group-balance.js';
import type { Lift } from './lift.js';
import { type Stop, type StopCause, stopsAt } from './stops.js';

/**
 * Why a dead channel stays. alive, shuffle, gate, place, constant: stops.ts. group: the groups of a
 * grouped layer stay equal. codes: a quantised reader cannot take its constant over exactly. unknown, extent, axis: pins.ts. output: it is part of an input or output
 * of the model, or read by a subgraph. lone: it is the only channel. speed: the narrower layer would be
 * slower.
 */
export type Cause = StopCause | 'group' | 'codes' | 'unknown' | 'extent' | 'axis' | 'output' | 'lone' | 'speed';

/** Causes that lie in what is known of an operator. */
type Liftable = Lift['cause'];

export interface Reason {
  readonly cause: Cause;
  readonly operator?: string;
  readonly node?: Node;
  readonly detail?: string;
}

/** What holds each class. */
export class Reasons {
  readonly #blockers: Blockers;
  readonly #stops = new Map<number, Stop[]>();
  /** A class has many channels. */
  readonly #known = new Map<number, Reason>();

  /** `roots`: representatives of the classes that are asked about. */
  constructor(facts: Facts, blockers: Blockers, roots: ReadonlySet<number>) {
    this.#blockers = blockers;
    if (roots.size === 0) return;
    // Each is asked once for every node that ties it.
    const dead = Uint8Array.from({ length: facts.positions.count }, (_, position) => Number(isDeadAt(facts, position)));
    const deadness = {
      isDead: (position: number) => dead[position] === 1,
      isZero: (position: number) => facts.constant[position] === 0,
      isPlace: (position: number) => facts.places.has(position),
    };
    for (const at of facts.nodes) {
      for (const stop of stopsAt(at, deadness)) {
        const root = facts.positions.classOf(stop.from);
        // Of the axes of a choice those that are not taken are not tied.
        if (!roots.has(root) || facts.positions.classOf(stop.to) !== root) continue;
        const list = this.#stops.get(root);
        if (list === undefined) this.#stops.set(root, [stop]);
        // One is enough of what a node does to a class.
        else if (!list.some((known) => isAlike(known, stop))) list.push(stop);
      }
    }
  }

  /**
   * The one that is told: what nothing could change, then what ties it to channels that are alive,
   * then what is not known.
   */
  of(root: number): Reason {
    const known = this.#known.get(root) ?? this.#find(root);
    this.#known.set(root, known);
    return known;
  }

  #find(root: number): Reason {
    const blocker = this.#blockers.get(root);
    if (blocker === undefined) return { cause: 'speed' };
    const stops = this.#stops.get(root) ?? [];
    if (blocker.kind === 'group') {
      const { at } = blocker.imbalance;
      return { ...nodeReason('group', at.node), detail: describeImbalance(blocker.imbalance) };
    }
    if (blocker.kind === 'codes')
      return { ...nodeReason('codes', blocker.read.at.node), detail: describeStuck(blocker.read) };
    const pinned = blocker.kind === 'pin' ? pinReason(blocker) : undefined;
    if (pinned !== undefined && FINAL.has(pinned.cause)) return pinned;
    const ofCause = ORDER.map((cause) => stops.filter((each) => each.cause === cause)).find((list) => list.length > 0);
    // Where a dead channel goes says more than where a live one comes from.
    const stop = ofCause?.find(({ isForward }) => isForward) ?? ofCause?.[0];
    if (stop !== undefined) return nodeReason(stop.cause, stop.at.node);
    if (pinned !== undefined) return pinned;
    return nodeReason('alive', blocker.kind === 'read' ? blocker.read.at.node : undefined);
  }

  /** The lifted cause, with the node of it that holds the class. */
  named({ cause, operator }: Lift, root: number): Reason {
    const stop = this.#stops.get(root)?.find((each) => each.cause === cause && each.at.node.qualifiedOp === operator);
    const blocker = this.#blockers.get(root);
    const pinned = blocker?.kind === 'pin' ? pinReason(blocker) : undefined;
    const node = stop?.at.node ?? (pinned?.cause === cause && pinned.operator === operator ? pinned.node : undefined);
    return { cause, operator, ...(node && { node }) };
  }

  /** Every cause of the class that could be lifted. */
  liftable(root: number): Lift[] {
    const blocker = this.#blockers.get(root);
    const pinned = blocker?.kind === 'pin' ? pinReason(blocker) : undefined;
    const stops = (this.#stops.get(root) ?? []).map(({ cause, at }) => nodeReason(cause, at.node));
    return [...(pinned === undefined ? [] : [pinned]), ...stops].flatMap(({ cause, operator }) =>
      isLiftable(cause) && operator !== undefined ? [{ cause, operator }] : [],
    );
  }

  /** Whether it stays on account of channels that it is tied to, and nothing else. */
  isCoupledAlone(root: number): boolean {
    const blocker = this.#blockers.get(root);
    if (blocker?.kind === 'group') return true;
    if (blocker?.kind !== 'read') return false;
    const stops = this.#stops.get(root) ?? [];
    return stops.length > 0 && stops.every(({ cause }) => cause === 'alive' || cause === 'shuffle');
  }
}

/** What no knowledge of an operator could change. */
const FINAL: ReadonlySet<Cause> = new Set(['output', 'lone', 'axis']);
function isAlike(one: Stop, other: Stop): boolean {
  return one.at === other.at && one.cause === other.cause && one.isForward === other.isForward;
}

const ORDER: readonly StopCause[] = ['alive', 'shuffle', 'gate', 'place', 'constant'];

function isLiftable(cause: Cause): cause is Liftable {
  return ['unknown', 'extent', 'gate', 'place', 'constant'].includes(cause);
}

function nodeReason(cause: Cause, node: Node | undefined): Reason {
  return node === undefined ? { cause } : { cause, operator: node.qualifiedOp, node };
}

function pinReason({ pin }: Extract<Blocker, { kind: 'pin' }>): Reason {
  const { cause, node, reason } = pin;
  return { ...nodeReason(cause === 'boundary' ? 'output' : cause, node), detail: reason };
}

/** What the node does that holds them, said of it. */
export function describeReason({ cause, detail }: Reason): string {
  switch (cause) {
    case 'alive':
      return detail ?? 'it ties them to channels that are alive';
    case 'shuffle':
      return 'it ties them to other channels of their layer, which are alive';
    case 'gate':
      return 'it multiplies their constants by what is computed from the input';
    case 'place':
      return 'padding makes their constants depend on the place, and what it makes of that is not known';
    case 'constant':
      return 'what it makes of their constants is not known';
    case 'speed':
      return 'the narrower layer would be slower, or making up for their constants would cost more than it saves';
    default:
      return detail ?? 'they have to stay';
  }
}
