/**
 * Weights that no rule reads: quantised ones, those of operators without a rule, those inside
 * subgraphs and functions. Their zeros are not looked for, so nobody may say of the model that it
 * has none.
 */
import type { Node, Use, Value } from '../ir/graph.js';
import { dataTypeName, isFloating, product, type Tensor } from '../ir/tensor.js';
import type { ModelProto, TensorProto } from '../onnx/proto.js';
import { readDims } from '../onnx/tensors.js';
import { aliasedBy, rootOf } from '../ops/aliases.js';
import type { StoredWeights } from '../ops/stored-weights.js';
import type { Relation } from '../ops/axes.js';
import { operatorOf } from '../ops/registry.js';
import { innerWeights } from './inner-weights.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';
import { mayBeWeight, type UnreadWeight } from './weight-like.js';
import { countAtZeroPoint } from './zero-points.js';

/** Weights that no rule reads, of one operator and one type. */
export interface UnreadWeights {
  /**
   * With what stands between it and its weights, or what it is inside of: `Conv after
   * DequantizeLinear`, `Conv inside If`.
   */
  readonly op: string;
  readonly dataType: string;
  readonly weights: number;
  readonly elements: number;
  /** Elements that stand for 0: zero, or at their zero point; absent where that cannot be told. */
  readonly zeros?: number;
}

/**
 * By operator and type, in the order of the graph. What masks were bound to (`masked`) was looked
 * at, though no rule reads it. `areSubgraphsRead`: whether the passes ran inside subgraphs.
 */
export function unreadWeights(
  graphInfo: GraphInfo,
  proto: ModelProto,
  masked: readonly Pick<Use, 'node' | 'index'>[] = [],
  areSubgraphsRead = false,
): UnreadWeights[] {
  const { graph, constants } = graphInfo;
  const maskedInputs = new Map<Node, Set<number>>();
  for (const { node, index } of masked) maskedInputs.set(node, (maskedInputs.get(node) ?? new Set()).add(index));
  const opaque = new Map((proto.graph?.initializer ?? []).map((tensor) => [tensor.name, tensor]));
  const read = new Set<Value>();
  const found = new Map<Value, UnreadWeight>();
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => constants.has(value))) continue;
    const relation = operatorOf(node)?.axes?.(siteOf(node, graphInfo));
    for (const [index, value] of node.inputs.entries()) {
      if (value === undefined) continue;
      const root = rootOf(value);
      const isMasked = maskedInputs.get(node)?.has(index) === true;
      // Codes are read where it is known what they stand for.
      const isUnknown = isConversion(node) && !constants.isDecoded(node.outputs[0]);
      if (isMasked || (relation !== undefined && !isUnknown && isRead(relation, index))) read.add(root);
      else if (!found.has(root)) {
        const weight = weightOf(node, index, value, graphInfo, opaque.get(root.name));
        if (weight !== undefined) found.set(root, weight);
      }
    }
  }
  const outside = [...found].flatMap(([root, weight]) => (read.has(root) ? [] : [weight]));
  const known = [...read, ...found.keys()].map((root) => constants.tensor(root));
  return summed([...outside, ...innerWeights(proto, graph, known, areSubgraphsRead)]);
}

/** Pointwise relations read all their operands, linear ones weights and bias. */
function isRead(relation: Relation, index: number): boolean {
  // Of recurrent layers whole units and inputs are looked for, and no figure counts their zeros.
  if (relation.kind === 'pointwise') return relation.feedback === undefined;
  if (relation.kind === 'extents') return true;
  return index === relation.weights.index || index === relation.bias?.index;
}

function weightOf(
  node: Node,
  index: number,
  value: Value,
  { constants }: GraphInfo,
  opaque: TensorProto | undefined,
): UnreadWeight | undefined {
  const stored = operatorOf(node)?.storedWeights?.(node);
  if (stored !== undefined && !stored.some((weights) => weights.index === index)) return undefined;
  const tensor = constants.tensor(value);
  const isOpaque = tensor === undefined && rootOf(value).isOpaqueConstant && opaque !== undefined;
  const dims = tensor?.dims ?? (isOpaque ? readDims(opaque) : []);
  const dataType = tensor?.dataType ?? (isOpaque ? (opaque.dataType ?? 0) : 0);
  if (!mayBeWeight(node, dataType, dims)) return undefined;
  const weights = stored?.find((entry) => entry.index === index);
  return {
    op: opOf(node),
    dataType,
    elements: product(dims),
    zeros: tensor === undefined ? undefined : zerosOf(node, tensor, weights, constants),
  };
}

function zerosOf(
  node: Node,
  tensor: Tensor,
  weights: StoredWeights | undefined,
  constants: GraphInfo['constants'],
): number | undefined {
  if (weights === undefined) return isFloating(tensor.dataType) ? countAtZeroPoint(tensor, undefined, 0) : undefined;
  const zeroPoint = weights.zeroPoint === undefined ? undefined : node.inputs[weights.zeroPoint];
  const points = constants.tensor(zeroPoint);
  if (zeroPoint !== undefined && points === undefined) return undefined;
  return weights.count === undefined ? countAtZeroPoint(tensor, points, weights.axis) : weights.count(tensor, points);
}

/** Whether it converts between numbers and quantised numbers. */
function isConversion(node: Node): boolean {
  return operatorOf(node)?.notFolded === 'quantised';
}

/** The operator that computes with the weight, and what stands in front of it. */
function opOf(node: Node): string {
  if (!isConversion(node)) return node.qualifiedOp;
  let reader: Node | undefined = node;
  while (reader !== undefined && (isConversion(reader) || aliasedBy(reader) !== undefined))
    reader = reader.outputs[0]?.uses[0]?.node;
  return reader === undefined ? node.qualifiedOp : `${reader.qualifiedOp} after ${node.qualifiedOp}`;
}

function summed(weights: readonly UnreadWeight[]): UnreadWeights[] {
  const groups = new Map<string, UnreadWeight[]>();
  for (const weight of weights) {
    const key = JSON.stringify([weight.op, weight.dataType]);
    groups.set(key, [...(groups.get(key) ?? []), weight]);
  }
  return [...groups.values()].flatMap((group): UnreadWeights[] => {
    const [first] = group;
    if (first === undefined) return [];
    const zeros = group.map((weight) => weight.zeros);
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    const known = zeros.filter((count) => count !== undefined);
    return [
      {
        op: first.op,
        dataType: dataTypeName(first.dataType),
        weights: group.length,
        elements: sum(group.map(({ elements }) => elements)),
        ...(known.length === zeros.length && { zeros: sum(known) }),
      },
    ];
  });
}
