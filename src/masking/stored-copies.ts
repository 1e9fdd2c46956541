/**
 * Exporters compute in advance what depends on parameters alone: the graph then stores a parameter
 * and its transpose, or a row of it, and nothing but the numbers tells that they are one. In the
 * framework all of them see the mask. A copy in one certain order gets it; other constants that
 * hold an element which the mask takes are an error.
 */
import type { Graph, Use, Value } from '../ir/graph.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { type Factors, isSameFactors, type MaskedWeight, operandOf } from '../masks/apply.js';
import type { FileTensor } from '../masks/contents.js';
import { modulesOf } from '../masks/binding.js';
import { parameterOf, parseKey, statedModule, statisticOf } from '../masks/names.js';
import { isPlain } from '../masks/scales.js';
import { fromTorchLayout, type WeightSlot } from '../masks/slots.js';
import { nodeModulePathsOf } from '../onnx/module-path.js';
import { storedTensor } from '../ops/aliases.js';
import { lostInCopy } from './copy-errors.js';
import { maskAt } from './mask-at.js';
import { factorsOfStored, turned } from './mask-edits.js';
import { storedOf } from './scaled-parameters.js';
import {
  bitsOfFactors,
  bitsOfOrder,
  bitsOfValue,
  everyRounded,
  LEAST_BITS,
  type Order,
  ordersOf,
  rounded,
} from './shared-elements.js';
import type { MaskedParameter, OpenConstant } from './masked-parameter.js';
import { sharedParts } from './shared-parts.js';

export interface CopyContext {
  readonly graph: Graph;
  readonly slots: readonly WeightSlot[];
  /** Of each file, by module and name. */
  readonly files: readonly ReadonlyMap<string, FileTensor>[];
}

/** The masks of stored copies of what `masked` are for. Throws E-MASK-LOST. */
export function storedCopies(masked: readonly MaskedWeight[], context: CopyContext): MaskedWeight[] {
  const { graph } = context;
  const parameters = parametersOf(masked, context);
  const known = new Set<Value>();
  for (const weight of masked) {
    const [{ slot }] = weight.bindings;
    for (const value of [slot.value, slot.root, storedOf(weight, graph)]) if (value !== undefined) known.add(value);
  }
  const constants = [...graph.values.values()].flatMap((value): OpenConstant[] => {
    const tensor = known.has(value) ? undefined : storedTensor(value);
    const isRead = value.uses.length > 0 || value.isSeenOutside;
    return tensor !== undefined && isRead && isFloating(tensor.dataType) && tensor.size > 1 ? [{ value, tensor }] : [];
  });
  const least = LEAST_BITS + Math.log2(Math.max(1, constants.length));
  const copies: MaskedWeight[] = [];
  const settled = new Map<MaskedParameter, Set<Value>>();
  for (const parameter of parameters) {
    const own = new Set<Value>();
    settled.set(parameter, own);
    for (const constant of constants) {
      if (constant.tensor.size !== parameter.tensor.size) continue;
      const orders = ordersIn(parameter, constant, least);
      if (orders.length === 0) continue;
      own.add(constant.value);
      copies.push(...copiesAt(parameter, constant, orders, context));
    }
  }
  for (const { parameter, constant } of sharedParts(parameters, constants, least)) {
    if (settled.get(parameter)?.has(constant.value) === true) continue;
    const readers = readersOf(parameter, constant, undefined, context);
    if (readers.length > 0 || constant.value.isSeenOutside) throw lostInCopy(parameter, constant, readers, 'part');
  }
  return copies;
}

function parametersOf(masked: readonly MaskedWeight[], { graph, files }: CopyContext): MaskedParameter[] {
  const found = new Map<Value, { tensor: Tensor; weights: MaskedWeight[]; all: Factors[] }>();
  for (const weight of masked) {
    const [{ slot }] = weight.bindings;
    // What a folded normalisation leaves is stored nowhere else.
    if (weight.offsets !== undefined || weight.factors.every((factor) => factor === 1)) continue;
    const stored = storedOf(weight, graph);
    const factors = stored === undefined ? undefined : factorsOfStored(stored, weight);
    const tensor = stored === undefined ? undefined : storedTensor(stored);
    const isStored = stored !== undefined && factors !== undefined && tensor !== undefined;
    const value = isStored ? stored : slot.value;
    const entry = found.get(value) ?? { tensor: isStored ? tensor : operandOf(slot), weights: [], all: [] };
    found.set(value, entry);
    entry.weights.push(weight);
    entry.all.push(isStored ? factors : weight.factors);
  }
  return [...found].flatMap(([value, { tensor, weights, all }]): MaskedParameter[] => {
    const [weight] = weights;
    const [factors] = all;
    if (weight === undefined || factors === undefined || factors.length !== tensor.size) return [];
    const isOne = all.every((other) => isSameFactors(other, factors));
    const numbers = tensor.numbers();
    const isLost = (at: number) => numbers[at] !== 0 && all.some((each) => each[at] !== 1);
    const own = weights.flatMap(({ bindings }) =>
      bindings.flatMap((binding) =>
        modulesOf(binding).map((module) => parameterOf({ module, parameter: binding.claim.name.parameter })),
      ),
    );
    const names = new Set([...own, ...tiedNames({ tensor, isLost }, files)]);
    const modules = new Set([...names].map((name) => name.slice(0, name.lastIndexOf('.'))));
    return [{ value, tensor, factors: isOne ? factors : undefined, isLost, weight, modules, names }];
  });
}

/** Parameters of the files that are this one, with the zeros of its mask. */
function tiedNames(
  { tensor, isLost }: Pick<MaskedParameter, 'tensor' | 'isLost'>,
  files: CopyContext['files'],
): string[] {
  const own = tensor.numbers();
  return files.flatMap((parameters) =>
    [...parameters].flatMap(([name, stated]) => {
      if (stated.size !== tensor.size || !stated.isCompact) return [];
      const isTied = everyRounded(stated.toTensor(), tensor.dataType, (theirs, at) =>
        isLost(at) ? theirs === 0 : theirs === own[at],
      );
      return isTied ? [name] : [];
    }),
  );
}

/** Whether a file has the constant by its name, or under its reader's module, without the zeros. */
function isStatedDense(
  { value, tensor }: OpenConstant,
  paths: readonly string[],
  files: CopyContext['files'],
): boolean {
  const modules = paths.map(statedModule);
  const named = parseKey(value.name);
  const wanted = named === undefined ? undefined : parameterOf(named);
  const own = tensor.numbers();
  return files.some((parameters) =>
    [...parameters].some(([name, stated]) => {
      const module = name.slice(0, name.lastIndexOf('.'));
      if ((name !== wanted && !modules.includes(module)) || stated.size !== tensor.size || !stated.isCompact)
        return false;
      const theirs = rounded(stated.toTensor(), tensor.dataType);
      return ordersOf(theirs, stated.dims, own).some(({ factor }) => factor === 1);
    }),
  );
}

/** Orders that are no accident. */
function ordersIn({ tensor }: MaskedParameter, constant: OpenConstant, least: number): Order[] {
  const own = rounded(tensor, constant.tensor.dataType);
  const orders = ordersOf(own, tensor.dims, constant.tensor.numbers());
  const [first] = orders;
  if (first === undefined) return [];
  const isExact = first.factor === 1;
  // Single elements of an order count for no more than their values do.
  const bits = isExact ? bitsOfOrder(own) : bitsOfFactors(own, tensor.dims, first);
  return bits >= least && bitsOfValue(own, constant.tensor.dataType) > 0 ? orders : [];
}

function copiesAt(
  parameter: MaskedParameter,
  constant: OpenConstant,
  orders: readonly Order[],
  context: CopyContext,
): MaskedWeight[] {
  const { value, tensor } = constant;
  const [order] = orders;
  const readers = readersOf(parameter, constant, order, context);
  if (readers.length === 0 && !value.isSeenOutside) return [];
  const { factors } = parameter;
  const isCertain = (one: Order) => one.factor !== undefined && isPlain(one.factor);
  const masks =
    factors === undefined || !orders.every(isCertain)
      ? []
      : orders.map(({ axes }) => turned(factors, parameter.tensor.dims, axes));
  const [mask] = masks;
  if (value.isSeenOutside) throw lostInCopy(parameter, constant, readers, 'outside');
  const isStranger = ({ node }: Use) => {
    const paths = nodeModulePathsOf(node);
    return paths.length > 0 && !isOfModule(paths, parameter);
  };
  // Whether those are tied to it or have a parameter of their own, the files say (tied-readers.ts).
  if (order?.factor !== 1 && readers.some(isStranger)) throw lostInCopy(parameter, constant, readers, 'stranger');
  const own = readers.filter((use) => !isStranger(use));
  if (own.length === 0) return [];
  if (mask === undefined || masks.some((other) => !isSameFactors(other, mask)))
    throw lostInCopy(parameter, constant, readers, order?.factor === undefined ? 'scaled' : 'order');
  const read = { value, root: value, tensor, names: [value.name], isAsStored: true };
  return own.map((use) => maskAt(parameter.weight, use, read, mask));
}

/**
 * Who reads the constant as that parameter. What bears another parameter's name, and what a layer
 * of another module reads as its own weight, as copies of an untrained layer do, is not it.
 */
function readersOf(
  parameter: MaskedParameter,
  constant: OpenConstant,
  order: Order | undefined,
  context: CopyContext,
): readonly Use[] {
  const { value } = constant;
  const named = parseKey(value.name) ?? statisticOf(value.name);
  if (named?.isParameter === true && !parameter.names.has(parameterOf(named))) return [];
  return value.uses.filter((use) => {
    const paths = nodeModulePathsOf(use.node);
    if (paths.length > 0 && isOfModule(paths, parameter)) return true;
    if (isStatedDense(constant, paths, context.files)) return false;
    if (paths.length === 0) return true;
    return order === undefined || !isOwnWeight(use, parameter, order, context.slots);
  });
}

function isOfModule(paths: readonly string[], { modules }: MaskedParameter): boolean {
  const stated = paths.map(statedModule);
  return [...modules].some((module) =>
    stated.some((path) => path === '' || module === '' || isInside(path, module) || isInside(module, path)),
  );
}

function isInside(path: string, module: string): boolean {
  return path === module || path.startsWith(`${module}.`);
}

/** Whether the reader has the weight with the same filters as the layer with the mask. */
function isOwnWeight(
  use: Use,
  { weight, tensor }: MaskedParameter,
  { axes }: Order,
  slots: readonly WeightSlot[],
): boolean {
  const slot = slots.find(({ node, index }) => node === use.node && index === use.index);
  const isTurnedOrder = axes.some((axis, at) => axis !== at && tensor.dims[axis] !== 1);
  if (slot === undefined || !slot.isLayer) return !isTurnedOrder;
  const [{ slot: masked }] = weight.bindings;
  const isTurned = (of: WeightSlot) => fromTorchLayout(of)[0] === 1;
  return (isTurned(slot) !== isTurned(masked)) === isTurnedOrder;
}
