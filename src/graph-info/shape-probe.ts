/**
 * Nodes for shape inference that leave open what ONNX Runtime would infer wrongly
 * (src/ops/doubt.ts): such a node reads its data through Gather, at an unknown number of places
 * along each axis in doubt. So nothing wrong gets any further, wherever later nodes turn, flatten
 * or reshape it.
 */
import { COMPILER_PREFIX, type Dim, type Graph, type Node, type Value } from '../ir/graph.js';
import { INT64, type Tensor } from '../ir/tensor.js';
import { AttributeType, type ModelProto, type NodeProto, type ValueInfoProto } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { nodeProto, typeOf } from '../onnx/write.js';
import { storedTensor } from '../ops/aliases.js';
import { doubtByOperands, doubtOf, isSuspect } from '../ops/doubt.js';
import type { Doubt } from '../ops/operator.js';
import { operatorOf } from '../ops/registry.js';
import { siteOf } from './site-of.js';

type FreshNames = ReturnType<Graph['freshNames']>;

export interface ProbeNodes {
  readonly nodes: NodeProto[];
  /** Further graph inputs that they read. */
  readonly inputs: ValueInfoProto[];
}

/** Axes of results, by node, that a first inference shows to be other than it says. */
export interface Corrections {
  /** In doubt besides. */
  readonly doubtful: ReadonlyMap<Node, readonly number[]>;
  /** Of nodes that leave all others as they are, which the inference does not see. */
  readonly changed: ReadonlyMap<Node, readonly number[]>;
}

export function probeNodes(graph: Graph, { doubtful, changed }: Corrections): ProbeNodes {
  const names = graph.freshNames();
  const places = names(`${COMPILER_PREFIX}any_places`);
  const nodes = graph.nodes.flatMap((node) => {
    const open = changed.get(node);
    if (open !== undefined) return loosened(names, node, { axes: open, isAll: true }, places);
    const doubt = doubtOf(node, (index) => tensorOf(node.inputs[index]));
    const axes = doubtful.get(node);
    if (axes !== undefined) return loosenedResult(names, node, axes, places);
    return doubt === undefined ? [nodeProto(node)] : loosened(names, node, doubt, places);
  });
  const isUsed = nodes.length > graph.nodes.length;
  return { nodes, inputs: isUsed ? [typeOf(places, INT64, [''])] : [] };
}

/**
 * Nodes of which more is in doubt than they say themselves: what is known of their operands
 * decides.
 */
export function doubtfulResults(
  graph: Graph,
  known: ReadonlyMap<string, readonly Dim[]>,
): Map<Node, readonly number[]> {
  const dimsOf = (value: Value | undefined) => (value === undefined ? undefined : known.get(value.name));
  return new Map(
    graph.nodes.flatMap((node): [Node, readonly number[]][] => {
      const axes = doubtByOperands(node, node.inputs.map(dimsOf), dimsOf(node.outputs[0]));
      return axes.length === 0 ? [] : [[node, axes]];
    }),
  );
}

/** Nodes that copy extents of their input where the inference knows none. */
export function changingNodes(graph: Graph, known: ReadonlyMap<string, readonly Dim[]>): Map<Node, readonly number[]> {
  const shapes = { of: (value: Value | undefined) => (value === undefined ? undefined : known.get(value.name)) };
  return new Map(
    graph.nodes.flatMap((node): [Node, readonly number[]][] => {
      const isOpen = shapes.of(node.outputs[0])?.includes('') === true;
      const site = siteOf(node, { graph, shapes, constants: { tensor: tensorOf } });
      const axes = isOpen ? operatorOf(node)?.changedAxes?.(site) : undefined;
      return axes === undefined ? [] : [[node, axes]];
    }),
  );
}

function tensorOf(value: Value | undefined): Tensor | undefined {
  return value === undefined ? undefined : storedTensor(value);
}

function loosened(
  names: FreshNames,
  node: Node,
  { axes, misleading = [], isAll = false }: Doubt,
  places: string,
): NodeProto[] {
  const proto = nodeProto(node);
  const [data = '', ...others] = proto.input ?? [];
  const { nodes, last } = gathered(names, data, axes, places);
  const attribute = proto.attribute?.filter(({ name = '' }) => !misleading.includes(name)) ?? [];
  const own = isAll
    ? { opType: 'Identity', input: [last], output: proto.output ?? [] }
    : { ...proto, input: [last, ...others], attribute };
  return [...nodes, own];
}

function loosenedResult(names: FreshNames, node: Node, axes: readonly number[], places: string): NodeProto[] {
  const proto = nodeProto(node);
  const inner = names(`${COMPILER_PREFIX}${proto.output?.[0]}_inferred`);
  const { nodes, last } = gathered(names, inner, axes, places);
  return [{ ...proto, output: [inner] }, ...nodes, { opType: 'Identity', input: [last], output: proto.output ?? [] }];
}

/** The value at any places along these axes. */
function gathered(names: FreshNames, value: string, axes: readonly number[], places: string) {
  let last = value;
  const nodes = axes.map((axis): NodeProto => {
    const input = [last, places];
    last = names(`${last}_any_${axis}`);
    return { opType: 'Gather', input, output: [last], attribute: [{ name: 'axis', type: AttributeType.INT, i: axis }] };
  });
  return { nodes, last };
}

/**
 * Values after subgraphs and functions with such operators inside: of these not even the rank is
 * believed.
 */
export function doubtfulInside(graph: Graph, { functions = [] }: ModelProto): Set<Value> {
  const hasDoubtfulFunctions = functions.some(({ node = [] }) => node.some(holdsSuspects));
  const found = new Set<Value>();
  const readers = new Set<Node>(); // whose subgraphs read them
  for (const node of graph.nodes) {
    const isSource =
      readers.has(node) ||
      (node.domain !== '' && hasDoubtfulFunctions) ||
      (node.hasSubgraph && holdsInside(nodeProto(node)));
    if (!isSource && !node.inputs.some((value) => value !== undefined && found.has(value))) continue;
    for (const value of node.outputs) {
      if (value === undefined) continue;
      found.add(value);
      for (const reader of value.capturedBy) readers.add(reader);
    }
  }
  return found;
}

function holdsSuspects(node: NodeProto): boolean {
  return isSuspect(node.domain ?? '', node.opType ?? '') || holdsInside(node);
}

function holdsInside(node: NodeProto): boolean {
  return subgraphsOf(node).some(({ node: nodes = [] }) => nodes.some(holdsSuspects));
}
