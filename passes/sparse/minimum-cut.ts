/** Minimum cut of a flow network: maximum flow by shortest augmenting paths. */

interface Edge {
  readonly to: number;
  /** Residual capacity. */
  left: number;
  /** The reverse edge. */
  readonly back: () => Edge;
}

/** Capacities are seconds: less than a picosecond is rounding. */
const NEGLIGIBLE = 1e-12;

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

  /**
   * Nodes on the source side of the minimum cut; of several minimum cuts, the smallest such set.
   */
  cut(source: number, sink: number): ReadonlySet<number> {
    for (;;) {
      const reached = this.#search(source, sink);
      const path = pathTo(sink, reached);
      if (path.length === 0) return new Set([source, ...reached.keys()]);
      const flow = Math.min(...path.map(({ left }) => left));
      // A path of unlimited edges has no cut. No caller builds such a network.
      if (flow === Number.POSITIVE_INFINITY) throw new Error('no cut separates the source from the sink');
      for (const edge of path) {
        edge.left -= flow;
        edge.back().left += flow;
      }
    }
  }

  /** Breadth-first search until the sink: the edge by which each node was reached. */
  #search(source: number, sink: number): Map<number, Edge> {
    const reached = new Map<number, Edge>();
    const waiting = [source];
    for (const node of waiting) {
      for (const edge of this.#edges[node] ?? []) {
        if (edge.left <= NEGLIGIBLE || edge.to === source || reached.has(edge.to)) continue;
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
