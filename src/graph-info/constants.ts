/**
 * Which values are constants: initializers, Constant nodes, and what deterministic nodes compute
 * from them. Quantised numbers are decoded when the model runs, and stay as they are stored; what
 * they are decoded to is known all the same.
 */
import type { Dim, Graph, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { AttributeType, type ModelProto, type NodeProto } from '../onnx/proto.js';
import { nodeProto } from '../onnx/write.js';
import { nodeTensor } from '../ops/aliases.js';
import { operatorOf } from '../ops/registry.js';
import { evaluateNodes, isHandedOut } from '../runtime/evaluate.js';
import type { Shapes } from './shapes.js';
import { Twins } from './twins.js';

/** Elements; the attention mask of 4,096 tokens is as large. */
const MOST_COMPUTED = 2 ** 24;

export interface Constants {
  /**
   * The tensor of a constant value; undefined for values that depend on an input (or could not be
   * evaluated).
   */
  tensor(value: Value | undefined): Tensor | undefined;
  /** Whether the value may be replaced by its contents: it depends on no input, nor is it decoded. */
  has(value: Value | undefined): boolean;
  /**
   * Whether it is decoded, or computed from what is: its contents are known, and the nodes that
   * compute them stay.
   */
  isDecoded(value: Value | undefined): boolean;
}

/**
 * Finds all constants and evaluates those that a non-constant node (or nobody) reads, in one run of
 * ONNX Runtime. Values that hold the same because the graph says so have one tensor: what an
 * Identity makes of a stored one is that one.
 */
export async function findConstants(graph: Graph, proto: ModelProto, shapes: Shapes): Promise<Constants> {
  const tensors = new Map<Value, Tensor>();
  const computed = new Set<Value>();
  const nodes: Node[] = [];
  const decoded = new Set<Value>();
  const decoders: Node[] = [];
  const twins = new Twins();
  for (const node of graph.nodes) {
    const own = nodeTensor(node);
    const [output] = node.outputs;
    if (own !== undefined && output !== undefined) {
      tensors.set(output, own);
      nodes.push(node);
    } else if (isFoldable(node, (value) => isKnown(value, tensors, computed), shapes)) {
      for (const value of node.outputs) if (value !== undefined) computed.add(value);
      nodes.push(node);
      const { typeOperand } = operatorOf(node) ?? {};
      if (typeOperand === undefined) twins.add(node, node.inputs);
      else twins.add(node, node.inputs.toSpliced(typeOperand, 1), String(typeGiven(node, shapes)));
    } else if (decodes(node, (value) => isKnown(value, tensors, computed) || decoded.has(value), shapes)) {
      for (const value of node.outputs) if (value !== undefined) decoded.add(value);
      decoders.push(node);
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
  const contents = await decodedTensors(proto, { nodes, decoders, decoded: [...decoded] }, shapes);
  return {
    tensor: (value) =>
      value === undefined ? undefined : (value.initializer ?? tensors.get(value) ?? contents.get(value)),
    has: (value) => value !== undefined && isKnown(value, tensors, computed),
    isDecoded: (value) => value !== undefined && contents.has(value),
  };
}

/** Those of a type that ONNX Runtime hands out; none where it has no kernel for one of the nodes. */
async function decodedTensors(
  proto: ModelProto,
  { nodes, decoders, decoded }: { nodes: readonly Node[]; decoders: readonly Node[]; decoded: readonly Value[] },
  shapes: Shapes,
): Promise<ReadonlyMap<Value, Tensor>> {
  const wanted = decoded.filter((value) => isHandedOut(shapes.dataTypeOf(value)));
  if (wanted.length === 0) return new Map();
  const needed = backwardSlice(wanted);
  const order = new Set([...nodes, ...decoders].filter((node) => needed.has(node)));
  try {
    return await evaluateNodes(proto, [...order], wanted, (node) => protoForEvaluation(node, shapes));
  } catch {
    return new Map();
  }
}

function isKnown(value: Value, tensors: ReadonlyMap<Value, Tensor>, computed: ReadonlySet<Value>): boolean {
  return value.initializer !== undefined || tensors.has(value) || computed.has(value);
}

function isFoldable(node: Node, known: (value: Value) => boolean, shapes: Shapes): boolean {
  return operatorOf(node)?.notFolded === undefined && node.domain === '' && isComputable(node, known, shapes);
}

/** Between numbers and quantised numbers, or of what comes from there. */
function decodes(node: Node, known: (value: Value) => boolean, shapes: Shapes): boolean {
  const { notFolded } = operatorOf(node) ?? {};
  const isConversion = notFolded === 'quantised';
  return (isConversion || (notFolded === undefined && node.domain === '')) && isComputable(node, known, shapes);
}

function isComputable(node: Node, known: (value: Value) => boolean, shapes: Shapes): boolean {
  const { stored, typeOperand } = operatorOf(node) ?? {};
  if (node.hasSubgraph || stored !== undefined) return false;
  if (typeOperand !== undefined && typeGiven(node, shapes) === undefined) return false;
  const inputs = node.inputs.filter((value, index) => value !== undefined && index !== typeOperand) as Value[];
  return inputs.length > 0 && inputs.every(known) && !isBlownUp(node, shapes);
}

/**
 * A few numbers that become very many (ConstantOfShape, Expand, Tile) are left to the run: neither
 * the model nor the compiler has room for all.
 */
function isBlownUp(node: Node, shapes: Shapes): boolean {
  const sizeOf = (values: readonly (Value | undefined)[]) =>
    values.reduce((total, value) => total + elements(value?.initializer?.dims ?? shapes.of(value) ?? []), 0);
  return sizeOf(node.outputs) > Math.max(MOST_COMPUTED, sizeOf(node.inputs));
}

function elements(dims: readonly Dim[]): number {
  return dims.reduce<number>((total, dim) => total * (typeof dim === 'number' ? dim : 1), 1);
}

/**
 * Of an operator that reads an operand for its dtype alone, that dtype: exporters give it an
 * activation.
 */
function typeGiven(node: Node, shapes: Shapes): number | undefined {
  const { typeOperand } = operatorOf(node) ?? {};
  const like = typeOperand === undefined ? undefined : node.inputs[typeOperand];
  return like === undefined ? undefined : (like.initializer?.dataType ?? shapes.dataTypeOf(like));
}

/** Where the type operand has no value, the conversion is written with the type itself. */
function protoForEvaluation(node: Node, shapes: Shapes): NodeProto {
  const to = typeGiven(node, shapes);
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
