/**
 * The parameters of a model before it is edited: whose they are, and what the training framework
 * calls them.
 */
import type { GraphInfo } from '../graph-info/graph-info.js';
import type { Node, Value } from '../ir/graph.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { listedParameters } from '../onnx/listed-parameters.js';
import { isFolded, modulePathsOf, moduleOfParameter, nodeModulePathsOf } from '../onnx/module-path.js';
import type { ModelProto } from '../onnx/proto.js';
import { groupsOf, isRecurrent, parameterAxes, parameterRole } from '../ops/parameters.js';
import { type Axes, type Origin, originOf, parameterName, type ParameterList } from './parameter-names.js';
import { heldParameters, type HeldParameter } from './held-parameters.js';

/** A constant operand of the model as it was read. */
export interface TracedWeight {
  readonly node: Node;
  readonly input: number;
  /** The value that the node reads: an initializer, or what a mask is multiplied into. */
  readonly initializer: string;
  /** undefined where neither the initializer nor the node tells. */
  readonly parameter: string | undefined;
  /** Which axes of the operand are the parameter's. */
  readonly axes: Axes;
  /** In the operand's layout. */
  readonly dims: readonly number[];
  /** Of a grouped layer's weights; else 1. */
  readonly groups: number;
}

export interface Trace extends ParameterList {
  readonly weights: readonly TracedWeight[];
  /** Parameters that reach their readers in another form than a state dict has them. */
  readonly held: readonly HeldParameter[];
  /** Nodes with weights of which the file does not say whose they are. */
  readonly nameless: readonly Node[];
  /** Per node of the model: which inputs are data, not constants. */
  readonly isData: ReadonlyMap<Node, readonly boolean[]>;
}

interface Found {
  readonly node: Node;
  readonly input: number;
  readonly value: Value;
  readonly tensor: Tensor;
  readonly origin: Origin;
}

export function traceWeights(graphInfo: GraphInfo, proto: ModelProto): Trace {
  const { graph, constants } = graphInfo;
  const list: ParameterList = { listed: listedNames(proto), isTorchScript: isFromTorchScript(proto) };
  const isData = new Map<Node, readonly boolean[]>();
  const found: Found[] = [];
  const nameless = new Set<Node>();
  for (const node of graph.nodes) {
    isData.set(
      node,
      node.inputs.map((value) => value !== undefined && !constants.has(value)),
    );
    if (node.outputs.every((value) => constants.has(value))) continue;
    for (const [input, value] of node.inputs.entries()) {
      const tensor = constants.tensor(value);
      if (value === undefined || tensor === undefined || !isFloating(tensor.dataType)) continue;
      const origin = originOf(value, graphInfo, list);
      if (isTraced(node, input, tensor, origin, list)) found.push({ node, input, value, tensor, origin });
      else if (isRecurrent(node) && origin.kind === 'unnamed') nameless.add(node);
    }
  }
  const weights = named(found, list);
  const known = new Set(weights.flatMap(({ parameter }) => parameter ?? []));
  return { ...list, weights, isData, held: heldParameters(graphInfo, list, known), nameless: [...nameless] };
}

/** That exporter names nodes by modules and writes no metadata. */
function isFromTorchScript({ producerName, graph }: ModelProto): boolean {
  return (
    producerName === 'pytorch' && graph?.node?.every(({ metadataProps = [] }) => metadataProps.length === 0) === true
  );
}

/** Under the names before pruning; masks are no parameters of the module that goes on training. */
function listedNames(proto: ModelProto): ReadonlySet<string> | undefined {
  const listed = listedParameters(proto);
  const isMask = (name: string) => name.endsWith('_mask') && listed?.has(name.replace(/_mask$/, '_orig')) === true;
  return listed && new Set([...listed].filter((name) => !isMask(name)).map(parameterName));
}

function isTraced(
  node: Node,
  input: number,
  { dims }: Tensor,
  origin: Origin,
  { listed, isTorchScript }: ParameterList,
): boolean {
  if (origin.kind === 'made up') return false;
  const role = parameterRole(node, input);
  if (origin.kind !== 'stated') return role !== undefined && origin.kind === 'unnamed' && !isStandIn(node, input);
  const isParameter = listed?.has(origin.name) ?? (isTorchScript || origin.name.includes('.') || dims.length > 1);
  return isParameter || role !== undefined;
}

/**
 * The scale 1 and shift 0 of a normalisation that has none: its statistics have names, and these
 * would have as well.
 */
function isStandIn(node: Node, input: number): boolean {
  const statistics = node.inputs.find((_, index) => parameterRole(node, index)?.name === 'running_mean');
  const isStatistic = parameterRole(node, input)?.name.startsWith('running') === true;
  return statistics !== undefined && !isStatistic && moduleOfParameter(statistics.name) !== undefined;
}

function named(found: readonly Found[], list: ParameterList): TracedWeight[] {
  const stated = found.map((entry) => statedName(entry, found, list));
  const taken = new Set(stated.flatMap((name) => name ?? []));
  const inferred = found.map(({ node, input }, at) =>
    stated[at] === undefined ? namedByModule(node, input, taken, list.listed) : undefined,
  );
  return found.flatMap(({ node, input, value, tensor: { dims }, origin }, at): TracedWeight[] => {
    const groups = parameterRole(node, input)?.name === 'weight' ? (groupsOf(node) ?? 1) : 1;
    const weight = { node, input, initializer: value.name, dims, groups };
    const own = stated[at];
    if (own !== undefined && origin.kind === 'stated') return [{ ...weight, parameter: own, axes: origin.axes }];
    const name = inferred[at];
    // Where the exporter lists the parameters, what it does not list is none.
    if (name === undefined && list.listed !== undefined && parameterRole(node, input)?.name !== 'weight') return [];
    // A module that multiplies with several weights of its own says of none which it is.
    const isAmbiguous = inferred.some((other, index) => other === name && found[index]?.value !== value);
    return [{ ...weight, parameter: isAmbiguous ? undefined : name, axes: parameterAxes(node, input, dims) }];
  });
}

/**
 * Exporters and optimisers store equal tensors once. Another module that reads one has a parameter
 * of its own, as long as somebody reads it as the module that it is named after.
 */
function statedName({ node, input, value, origin }: Found, found: readonly Found[], list: ParameterList) {
  if (origin.kind !== 'stated') return undefined;
  const { name } = origin;
  const module = moduleOfParameter(name);
  const isStranger = (reader: Node) => module !== undefined && relationTo(module, reader) === 'stranger';
  if (!isStranger(node)) return name;
  const isOwned = found.some(
    (other) => other.value === value && other.origin.kind === 'stated' && !isStranger(other.node),
  );
  const own = isOwned ? namedByReader(node, input, list.listed) : undefined;
  // A name that another tensor has is not given twice.
  const isTaken = found.some(({ origin: other }) => other.kind === 'stated' && other.name === own);
  return own === undefined || isTaken ? name : own;
}

function relationTo(module: string, reader: Node): 'own' | 'around' | 'stranger' {
  const paths = nodeModulePathsOf(reader);
  if (paths.length === 0 || paths.includes(module)) return 'own';
  return paths.some((path) => path === '' || module.startsWith(`${path}.`)) ? 'around' : 'stranger';
}

function namedByReader(node: Node, input: number, listed: ReadonlySet<string> | undefined): string | undefined {
  const role = parameterRole(node, input);
  if (role === undefined) return undefined;
  const names = nodeModulePathsOf(node).map((path) => `${path}.${role.name}`);
  return listed === undefined ? names[0] : names.find((name) => listed.has(name));
}

/**
 * `layer1.0.conv1` and the bias of a layer: `layer1.0.conv1.bias`. A name that another tensor has
 * is not given twice.
 */
export function namedByModule(
  node: Node,
  input: number,
  taken: ReadonlySet<string>,
  listed?: ReadonlySet<string>,
): string | undefined {
  const role = parameterRole(node, input);
  if (role === undefined) return undefined;
  const names = modulePathsOf(node).map((path) => (path === '' ? role.name : `${path}.${role.name}`));
  // Folding a normalisation gives a convolution a bias that its module has not.
  const name = listed === undefined || isFolded(node) ? names[0] : names.find((candidate) => listed.has(candidate));
  return name === undefined || taken.has(name) ? undefined : name;
}
