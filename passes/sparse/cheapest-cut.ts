/** The cheapest way to part a directed graph into a source's side and a sink's, by flows along shortest paths (Edmonds and Karp). */
interface Edge {
  readonly to: number;
  /** What may still flow. */
  left: number;
  /** Place of the opposite edge in the list of `to`. */
  readonly back: number;
}

export const SOURCE = 0;
export const SINK = 1;

export class CutGraph {
  readonly #edges: Edge[][] = [[], []];

  addNode(): number {
    return this.#edges.push([]) - 1;
  }

  /** What it costs when `from` is on the source's side and `to` on the sink's. */
  addEdge(from: number, to: number, cost: number): void {
    if (from === to) return;
    const [forth, back] = [this.#of(from), this.#of(to)];
    forth.push({ to, left: cost, back: back.length });
    back.push({ to: from, left: 0, back: forth.length - 1 });
  }

  /** Of the cheapest cuts the one with the fewest nodes on the source's side: those nodes. */
  sourceSide(): ReadonlySet<number> {
    // Every flow fills an edge that has an end nearer to the sink than before: the loop ends.
    for (;;) {
      const arrived = this.#paths();
      if (!arrived.has(SINK)) return new Set([SOURCE, ...arrived.keys()]);
      const path: Edge[] = [];
      for (let at = SINK; at !== SOURCE;) {
        const edge = arrived.get(at);
        if (edge === undefined) throw new Error('a path that was found does not begin at the source');
        path.push(edge);
        at = this.#opposite(edge).to;
      }
      const flow = Math.min(...path.map(({ left }) => left));
      if (flow === Number.POSITIVE_INFINITY) throw new Error('no cut parts the source from the sink');
      for (const edge of path) {
        edge.left -= flow;
        this.#opposite(edge).left += flow;
      }
    }
  }

  /** By node: the edge over which a shortest path from the source arrives. */
  #paths(): Map<number, Edge> {
    const arrived = new Map<number, Edge>();
    const queue = [SOURCE];
    for (const from of queue) {
      for (const edge of this.#of(from)) {
        if (edge.left <= 0 || edge.to === SOURCE || arrived.has(edge.to)) continue;
        arrived.set(edge.to, edge);
        if (edge.to === SINK) return arrived;
        queue.push(edge.to);
      }
    }
    return arrived;
  }

  #opposite({ to, back }: Edge): Edge {
    const edge = this.#of(to)[back];
    if (edge === undefined) throw new Error('an edge has no opposite');
    return edge;
  }

  #of(node: number): Edge[] {
    const edges = this.#edges[node];
    if (edges === undefined) throw new Error(`node ${node} was not added`);
    return edges;
  }
}
