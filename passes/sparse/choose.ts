/**
 * Which layers become sparse, and which operators between them (riders) stay in their layout: the choice that takes least time.
 *
 * A layer wins or loses seconds by being sparse. A value that dense and sparse operators both touch changes its layout there, which costs a
 * move, once, whoever carries it out (Enter, Leave or an operator at the edge of a run). So every layer is on one of two sides, and
 * the best choice is the cheapest cut between the sides, a minimum cut:
 *
 *   sparse --- what is won ---> layer --- what is lost ---> dense       value: its move, where those who touch it are on both sides
 *
 * Runs of layers stay together as far as they pay, layers at their edges that cost more than they win are cut off, a layer that loses a
 * little is kept inside a run where two moves would cost more, and where nothing is won altogether nothing becomes sparse. Riders win and
 * lose nothing by themselves: they join where that saves a move.
 */
import type { Value } from '../../src/ir/graph.js';
import { Network } from './minimum-cut.js';
import { type Member, Places, valuesInside } from './places.js';

export interface Costs<M extends Member = Member> {
  /** Seconds won by making the layer sparse, negative where it loses, 0 for a rider; no layer at all where that is unknown. */
  readonly won: ReadonlyMap<M, number>;
  /** Seconds to bring a value from one layout into the other. */
  readonly move: (value: Value) => number;
}

export function chooseMembers<M extends Member>({ won, move }: Costs<M>): M[] {
  const network = new Network();
  const [sparse, dense] = [network.addNode(), network.addNode()];
  const places = new Map<Member, number>();
  for (const [member, seconds] of won) {
    const place = network.addNode();
    places.set(member, place);
    if (seconds > 0) network.addEdge(sparse, place, seconds);
    else network.addEdge(place, dense, -seconds);
  }
  for (const { value, layers, isDense } of shared([...won.keys()])) {
    // Whoever is sparse makes the first node sparse, whoever is dense the second one dense: then the edge between them is cut.
    const [first, second] = [network.addNode(), network.addNode()];
    network.addEdge(first, second, move(value));
    for (const place of [...layers.map((layer) => places.get(layer)), ...(isDense ? [dense] : [])]) {
      if (place === undefined) continue;
      network.addEdge(place, first, Number.POSITIVE_INFINITY);
      network.addEdge(second, place, Number.POSITIVE_INFINITY);
    }
  }
  const side = network.cut(sparse, dense);
  return [...won.keys()].filter((member) => side.has(places.get(member) ?? dense));
}

/** Seconds of moves that one layer more adds to a choice; negative where it saves moves. */
export function addedMoves(layer: Member, chosen: readonly Member[], move: Costs['move']): number {
  const own = valuesInside(layer);
  const moves = (layers: readonly Member[]) =>
    shared(layers, own).reduce((total, { value, isDense }) => total + (isDense ? move(value) : 0), 0);
  return moves([...chosen, layer]) - moves(chosen);
}

interface SharedValue {
  readonly value: Value;
  /** Those who make it or read it in the operators' layout. */
  readonly layers: readonly Member[];
  /** Whether anything else does. */
  readonly isDense: boolean;
}

/** Of all values, or of those named. */
function shared(members: readonly Member[], values?: readonly Value[]): SharedValue[] {
  const places = new Places(members);
  const touching = new Map<Value, Set<Member>>();
  for (const member of members) {
    for (const value of valuesInside(member))
      if (values?.includes(value) !== false) touching.set(value, (touching.get(value) ?? new Set()).add(member));
  }
  return [...touching].map(([value, layers]) => {
    const maker = places.makerOf(value);
    const isMadeDense = maker === undefined || !layers.has(maker) || !valuesInside(maker).includes(value);
    return { value, layers: [...layers], isDense: isMadeDense || places.hasDenseReader(value) };
  });
}
