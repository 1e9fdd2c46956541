/**
 * Weights that the graph computes from a stored parameter by operators that only scale (`W * k`,
 * `g * v / |v|`). In the framework the mask is the parameter's. It is put where the parameter is
 * read, and what is computed from it follows, factors that depend on it included.
 */
import type { Graph, Node, Value } from '../ir/graph.js';
import { type MaskedWeight, operandOf } from '../masks/apply.js';
import { isNameOf } from '../masks/names.js';
import type { WeightSlot } from '../masks/slots.js';
import { isStored, storedTensor } from '../ops/aliases.js';
import { scaledOperands } from '../ops/scaling.js';
import { codesAt, isBinary } from './codes.js';
import { maskAt } from './mask-at.js';
import { factorsOfStored } from './mask-edits.js';

/**
 * The same masks, those of computed weights at the readers of their parameters wherever no weight
 * of another layer is computed on the way.
 */
export function atParameters(
  { values }: Graph,
  weights: readonly MaskedWeight[],
  slots: readonly WeightSlot[],
): MaskedWeight[] {
  const masked = new Set(weights.flatMap(({ bindings }) => bindings.map(({ slot }) => slot)));
  const others = new Set(slots.filter((slot) => slot.isLayer && !masked.has(slot)).flatMap(scalingNodes));
  return weights.flatMap((weight) => {
    const [binding] = weight.bindings;
    const stored = parameterBehind(binding.slot, weight, values);
    const tensor = stored === undefined ? undefined : storedTensor(stored);
    const factors = stored === undefined ? undefined : factorsOfStored(stored, weight);
    if (stored === undefined || tensor === undefined || factors === undefined || weight.offsets !== undefined)
      return [weight];
    const way = new Set(scalingNodes(binding.slot));
    if ([...way].some((node) => others.has(node))) return [weight];
    const read = { value: stored, root: stored, tensor, isAsStored: true };
    const uses = stored.uses.filter(({ node }) => way.has(node));
    const placed = uses.map((use) => {
      const codes = codesAt(use, tensor.dims.length);
      if (codes === null || (codes !== undefined && !isBinary(factors))) return undefined;
      return maskAt(weight, use, codes === undefined ? read : { ...read, codes }, factors);
    });
    return placed.length === 0 || placed.includes(undefined) ? [weight] : placed.filter((each) => each !== undefined);
  });
}

/**
 * The tensor in the file that the mask is for; undefined where the weight is computed from several,
 * and nothing says which.
 */
export function storedOf(weight: MaskedWeight, { values }: Graph): Value | undefined {
  const [{ slot }] = weight.bindings;
  return isStored(slot.root) ? slot.root : parameterBehind(slot, weight, values);
}

/** On the way from a stored tensor to the weight that is it, scaled. */
export function scalingNodes({ value, tensor }: WeightSlot): Node[] {
  const nodes = new Set<Node>();
  const pending = [value];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { producer } = at;
    if (at.initializer !== undefined || producer === undefined || nodes.has(producer)) continue;
    const operands = scaledOperands(producer, tensor.dims.length).filter((operand) => operand !== undefined);
    if (operands.length > 0) nodes.add(producer);
    pending.push(...operands);
  }
  return [...nodes];
}

/** Of a weight that is computed: what bears the mask's name, else the nearest of its size. */
function parameterBehind(slot: WeightSlot, { bindings }: MaskedWeight, values: Graph['values']): Value | undefined {
  if (isStored(slot.root)) return undefined;
  const size = operandOf(slot).size;
  const candidates = slot.names.flatMap((name) => {
    const value = values.get(name);
    return value !== undefined && isStored(value) && storedTensor(value)?.size === size ? [value] : [];
  });
  const isNamed = ({ name }: Value) => bindings.some(({ claim }) => isNameOf(name, claim.name));
  return candidates.find(isNamed) ?? candidates[0];
}
