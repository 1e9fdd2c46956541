/** Which values are constants: initializers, Constant nodes, and what deterministic nodes compute from them. */
import type { Graph, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { AttributeType, type ModelProto, type NodeProto } from '../onnx/proto.js';
import { nodeProto } from '../onnx/write.js';
import { constantNodeTensor } from '../ops/constant-node.js';
import { evaluateNodes } from '../runtime/evaluate.js';
import type { Shapes } from './shapes.js';
import { Twins } from './twins.js';

/** Nodes whose result may differ between runs, or whose folding would undo what the user wants (quantised weights). */
const NOT_FOLDED = new Set([
  'RandomNormal',
  'RandomUniform',
  'RandomNormalLike',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
]);

export interface Constants {
  /** The tensor of a constant value; undefined for values that depend on an input (or could not be evaluated). */
  tensor(value: Value | undefined): Tensor | undefined;
  /** Whether the value does not depend on any graph input. */
  has(value: Value | undefined): boolean;
}

/**
 * Finds all constants and evaluates those that a non-constant node (or nobody) reads, in one run of ONNX Runtime. Values that hold the same
 * because the graph says so have one tensor: what an Identity makes of a stored one is that one.
 */
export async function findConstants(graph: Graph, proto: ModelProto, shapes: Shapes): Promise<Constants> {
  const tensors = new Map<Value, Tensor>();
  const computed = new Set<Value>();
  const nodes: Node[] = [];
  const twins = new Twins();
  for (const node of graph.nodes) {
    const own = constantNodeTensor(node);
    const [output] = node.outputs;
    if (own !== undefined && output !== undefined) {
      tensors.set(output, own);
      nodes.push(node);
    } else if (isFoldable(node, (value) => isKnown(value, tensors, computed), shapes)) {
      for (const value of node.outputs) if (value !== undefined) computed.add(value);
      nodes.push(node);
      if (node.opType === 'CastLike') twins.add(node, node.inputs.slice(0, 1), String(likeType(node, shapes)));
      else twins.add(node, node.inputs);
    }
  }
  const foldedNodes = new Set(nodes);
  const frontier = [...computed].filter(({ uses }) => uses.some(({ node }) => !foldedNodes.has(node)));
  const wanted = new Set(frontier.map((value) => twins.first(value)).filter((value) => computed.has(value)));
  if (wanted.size > 0) {
    const needed = backwardSlice([...wanted]);
    const evaluated = nodes.filter((node) => needed.has(node));
    const results = await evaluateNodes(proto, evaluated, [...wanted], (node) => protoForEvaluation(node, shapes));
    for (const [value, tensor] of results) tensors.set(value, tensor);
  }
  for (const value of frontier) {
    const first = twins.first(value);
    const tensor = first.initializer ?? tensors.get(first);
    if (tensor !== undefined) tensors.set(value, tensor);
  }
  return {
    tensor: (value) => (value === undefined ? undefined : (value.initializer ?? tensors.get(value))),
    has: (value) => value !== undefined && isKnown(value, tensors, computed),
  };
}

function isKnown(value: Value, tensors: ReadonlyMap<Value, Tensor>, computed: ReadonlySet<Value>): boolean {
  return value.initializer !== undefined || tensors.has(value) || computed.has(value);
}

function isFoldable(node: Node, known: (value: Value) => boolean, shapes: Shapes): boolean {
  if (node.domain !== '' || node.hasSubgraph || node.opType === 'Constant' || NOT_FOLDED.has(node.opType)) return false;
  if (node.opType === 'CastLike')
    return node.inputs[0] !== undefined && known(node.inputs[0]) && likeType(node, shapes) !== undefined;
  const inputs = node.inputs.filter((value) => value !== undefined);
  return inputs.length > 0 && inputs.every(known);
}

/** CastLike reads its second operand for the dtype alone: exporters give it an activation. */
function likeType(node: Node, shapes: Shapes): number | undefined {
  const like = node.inputs[1];
  return like === undefined ? undefined : (like.initializer?.dataType ?? shapes.dataTypeOf(like));
}

function protoForEvaluation(node: Node, shapes: Shapes): NodeProto {
  const to = node.opType === 'CastLike' ? likeType(node, shapes) : undefined;
  if (to === undefined) return nodeProto(node);
  const { name, input = [], output = [] } = nodeProto(node);
  return {
    name: name ?? '',
    opType: 'Cast',
    input: input.slice(0, 1),
    output,
    attribute: [{ name: 'to', type: AttributeType.INT, i: to }],
  };
}

/** Every node that the values depend on. */
function backwardSlice(values: readonly Value[]): Set<Node> {
  const needed = new Set<Node>();
  const pending = values.map(({ producer }) => producer);
  for (let node = pending.pop(); node !== undefined || pending.length > 0; node = pending.pop()) {
    if (node === undefined || needed.has(node)) continue;
    needed.add(node);
    for (const value of node.inputs) pending.push(value?.producer);
  }
  return needed;
}
