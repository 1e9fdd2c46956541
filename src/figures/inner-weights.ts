/**
 * Weights inside If, Loop and Scan and inside the model's functions, where no rule looks, unless the
 * passes look into subgraphs.
 */
import type { Graph } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { ExternalData } from '../onnx/external-data.js';
import type { ModelProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { readTensor } from '../onnx/tensors.js';
import { operators } from '../ops/registry.js';
import { mayBeWeight, type UnreadWeight } from './weight-like.js';
import { countAtZeroPoint } from './zero-points.js';

type Constants = ReadonlyMap<string, Tensor>;

/** Operators of which channels are known. */
const FOLLOWED: ReadonlySet<string> = new Set(
  operators.flatMap(({ type, domain = '', axes }) => (axes === undefined ? [] : [qualified(type, domain)])),
);

/**
 * Each once, by its first reader; without those that are `known` already. `areSubgraphsRead`: whether
 * the passes ran inside subgraphs.
 */
export function innerWeights(
  { graph: proto, functions = [] }: ModelProto,
  graph: Graph,
  known: readonly (Tensor | undefined)[],
  areSubgraphsRead: boolean,
): UnreadWeight[] {
  const seen = new Set(known.filter((tensor) => tensor !== undefined));
  const outer = new Map([...graph.initializers()].map(({ name, initializer }) => [name, initializer]));
  const nodes = proto?.node ?? [];
  const visible = new Map([...outer, ...constantsOf(nodes, [])]);
  const inside = nodes.flatMap((node) => insideOf(node, visible, seen));
  return [
    ...inside.filter(({ reader }) => !areSubgraphsRead || !FOLLOWED.has(reader)).map(({ weight }) => weight),
    ...functions.flatMap(({ node = [], name = '' }) =>
      read(node, constantsOf(node, []), `the function ${name}`, seen).map(({ weight }) => weight),
    ),
  ];
}

interface InnerWeight {
  /** The operator that reads it, by qualified name. */
  readonly reader: string;
  readonly weight: UnreadWeight;
}

function insideOf(node: NodeProto, visible: Constants, seen: Set<Tensor>): InnerWeight[] {
  return subgraphsOf(node).flatMap(({ node: nodes = [], initializer = [] }) =>
    read(nodes, new Map([...visible, ...constantsOf(nodes, initializer)]), node.opType ?? '', seen),
  );
}

function read(nodes: readonly NodeProto[], constants: Constants, place: string, seen: Set<Tensor>): InnerWeight[] {
  return nodes.flatMap((node) => {
    const { input = [], opType = '', domain = '' } = node;
    const reader = qualified(opType, domain);
    const own = input.flatMap((name): InnerWeight[] => {
      const tensor = constants.get(name);
      if (tensor === undefined || seen.has(tensor)) return [];
      const { dataType, dims, size: elements } = tensor;
      if (!mayBeWeight({ opType, domain }, dataType, dims)) return [];
      seen.add(tensor);
      const zeros = countAtZeroPoint(tensor, undefined, 0);
      return [{ reader, weight: { op: `${reader} inside ${place}`, dataType, elements, zeros } }];
    });
    return [...own, ...insideOf(node, constants, seen)];
  });
}

function qualified(opType: string, domain: string): string {
  return domain === '' || domain === 'ai.onnx' ? opType : `${domain}::${opType}`;
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
