/** The cheapest way to part a network into a source's and a sink's side (maximum flow by shortest augmenting paths). */

interface Edge {
  readonly to: number;
  /** What may still flow. */
  left: number;
  /** The same edge, the other way round. */
  readonly back: () => Edge;
}

/** Capacities are seconds: less than a picosecond is rounding. */
const NOTHING = 1e-12;

export class Network {
  readonly #edges: Edge[][] = [];

  addNode(): number {
    this.#edges.push([]);
    return this.#edges.length - 1;
  }

  addEdge(from: number, to: number, capacity: number): void {
    const there: Edge = { to, left: capacity, back: () => back };
    const back: Edge = { to: from, left: 0, back: () => there };
    this.#edges[from]?.push(there);
    this.#edges[to]?.push(back);
  }

  /** The nodes on the source's side of the cheapest cut; of several the one with the fewest such nodes. */
  cut(source: number, sink: number): ReadonlySet<number> {
    for (;;) {
      const reached = this.#search(source, sink);
      const path = pathTo(sink, reached);
      if (path.length === 0) return new Set([source, ...reached.keys()]);
      const flow = Math.min(...path.map(({ left }) => left));
      // Only unlimited edges all the way: nothing can part the two, and nobody builds such a network.
      if (flow === Number.POSITIVE_INFINITY) throw new Error('the source and the sink cannot be parted');
      for (const edge of path) {
        edge.left -= flow;
        edge.back().left += flow;
      }
    }
  }

  /** By node the edge that it was reached by, breadth first, until the sink is reached. */
  #search(source: number, sink: number): Map<number, Edge> {
    const reached = new Map<number, Edge>();
    const waiting = [source];
    for (const node of waiting) {
      for (const edge of this.#edges[node] ?? []) {
        if (edge.left <= NOTHING || edge.to === source || reached.has(edge.to)) continue;
        reached.set(edge.to, edge);
        if (edge.to === sink) return reached;
        waiting.push(edge.to);
      }
    }
    return reached;
  }
}

function pathTo(sink: number, reached: ReadonlyMap<number, Edge>): Edge[] {
  const path: Edge[] = [];
  for (let edge = reached.get(sink); edge !== undefined; edge = reached.get(edge.back().to)) path.push(edge);
  return path;
}
