/**
 * Which layers become sparse operators, and which layout-preserving operators between them stay in
 * the blocked layout: layout assignment by minimum cut.
 *
 * A sparse layer saves or loses seconds. A value that both native and dense operators use changes
 * its layout there, which costs one move, whichever operator does the conversion. So every operator
 * is on one of two sides, and the selection that takes least time is a minimum cut between the
 * sides:
 *
 *   native --- seconds won ---> layer --- seconds lost ---> dense
 *   value: an edge with the cost of its move, cut where its users are on both sides
 *
 * A chain of layers stays together as long as it pays. Layers at its ends that cost more than they
 * win stay dense. A layer that loses a little stays in the chain where two moves would cost more.
 * Where nothing is won in total nothing becomes sparse. Layout-preserving operators win and lose
 * nothing themselves: they are selected where that saves a move.
 */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { isDepthwise, normalisationAt, type SparseLayer } from './candidates.js';
import { blockedValues, LayoutAssignment, type NativeOp } from './layout-assignment.js';
import { layoutOpAt } from './layout-ops.js';
import { Network } from './minimum-cut.js';

export interface Costs<Op extends NativeOp = NativeOp> {
  /**
   * Seconds won by making the layer sparse: negative where it loses, 0 for a layout-preserving
   * operator. A layer of unknown speed has no entry.
   */
  readonly won: ReadonlyMap<Op, number>;
  /** Seconds to convert a value from one layout to the other. */
  readonly move: (value: Value) => number;
}

/** Selects native operators in one graph, in the order in which they are emitted. */
export class Selector {
  readonly #graphInfo: GraphInfo;
  readonly #candidates: readonly SparseLayer[];
  readonly #costs: Costs<SparseLayer>;
  readonly #indexOf: ReadonlyMap<Node, number>;

  constructor(graphInfo: GraphInfo, candidates: readonly SparseLayer[], costs: Costs<SparseLayer>) {
    this.#graphInfo = graphInfo;
    this.#candidates = candidates;
    this.#costs = costs;
    this.#indexOf = new Map(graphInfo.graph.nodes.map((node, index) => [node, index]));
  }

  /**
   * The layers that pay and the operators around them. The layers are selected first, together with
   * every operator that could stay in their layout. These operators are then selected again,
   * because the activation after a layer that stays dense may be one, too.
   */
  select(): NativeOp[] {
    const { won, move } = this.#costs;
    const first = new Set(cheapestSelection({ won: this.#withLayoutOps(won), move }));
    return this.selectAround([...won.keys()].filter((layer) => first.has(layer)));
  }

  /** These layers, whatever they win, and the layout-preserving operators that save moves. */
  selectAround(layers: readonly SparseLayer[]): NativeOp[] {
    if (layers.length === 0) return [];
    const won = this.#withLayoutOps(new Map(layers.map((layer) => [layer, Number.MAX_VALUE])));
    return this.#inOrder(cheapestSelection({ won, move: this.#costs.move }));
  }

  #withLayoutOps(layers: ReadonlyMap<SparseLayer, number>): Map<NativeOp, number> {
    const all = new Map<NativeOp, number>(layers);
    for (const op of this.#layoutOps([...layers.keys()])) all.set(op, 0);
    return all;
  }

  /**
   * Operators that exist in the blocked layout and are not part of one of the layers, in the order
   * of the graph: depthwise convolutions, normalisations, then those of layout-ops.ts.
   */
  #layoutOps(layers: readonly SparseLayer[]): NativeOp[] {
    const graphInfo = this.#graphInfo;
    const taken = new Set<Node>(layers.flatMap(({ nodes }) => nodes));
    const depthwise = new Map(
      this.#candidates
        .filter((layer) => isDepthwise(layer) && layer.nodes.every((node) => !taken.has(node)))
        .map((layer) => [layer.nodes[0], layer]),
    );
    for (const { nodes } of depthwise.values()) for (const node of nodes) taken.add(node);
    const found: NativeOp[] = [];
    for (const node of graphInfo.graph.nodes) {
      const normalisation = taken.has(node) ? undefined : normalisationAt(node, graphInfo, taken);
      const op = depthwise.get(node) ?? normalisation ?? layoutOpAt(node, graphInfo, taken);
      if (op === undefined) continue;
      for (const part of op.nodes) taken.add(part);
      found.push(op);
    }
    return found;
  }

  /**
   * An operator is inserted where its last node is. In this order a converted value exists before
   * all of its readers.
   */
  #inOrder(ops: readonly NativeOp[]): NativeOp[] {
    const endOf = ({ nodes }: NativeOp) => this.#indexOf.get(nodes.at(-1) ?? nodes[0]) ?? 0;
    return ops.toSorted((a, b) => endOf(a) - endOf(b));
  }
}

/** The operators on the native side of the minimum cut. */
export function cheapestSelection<Op extends NativeOp>({ won, move }: Costs<Op>): Op[] {
  const network = new Network();
  const [native, dense] = [network.addNode(), network.addNode()];
  const nodeOf = new Map<NativeOp, number>();
  for (const [op, seconds] of won) {
    const node = network.addNode();
    nodeOf.set(op, node);
    if (seconds > 0) network.addEdge(native, node, seconds);
    else network.addEdge(node, dense, -seconds);
  }
  for (const { value, ops, isDense } of sharedValues([...won.keys()])) {
    // A native user puts `first` on the native side, a dense user puts `second` on the dense side.
    // With users on both sides the edge between the two is cut.
    const [first, second] = [network.addNode(), network.addNode()];
    network.addEdge(first, second, move(value));
    for (const node of [...ops.map((op) => nodeOf.get(op)), ...(isDense ? [dense] : [])]) {
      if (node === undefined) continue;
      network.addEdge(node, first, Number.POSITIVE_INFINITY);
      network.addEdge(second, node, Number.POSITIVE_INFINITY);
    }
  }
  const nativeSide = network.cut(native, dense);
  return [...won.keys()].filter((op) => nativeSide.has(nodeOf.get(op) ?? dense));
}

/** Seconds of moves that one more layer adds to a selection; negative where it saves moves. */
export function addedMoves(layer: NativeOp, selected: readonly NativeOp[], move: Costs['move']): number {
  const own = blockedValues(layer);
  const moves = (ops: readonly NativeOp[]) =>
    sharedValues(ops, own).reduce((total, { value, isDense }) => total + (isDense ? move(value) : 0), 0);
  return moves([...selected, layer]) - moves(selected);
}

interface SharedValue {
  readonly value: Value;
  /** The native operators that produce or read it in the blocked layout. */
  readonly ops: readonly NativeOp[];
  /** Whether anything else produces or reads it. */
  readonly isDense: boolean;
}

/** Of all blocked values of the operators, or only of `values`. */
function sharedValues(ops: readonly NativeOp[], values?: readonly Value[]): SharedValue[] {
  const layouts = new LayoutAssignment(ops);
  const users = new Map<Value, Set<NativeOp>>();
  for (const op of ops) {
    for (const value of blockedValues(op))
      if (values?.includes(value) !== false) users.set(value, (users.get(value) ?? new Set()).add(op));
  }
  return [...users].map(([value, natives]) => {
    const producer = layouts.producerOf(value);
    const isProducedPlain =
      producer === undefined || !natives.has(producer) || !blockedValues(producer).includes(value);
    return { value, ops: [...natives], isDense: isProducedPlain || layouts.hasPlainReader(value) };
  });
}
