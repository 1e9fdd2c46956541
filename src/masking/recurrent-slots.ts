/**
 * Weights and biases of LSTM, GRU and RNN nodes as operands that masks can be bound to, a slot per
 * parameter of the module.
 */
import type { Node, Value } from '../ir/graph.js';
import { isFloating, Tensor } from '../ir/tensor.js';
import type { WeightSlot } from '../masks/slots.js';
import { nodeModulePathsOf } from '../onnx/module-path.js';
import { isStored, rootOf, storedTensor } from '../ops/aliases.js';
import { recurrentParts } from '../ops/recurrent.js';
import { operatorOf } from '../ops/registry.js';
import type { GraphInfo } from '../graph-info/graph-info.js';

/**
 * The layers of a module are nodes that bear its path, in the order of the graph: the first reads
 * weight_ih_l0.
 */
export function recurrentSlots({ graph, constants }: GraphInfo): WeightSlot[] {
  const layers = new Map<string, Tensor[]>();
  return graph.nodes.flatMap((node) => {
    const tensorOf = (index: number) => {
      const tensor = constants.tensor(node.inputs[index]);
      return tensor !== undefined && isFloating(tensor.dataType) ? tensor : undefined;
    };
    const gates = operatorOf(node)?.gates;
    const parts = gates === undefined ? [] : recurrentParts(node, gates, (index) => tensorOf(index)?.dims);
    if (parts.length === 0) return [];
    const paths = nodeModulePathsOf(node);
    const module = moduleOf(node, paths);
    const known = layers.get(module) ?? [];
    layers.set(module, known);
    const layer = layerOf(known, tensorOf(1));
    return parts.flatMap(({ index, parameter, isReverse, dims, places }): WeightSlot[] => {
      const value = node.inputs[index];
      const whole = tensorOf(index);
      if (value === undefined || whole === undefined) return [];
      const name = `${parameter}_l${layer}${isReverse ? '_reverse' : ''}`;
      const full = module === '' ? name : `${module}.${name}`;
      const slot: WeightSlot = {
        isLayer: false,
        node,
        index,
        parameter: name,
        value,
        root: rootOf(value),
        tensor: gathered(whole, dims, places),
        part: { whole, places },
        names: [full],
        isAsStored: false,
        isFolded: false,
        modulePaths: paths,
        nodePaths: paths,
        outAxis: 0,
        inAxis: dims.length > 1 ? 1 : undefined,
      };
      const source = sourceOf(slot, full);
      return source === undefined ? [slot] : sourceSlots(slot, source);
    });
  });
}

/**
 * The stored parameter that the graph computes the part from, where the exporter left it to the
 * graph to put the gates in order: the one of that name, else the only one of these values.
 */
function sourceOf({ value, tensor }: WeightSlot, name: string): Value | undefined {
  if (isStored(value)) return undefined;
  const dims = tensor.dims.join();
  const found = storedBehind(value).filter((stored) => {
    const own = storedTensor(stored);
    return own?.dims.join() === dims && isFloating(own.dataType) && isEqual(own.numbers(), tensor.numbers());
  });
  return found.find((stored) => stored.name === name) ?? (found.length === 1 ? found[0] : undefined);
}

function storedBehind(value: Value): Value[] {
  const seen = new Set([value]);
  for (const at of seen)
    if (!isStored(at)) for (const input of at.producer?.inputs ?? []) if (input !== undefined) seen.add(input);
  return [...seen].filter(isStored);
}

/** The mask goes into the parameter, at all its readers: what the graph computes from it follows. */
function sourceSlots({ part: _part, names, ...slot }: WeightSlot, source: Value): WeightSlot[] {
  const tensor = storedTensor(source) ?? slot.tensor;
  const all = [...new Set([source.name, ...names])];
  const stored = { value: source, root: source, tensor, names: all, isAsStored: true };
  return source.uses.map(({ node, index }) => ({ ...slot, ...stored, node, index }));
}

/** A module that is called several times is several nodes with equal weights. */
function layerOf(known: Tensor[], weights: Tensor | undefined): number {
  const own = weights?.numbers();
  const at = known.findIndex((tensor) => tensor === weights || isEqual(tensor.numbers(), own));
  if (at >= 0) return at;
  if (weights !== undefined) known.push(weights);
  return known.length - 1;
}

function isEqual(one: ArrayLike<number>, other: ArrayLike<number> | undefined): boolean {
  if (one.length !== other?.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

/** Without the number that a second call, or a second layer, has after the module's name. */
function moduleOf(node: Node, paths: readonly string[]): string {
  return paths.at(-1) ?? `:${node.label}`;
}

function gathered(whole: Tensor, dims: readonly number[], places: Int32Array): Tensor {
  let bytes: Uint8Array | undefined;
  return new Tensor(whole.dataType, dims, () => {
    const numbers = whole.numbers();
    bytes ??= Tensor.fromNumbers(
      whole.dataType,
      dims,
      Float64Array.from(places, (place) => numbers[place] ?? 0),
    ).bytes();
    return bytes;
  });
}
