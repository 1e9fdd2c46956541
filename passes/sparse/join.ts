/**
 * Which riders join the layers: those that make the moving between the layouts cheapest, a minimum cut. Layers are inside, dense nodes are
 * outside, riders may be either. A value that is made on one side and read on the other costs its size, once. A single layer that
 * takes it as it is moves it all the same.
 */
import type { Knowledge } from '../../src/analysis/site.js';
import type { Node } from '../../src/ir/graph.js';
import { CutGraph, SINK, SOURCE } from './cheapest-cut.js';
import { isDepthwise, normalisationAt, type SparseLayer } from './layers.js';
import { type Member, Places, valuesOf } from './places.js';
import { riderAt } from './riders.js';

/** Riders for the layers chosen; `all` are the layers that there are. */
export function joinRiders(
  layers: readonly SparseLayer[],
  all: readonly SparseLayer[],
  knowledge: Knowledge,
): Member[] {
  const riders = candidates(layers, all, knowledge);
  const graph = new CutGraph();
  const numbers = new Map<Member, number>(riders.map((rider) => [rider, graph.addNode()]));
  const places = new Places([...layers, ...riders]);
  const numberOf = (member: Member | undefined) =>
    member === undefined || member.kind === 'matmul' ? SINK : (numbers.get(member) ?? SOURCE);
  for (const value of new Set(riders.flatMap((rider) => [...valuesOf(rider).read, rider.output]))) {
    const maker = places.makerOf(value);
    const from = maker?.kind === 'rider' && !maker.isInside ? SINK : numberOf(maker);
    const readers = value.uses.map(({ node }) => numberOf(places.insideReader(value, node)));
    addValue(graph, from, value.isSeenOutside ? [...readers, SINK] : readers, weight(knowledge.shapes.of(value)));
  }
  const inside = graph.sourceSide();
  return riders.filter((rider) => inside.has(numberOf(rider)));
}

/** Leaves once, however many read it outside; enters once, however many read it inside. */
function addValue(graph: CutGraph, maker: number, readers: readonly number[], cost: number): void {
  const [left, entered] = [graph.addNode(), graph.addNode()];
  graph.addEdge(maker, left, cost);
  graph.addEdge(entered, maker, cost);
  for (const reader of new Set(readers)) {
    graph.addEdge(left, reader, Number.POSITIVE_INFINITY);
    graph.addEdge(reader, entered, Number.POSITIVE_INFINITY);
  }
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

/** Extents that only the run knows: one number for all, so that what is not known to shrink does not pay. */
const UNKNOWN_EXTENT = 32;

function weight(dims: readonly (number | string)[] | undefined): number {
  return (dims ?? []).reduce<number>((total, dim) => total * (typeof dim === 'number' ? dim : UNKNOWN_EXTENT), 1);
}
