/**
 * The operands of a graph that masks can be bound to: weights and biases of layers, and all other
 * initializers by name.
 */
import { hasInitializer, type Node, type Use, type Value } from '../ir/graph.js';
import { FLOAT, isFloating, isNumeric, product, Tensor } from '../ir/tensor.js';
import { parseKey, statisticOf } from '../masks/names.js';
import { weightsOf } from '../ops/centred-weights.js';
import type { Codes, WeightSlot } from '../masks/slots.js';
import type { LayerOperands } from '../ops/operator.js';
import { isFolded, nodeModulePathsOf, statedModulePathsOf } from '../onnx/module-path.js';
import { addedTo, aliasedBy, isCopy, isStored, readersOf, rootOf, storedAs } from '../ops/aliases.js';
import { roleOfConstant } from '../ops/constant-roles.js';
import { scaledOperands, turnsAxes } from '../ops/scaling.js';
import { operatorOf } from '../ops/registry.js';
import { recurrentSlots } from './recurrent-slots.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';

export function weightSlots(graphInfo: GraphInfo): WeightSlot[] {
  const { graph, constants } = graphInfo;
  const slots: WeightSlot[] = [];
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => constants.has(value))) continue;
    slots.push(...slotsOf(node, graphInfo));
  }
  slots.push(...recurrentSlots(graphInfo));
  const known = new Set(slots.map(({ value }) => value));
  const layers = new Set(slots.map(placeOf));
  // What a layer reads in another layout or type is that layer's weight.
  const isOfLayers = ({ node, index }: Use) => {
    const [alias] = node.outputs;
    if (index !== 0 || aliasedBy(node) === undefined || alias === undefined) return false;
    const readers = readersOf(alias);
    return readers !== undefined && readers.length > 0 && readers.every((use) => layers.has(placeOf(use)));
  };
  for (const value of graph.initializers()) {
    if (known.has(value)) continue;
    const uses = value.uses.filter((use) => !isOfLayers(use) && !isNamedAlias(use.node));
    slots.push(...storedSlots(value, value.initializer, uses));
  }
  // Equal tensors that are stored once: each is a parameter of its own under its own name.
  for (const node of graph.nodes.filter(isNamedAlias)) {
    const [alias] = node.outputs;
    const tensor = alias === undefined ? undefined : storedAs(alias).initializer;
    if (alias === undefined || tensor === undefined) continue;
    const uses = alias.uses.filter((use) => !isOfLayers(use) && !layers.has(placeOf(use)));
    slots.push(...storedSlots(alias, tensor, uses));
  }
  return slots;
}

function isNamedAlias(node: Node): boolean {
  const [output] = node.outputs;
  if (!isCopy(node) || output === undefined) return false;
  return (parseKey(output.name) ?? statisticOf(output.name))?.isParameter === true;
}

/** Constants of the graph, whatever reads them: a file's buffers are compared with them. */
export function numericConstants({ graph, constants }: GraphInfo): Tensor[] {
  const tensors = [...graph.values.values()].map((value) => constants.tensor(value));
  return tensors.filter((tensor) => tensor !== undefined && isNumeric(tensor.dataType)) as Tensor[];
}

/** Stored tensors that subgraphs alone read: no slot is for them. */
export function capturedOnly({ graph }: GraphInfo): Map<string, string> {
  const names = new Map<string, string>();
  for (const { name, uses, capturedBy } of graph.initializers()) {
    if (uses.length > 0 || capturedBy.length === 0) continue;
    names.set(name, capturedBy.map(({ label, opType }) => `${label} (${opType})`).join(', '));
  }
  return names;
}

function placeOf({ node, index }: Use): string {
  return JSON.stringify([node.label, node.outputs[0]?.name, index]);
}

/**
 * Parameters of operators without weights of their own: normalisations, a bias that a node after
 * the layer adds.
 */
function storedSlots(value: Value, tensor: Tensor, uses: readonly Use[]): WeightSlot[] {
  const name = parseKey(value.name) ?? statisticOf(value.name);
  if (name?.part !== 'bare' || !isFloating(tensor.dataType)) return [];
  // Which axis counts filters is for a rule to say: without one, only masks of the tensor's own
  // shape fit.
  const outAxis = tensor.dims.length > 1 ? -1 : 0;
  const { parameter } = name;
  return uses.map((use) => ownSlot(use, value, { parameter, tensor, outAxis }));
}

/** A stored tensor where an operator without weights of its own reads it. */
function ownSlot(
  { node, index }: Use,
  value: Value,
  rest: Pick<WeightSlot, 'parameter' | 'tensor' | 'outAxis'>,
): WeightSlot {
  const paths = nodeModulePathsOf(node);
  const role = roleOfConstant(node);
  return {
    isLayer: false,
    node,
    index,
    ...(role && { role }),
    value,
    root: rootOf(value),
    names: [value.name],
    isAsStored: true,
    isFolded: false,
    modulePaths: paths,
    nodePaths: paths,
    inAxis: undefined,
    ...rest,
  };
}

function slotsOf(node: Node, graphInfo: GraphInfo): WeightSlot[] {
  const layer = operatorOf(node)?.weights?.(siteOf(node, graphInfo));
  if (layer === undefined) return [];
  const { weights, bias, codes } = layer;
  const modulePaths = statedModulePathsOf(node);
  const slot = (index: number, rest: Pick<WeightSlot, 'parameter' | 'outAxis' | 'inAxis' | 'added'>): WeightSlot[] => {
    const operand = node.inputs[index];
    const tensor = graphInfo.constants.tensor(operand);
    if (operand === undefined || tensor === undefined) return [];
    if (codes === undefined && !isFloating(tensor.dataType)) return [];
    // Modules that share a weight may read it under names of their own.
    const value = storedAs(operand);
    return [
      {
        isLayer: true,
        node,
        index,
        value,
        root: rootOf(value),
        tensor: codes === undefined || index !== weights.index ? tensor : scaledCodes(node, layer, graphInfo),
        ...(codes !== undefined && (index === weights.index || codes.isScaled !== true) && { codes: codesOf(index) }),
        ...storedNames(value, tensor.dims.length),
        isFolded: isFolded(node),
        modulePaths,
        nodePaths: nodeModulePathsOf(node),
        ...rest,
      },
    ];
  };
  const codesOf = (index: number): Codes => {
    const stored = graphInfo.constants.tensor(node.inputs[index]);
    const points = index === weights.index ? codes?.weightZeros : undefined;
    if (stored === undefined) throw new Error(`input ${index} of ${node.label} is not constant`);
    const zeroPoints = points === undefined ? undefined : graphInfo.constants.tensor(node.inputs[points]);
    return { stored, zeroPoints, axis: index === weights.index ? weights.outAxis : 0 };
  };
  const added = bias === undefined ? addedSlot(node) : undefined;
  return [
    ...slot(weights.index, {
      ...(added && { added }),
      parameter: 'weight',
      outAxis: weights.outAxis,
      inAxis: weights.inAxis,
    }),
    ...(bias === undefined ? [] : slot(bias, { parameter: 'bias', outAxis: 0, inAxis: undefined })),
  ];
}

/** What the codes of a layer stand for, up to a scale for all; without their scales where none is given. */
function scaledCodes(node: Node, layer: LayerOperands, graphInfo: GraphInfo): Tensor {
  const site = siteOf(node, graphInfo);
  const centred = weightsOf(site, layer);
  if (centred === undefined) throw new Error(`the weights of ${node.label} are not constant`);
  const { outAxis } = layer.weights;
  const scales =
    layer.codes?.weightScales === undefined ? undefined : site.constant(layer.codes.weightScales)?.numbers();
  if (scales === undefined) return centred;
  const inner = product(centred.dims.slice(outAxis + 1));
  const extent = centred.dims[outAxis] ?? 1;
  const values = Float64Array.from(centred.numbers(), (code, at) => {
    return code * (scales[scales.length === 1 ? 0 : Math.floor(at / inner) % extent] ?? 1);
  });
  return Tensor.fromNumbers(FLOAT, centred.dims, values);
}

/** A bias that the node after a product adds, whatever else reads the stored tensor. */
function addedSlot(node: Node): WeightSlot | undefined {
  const use = node.outputs[0] === undefined ? undefined : addedTo(node.outputs[0]);
  const value = use?.node.inputs[use.index];
  const tensor = value === undefined ? undefined : storedAs(value).initializer;
  if (use === undefined || value === undefined || tensor === undefined || !isFloating(tensor.dataType))
    return undefined;
  return ownSlot(use, value, { parameter: 'bias', tensor, outAxis: 0 });
}

/**
 * Through operators that only scale; what is added or gathered from several tensors has none of
 * their names.
 */
function storedNames(value: Value, rank: number): Pick<WeightSlot, 'names' | 'isAsStored' | 'turnedFrom'> {
  // Whether each has the axes of `value`.
  const seen = new Map([[value, true]]);
  for (const [at, isAsStored] of seen) {
    if (hasInitializer(at) || at.producer === undefined) continue;
    const isTurned = turnsAxes(at.producer);
    for (const input of scaledOperands(at.producer, rank))
      if (input !== undefined && !seen.has(input)) seen.set(input, isAsStored !== isTurned);
  }
  const stored = [...seen].filter(([at]) => isStored(at));
  const [first] = stored;
  // What is computed in another way is called as the graph calls it.
  if (first === undefined) return { names: [value.name], isAsStored: false };
  const names = stored.flatMap(([{ name }]) => namesOf(name));
  const turnedFrom = stored.map(([{ name }]) => TURNED_CODES.exec(name)?.[1]).find((name) => name !== undefined);
  return { names, isAsStored: first[1], ...(turnedFrom !== undefined && { turnedFrom }) };
}

/** Codes bear the name of what they were made from, with a suffix of ONNX Runtime's quantiser. */
function namesOf(stored: string): string[] {
  const plain = stored.replace(CODES, '');
  return plain === stored ? [stored] : [stored, plain];
}

/** A Gemm's weights are turned first. */
const CODES = /(_Transposed)?_quantized$/;
const TURNED_CODES = /^(.*)_Transposed_quantized$/;
