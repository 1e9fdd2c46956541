/**
 * Nodes for shape inference that leave open what ONNX Runtime would infer wrongly (src/ops/doubtful-extents.ts): such a node reads its data
 * through Gather, at an unknown number of places along each axis in doubt. So nothing wrong gets any further, wherever later nodes turn,
 * flatten or reshape it.
 */
import { COMPILER_PREFIX, type Graph, type Node, type Value } from '../ir/graph.js';
import { INT64, type Tensor } from '../ir/tensor.js';
import { AttributeType, type GraphProto, type ModelProto, type NodeProto, type ValueInfoProto } from '../onnx/proto.js';
import { nodeProto, typeOf } from '../onnx/write.js';
import { constantNodeTensor } from '../ops/constant-node.js';
import { type Doubt, doubtOf, isSuspect } from '../ops/doubtful-extents.js';

export interface LooseNodes {
  readonly nodes: NodeProto[];
  /** Further graph inputs that they read. */
  readonly inputs: ValueInfoProto[];
}

export function looseNodes(graph: Graph): LooseNodes {
  const places = graph.freshName(`${COMPILER_PREFIX}any_places`);
  const nodes = graph.nodes.flatMap((node) => {
    const doubt = doubtOf(node, (index) => tensorOf(node.inputs[index]));
    return doubt === undefined ? [nodeProto(node)] : loosened(graph, node, doubt, places);
  });
  const isUsed = nodes.length > graph.nodes.length;
  return { nodes, inputs: isUsed ? [typeOf(places, INT64, [''])] : [] };
}

function tensorOf(value: Value | undefined): Tensor | undefined {
  return value?.initializer ?? (value?.producer === undefined ? undefined : constantNodeTensor(value.producer));
}

function loosened(
  graph: Graph,
  node: Node,
  { axes, misleading = [], isAll = false }: Doubt,
  places: string,
): NodeProto[] {
  const proto = nodeProto(node);
  const [data = '', ...others] = proto.input ?? [];
  let from = data;
  const gathers = axes.map((axis) => {
    const to = graph.freshName(`${COMPILER_PREFIX}${proto.output?.find((name) => name !== '') ?? data}_any_${axis}`);
    const made = gather(from, places, to, axis);
    from = to;
    return made;
  });
  const attribute = proto.attribute?.filter(({ name = '' }) => !misleading.includes(name)) ?? [];
  const own = isAll
    ? { opType: 'Identity', input: [from], output: proto.output ?? [] }
    : { ...proto, input: [from, ...others], attribute };
  return [...gathers, own];
}

function gather(data: string, indices: string, output: string, axis: number): NodeProto {
  return {
    opType: 'Gather',
    input: [data, indices],
    output: [output],
    attribute: [{ name: 'axis', type: AttributeType.INT, i: axis }],
  };
}

/** Values behind subgraphs and functions with such operators inside: of these not even the rank is believed. */
export function doubtfulInside(graph: Graph, { functions = [] }: ModelProto): Set<Value> {
  const hasDoubtfulFunctions = functions.some(({ node = [] }) => node.some(holdsSuspects));
  const found = new Set<Value>();
  const readers = new Set<Node>(); // whose subgraphs read them
  for (const node of graph.nodes) {
    const isSource =
      readers.has(node) ||
      (node.domain !== '' && hasDoubtfulFunctions) ||
      (node.hasSubgraph && (nodeProto(node).attribute ?? []).some(({ g, graphs = [] }) => holds([...graphs, g])));
    if (!isSource && !node.inputs.some((value) => value !== undefined && found.has(value))) continue;
    for (const value of node.outputs) {
      if (value === undefined) continue;
      found.add(value);
      for (const reader of value.capturedBy) readers.add(reader);
    }
  }
  return found;
}

function holdsSuspects({ domain = '', opType = '', attribute = [] }: NodeProto): boolean {
  return isSuspect(domain, opType) || attribute.some(({ g, graphs = [] }) => holds([...graphs, g]));
}

function holds(graphs: readonly (GraphProto | undefined)[]): boolean {
  return graphs.some((graph) => graph?.node?.some(holdsSuspects) === true);
}
