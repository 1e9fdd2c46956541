/**
 * A subgraph of If, Loop or Scan as a model of its own, and back. What it reads from outside is an
 * input there, or a constant. Inputs and outputs keep their shapes, so that nobody outside notices.
 */
import type { Dim, Graph, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { encodeProto } from './encode.js';
import { AttributeType, type GraphProto, type ModelProto, type NodeProto, type TensorProto } from './proto.js';
import { capturedNames, decodeModel, type Model, readModel } from './read.js';
import { writeTensor } from './tensors.js';
import { encodeModel, INITIALIZERS_ALONE, type Shapes, typeOf } from './write.js';

/** What a subgraph reads from outside. */
export interface Captured {
  readonly value: Value;
  /** Set where it is constant. */
  readonly tensor: Tensor | undefined;
  /** TensorProto.DataType; undefined where it is no tensor. */
  readonly dataType: number | undefined;
  /** Undefined where the rank is not known. */
  readonly dims: readonly Dim[] | undefined;
}

/** Constants that it captures are copied: not beyond this. */
const MOST_BYTES = 2 ** 28;

/**
 * Undefined where the type of an input is not known, or the constants are large. `around`: the graph
 * that it is in, of which no name may be given again inside.
 */
export function subgraphModel(
  subgraph: GraphProto,
  captured: readonly Captured[],
  outside: ModelProto,
  around: Graph,
): Model | undefined {
  const constants = captured.flatMap(({ value, tensor }) => (tensor === undefined ? [] : [{ value, tensor }]));
  if (constants.reduce((total, { tensor }) => total + tensor.sizeBytes, 0) > MOST_BYTES) return undefined;
  const inputs = captured.filter(({ tensor }) => tensor === undefined);
  const types = [...inputs.map(({ dataType }) => dataType), ...(subgraph.input ?? []).map(typeStated)];
  if (types.includes(undefined)) return undefined;
  const graph: GraphProto = {
    ...subgraph,
    input: [
      ...(subgraph.input ?? []),
      ...inputs.map(({ value: { name }, dataType, dims }) =>
        dims === undefined ? { name, type: { tensorType: { elemType: dataType ?? 0 } } } : typeOf(name, dataType, dims),
      ),
    ],
    initializer: [
      ...(subgraph.initializer ?? []),
      ...constants.map(({ value: { name }, tensor }) => writeTensor(name, tensor)),
    ],
  };
  const model = readModel(encodeProto({ ...outside, metadataProps: [], graph }));
  for (const name of [...around.values.keys(), ...around.reservedNames])
    if (!model.graph.values.has(name)) model.graph.reservedNames.add(name);
  return model;
}

function typeStated({ type }: NonNullable<GraphProto['input']>[number]): number | undefined {
  return type?.tensorType?.elemType;
}

/** The subgraph again, as it is now; constants that were captured and did not change are so again. */
export function subgraphOf(
  model: Model,
  subgraph: GraphProto,
  captured: readonly Captured[],
  shapes: Shapes,
): GraphProto {
  const own = new Set((subgraph.input ?? []).map(({ name }) => name));
  const kept = new Set<string>();
  for (const { value } of captured) {
    const now = model.graph.values.get(value.name);
    if (now?.initializer === undefined || now.initializer === now.initializerSource?.tensor) kept.add(value.name);
    else rename(model.graph, now);
  }
  const { graph = {} } = decodeModel(encodeModel(model, { shapes }), 'the subgraph');
  const initializer = (graph.initializer ?? []).filter(({ name = '' }) => !kept.has(name));
  const isOlder = Number(model.proto.irVersion ?? 0) < INITIALIZERS_ALONE;
  const isMisplaced = ({ name = '' }: TensorProto) => isOlder && !own.has(name);
  return {
    ...graph,
    node: [...initializer.filter(isMisplaced).map(constantOf), ...(graph.node ?? [])],
    input: (graph.input ?? []).filter(({ name }) => own.has(name)),
    initializer: initializer.filter((tensor) => !isMisplaced(tensor)),
    valueInfo: (graph.valueInfo ?? []).filter(({ name = '' }) => !kept.has(name)),
  };
}

function constantOf(tensor: TensorProto): NodeProto {
  const { name = '' } = tensor;
  return { opType: 'Constant', output: [name], attribute: [{ name: 'value', type: AttributeType.TENSOR, t: tensor }] };
}

/** Inside the name would hide that of the value outside. */
function rename(graph: Graph, value: Value): void {
  const name = graph.freshName(value.name);
  graph.deleteValue(value);
  value.name = name;
  graph.addValue(value);
}

/** Names that are defined inside, nested subgraphs included. */
export function definedNames(subgraph: GraphProto): ReadonlySet<string> {
  const names = new Set<string>();
  capturedNames(subgraph, names);
  return names;
}
