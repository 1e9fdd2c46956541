/**
 * Which riders join the layers. All that hang together with layers are taken first; then each that saves no moving goes again, until
 * none does. Every value that crosses between the layouts counts once: a single layer that takes it as it is moves it all the same.
 */
import type { Knowledge } from '../../src/analysis/site.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { isDepthwise, normalisationAt, type SparseLayer } from './layers.js';
import { connected, type Member, Places, valuesOf } from './places.js';
import { riderAt } from './riders.js';

/** Riders for the layers chosen; `all` are the layers that there are. */
export function joinRiders(
  layers: readonly SparseLayer[],
  all: readonly SparseLayer[],
  knowledge: Knowledge,
): Member[] {
  let riders = attached(layers, candidates(layers, all, knowledge));
  // Every round but the last drops at least one.
  for (let before = Number.POSITIVE_INFINITY; riders.length < before; ) {
    before = riders.length;
    riders = attached(layers, dropUseless(layers, riders, knowledge));
  }
  return riders;
}

/** In the order of the graph. What is part of a layer chosen, or of a rider before, is none. */
function candidates(layers: readonly SparseLayer[], all: readonly SparseLayer[], knowledge: Knowledge): Member[] {
  const taken = new Set<Node>(layers.flatMap(({ nodes }) => nodes));
  const depthwise = new Map(
    all
      .filter((layer) => isDepthwise(layer) && layer.nodes.every((node) => !taken.has(node)))
      .map((layer) => [layer.nodes[0], layer]),
  );
  for (const { nodes } of depthwise.values()) for (const node of nodes) taken.add(node);
  const found: Member[] = [];
  for (const node of knowledge.graph.nodes) {
    const own = taken.has(node) ? undefined : normalisationAt(node, knowledge, taken);
    const member = depthwise.get(node) ?? own ?? riderAt(node, knowledge, taken);
    if (member === undefined) continue;
    for (const part of member.nodes) taken.add(part);
    found.push(member);
  }
  return found;
}

/** Those that hang together with a layer, directly or through others. */
function attached(layers: readonly SparseLayer[], riders: readonly Member[]): Member[] {
  const own = new Set<Member>(layers);
  const runs = connected([...layers, ...riders]);
  return riders.filter((rider) => runs.get(rider)?.some((member) => own.has(member)));
}

/** Without those, from the last on, that save nothing while all others are there. */
function dropUseless(layers: readonly SparseLayer[], riders: readonly Member[], { shapes }: Knowledge): Member[] {
  const kept = new Set(riders);
  let places = new Places([...layers, ...kept]);
  for (const rider of riders.toReversed()) {
    const values = new Set<Value>([...valuesOf(rider).read, rider.output]);
    const moved = (without?: Member) =>
      [...values].reduce(
        (total, value) => total + (places.crosses(value, without) ? weight(shapes.of(value)) : 0),
        0,
      );
    if (moved(rider) > moved()) continue;
    kept.delete(rider);
    places = new Places([...layers, ...kept]);
  }
  return [...kept];
}

/** Extents that only the run knows: one number for all, so that what is not known to shrink does not pay. */
const UNKNOWN_EXTENT = 32;

function weight(dims: readonly (number | string)[] | undefined): number {
  return (dims ?? []).reduce<number>((total, dim) => total * (typeof dim === 'number' ? dim : UNKNOWN_EXTENT), 1);
}
