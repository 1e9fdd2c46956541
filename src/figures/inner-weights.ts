/** Weights inside If, Loop and Scan and inside the model's functions, where no rule looks. */
import type { Graph } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { ExternalData } from '../onnx/external-data.js';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { readTensor } from '../onnx/tensors.js';
import { mayBeWeight, type UnreadWeight } from './weight-like.js';
import { countAtZeroPoint } from './zero-points.js';

type Constants = ReadonlyMap<string, Tensor>;

/** Each once, by its first reader; without those that are `known` already. */
export function innerWeights(
  { graph: proto, functions = [] }: ModelProto,
  graph: Graph,
  known: readonly (Tensor | undefined)[],
): UnreadWeight[] {
  const seen = new Set(known.filter((tensor) => tensor !== undefined));
  const outer = new Map([...graph.initializers()].map(({ name, initializer }) => [name, initializer]));
  const nodes = proto?.node ?? [];
  const visible = new Map([...outer, ...constantsOf(nodes, [])]);
  return [
    ...nodes.flatMap((node) => insideOf(node, visible, seen)),
    ...functions.flatMap(({ node = [], name = '' }) => read(node, constantsOf(node, []), `the function ${name}`, seen)),
  ];
}

function insideOf(node: NodeProto, visible: Constants, seen: Set<Tensor>): UnreadWeight[] {
  return (node.attribute ?? [])
    .flatMap(({ g, graphs = [] }): GraphProto[] => (g === undefined ? graphs : [g, ...graphs]))
    .flatMap(({ node: nodes = [], initializer = [] }) =>
      read(nodes, new Map([...visible, ...constantsOf(nodes, initializer)]), node.opType ?? '', seen),
    );
}

function read(nodes: readonly NodeProto[], constants: Constants, place: string, seen: Set<Tensor>): UnreadWeight[] {
  return nodes.flatMap((node) => {
    const { input = [], opType = '', domain = '' } = node;
    const op = domain === '' || domain === 'ai.onnx' ? opType : `${domain}::${opType}`;
    const own = input.flatMap((name): UnreadWeight[] => {
      const tensor = constants.get(name);
      if (tensor === undefined || seen.has(tensor)) return [];
      const { dataType, dims, size: elements } = tensor;
      if (!mayBeWeight({ opType, domain }, dataType, dims)) return [];
      seen.add(tensor);
      return [{ op: `${op} inside ${place}`, dataType, elements, zeros: countAtZeroPoint(tensor, undefined, 0) }];
    });
    return [...own, ...insideOf(node, constants, seen)];
  });
}

/** What external data there was has been put inside. */
const NOWHERE = new ExternalData(undefined);

function constantsOf(nodes: readonly NodeProto[], initializers: readonly TensorProto[]): Map<string, Tensor> {
  const constants = new Map<string, Tensor>();
  const add = (name: string, proto: TensorProto) => {
    const tensor = readTensor(proto, NOWHERE);
    if (tensor !== undefined) constants.set(name, tensor);
  };
  for (const proto of initializers) add(proto.name ?? '', proto);
  for (const { opType, output = [], attribute = [] } of nodes) {
    const value = attribute.find(({ name }) => name === 'value')?.t;
    if (opType === 'Constant' && value !== undefined) add(output[0] ?? '', value);
  }
  return constants;
}
