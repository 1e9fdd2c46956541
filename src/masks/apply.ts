/** Masks into a graph: pruned weights become zeros. What a fully masked filter adds besides goes with `drop`. */
import type { Editor } from '../ir/editor.js';
import type { Graph, Node, Use, Value } from '../ir/graph.js';
import { DOUBLE, elementBytes, Tensor } from '../ir/tensor.js';
import { aliasedBy, axesInRoot, readersOf, rootOf } from '../ops/aliases.js';
import type { Binding } from './bind.js';
import type { WeightSlot } from './slots.js';
import { FileTensor } from './contents.js';

/** A weight with all its masks, of all files: one factor per element. */
export interface MaskedWeight {
  readonly bindings: readonly [Binding, ...Binding[]];
  readonly factors: Uint8Array | Float32Array | Float64Array;
  /** Added to what the factors leave (folded-norms.ts). */
  readonly offsets: Float64Array | undefined;
}

/** Masks of several files multiply. */
export function combineMasks(bindings: readonly Binding[]): MaskedWeight[] {
  const byPlace = new Map<string, [Binding, ...Binding[]]>();
  for (const binding of bindings) {
    const { node, index } = binding.slot;
    const place = JSON.stringify([node.label, node.outputs[0]?.name, index]);
    const list = byPlace.get(place);
    if (list === undefined) byPlace.set(place, [binding]);
    else list.push(binding);
  }
  return [...byPlace.values()].map((list) => ({
    bindings: list,
    factors: multiplyAll(list.map(wholeFactors)),
    offsets: list.map(({ mask }) => mask.offsets).find((offsets) => offsets !== undefined),
  }));
}

/** Over the whole operand, where the mask is for a part of it. */
function wholeFactors({ slot, mask: { factors } }: Binding): Factors {
  if (slot.part === undefined) return factors;
  const { whole, places } = slot.part;
  const all = new (factors.constructor as Uint8ArrayConstructor)(whole.size).fill(1);
  for (const [at, place] of places.entries()) all[place] = factors[at] ?? 1;
  return all;
}

/** The operand that a slot is, or is a part of. */
export function operandOf({ part, tensor }: WeightSlot): Tensor {
  return part?.whole ?? tensor;
}

type Factors = MaskedWeight['factors'];

function multiplyAll(all: readonly Factors[]): Factors {
  const [first = new Uint8Array(0), ...others] = all;
  if (others.length === 0) return first;
  const isSoft = all.some((factors) => !(factors instanceof Uint8Array));
  const product = isSoft ? Float64Array.from(first) : Uint8Array.from(first);
  for (const factors of others)
    for (let at = 0; at < product.length; at++) product[at] = (product[at] ?? 0) * (factors[at] ?? 0);
  return product;
}

/** New contents of one constant operand. Plain data: the same edit fits every reading of the same model. */
export interface OperandEdit {
  /** Place of the node in the graph's list. */
  readonly node: number;
  readonly input: number;
  readonly tensor: Tensor;
  /** Whether the stored tensor changes for all its readers, or this reader gets its own. */
  readonly isForAll: boolean;
}

/**
 * A stored weight changes where it is stored when all its readers have the mask, those of its transpose or of another type of it too; else
 * those of them that have the same mask share a copy.
 */
export function maskEdits({ nodes }: Graph, weights: readonly MaskedWeight[]): OperandEdit[] {
  const byRoot = new Map<Value, MaskedWeight[]>();
  for (const weight of withoutRepeats(weights)) {
    const root = rootOf(weight.bindings[0].slot.value);
    byRoot.set(root, [...(byRoot.get(root) ?? []), weight]);
  }
  const places = new Map(nodes.map((node, place) => [node, place]));
  return [...byRoot].flatMap(([root, list]) => {
    const whole = maskOfAll(root, list);
    const edits: OperandEdit[] = [];
    const copies: { readonly of: Tensor; readonly weight: MaskedWeight; readonly tensor: Tensor }[] = [];
    for (const weight of whole === undefined ? list : list.slice(0, 1)) {
      const { slot } = weight.bindings[0];
      const { node, index } = slot;
      const operand = operandOf(slot);
      const known = copies.find((copy) => copy.of === operand && isSameMask(copy.weight, weight))?.tensor;
      const masked = whole ?? known ?? maskTensor(operand, weight.factors, weight.offsets);
      copies.push({ of: operand, weight, tensor: masked });
      edits.push({ node: places.get(node) ?? -1, input: index, tensor: masked, isForAll: whole !== undefined });
    }
    return edits;
  });
}

/** Without readers of what is read as an alias of something that has the mask already. */
export function withoutRepeats(weights: readonly MaskedWeight[]): MaskedWeight[] {
  const masked = new Map<Node, Set<number>>();
  for (const { bindings } of weights) {
    const { node, index } = bindings[0].slot;
    masked.set(node, (masked.get(node) ?? new Set()).add(index));
  }
  return weights.filter(({ bindings }) => {
    const { node, index } = bindings[0].slot;
    for (let at = node.inputs[index]?.producer; at !== undefined && aliasedBy(at) !== undefined;) {
      if (masked.get(at)?.has(0) === true) return false;
      at = at.inputs[0]?.producer;
    }
    return true;
  });
}

/** The stored tensor with its masks, where all that read it or an alias of it have the same one. */
function maskOfAll(root: Value, list: readonly MaskedWeight[]): Tensor | undefined {
  const { initializer } = root;
  if (initializer === undefined) return undefined;
  const isListed = ({ node, index }: Use) =>
    list.some(({ bindings: [{ slot }] }) => slot.node === node && slot.index === index);
  if (readersOf(root, isListed)?.every(isListed) !== true) return undefined;
  const all = list.map((weight) => factorsOfRoot(root, initializer, weight));
  const [first] = all;
  if (first === undefined || all.some((factors) => factors === undefined || !isSame(factors, first))) return undefined;
  // Offsets are for the layer that they were computed for.
  const offsets = list[0]?.offsets;
  if (list.some((weight) => weight.offsets !== offsets)) return undefined;
  return maskTensor(initializer, first, offsets);
}

/** In the layout of the stored tensor. */
function factorsOfRoot(root: Value, { dims }: Tensor, { bindings: [{ slot }], factors }: MaskedWeight) {
  if (slot.value === root) return factors;
  const axes = axesInRoot(slot.value, (value) =>
    value === root ? dims : value === slot.value ? operandOf(slot).dims : undefined,
  );
  if (axes === undefined) return undefined;
  const own = Float64Array.from(factors);
  const view = FileTensor.contiguous(DOUBLE, operandOf(slot).dims, () => new Uint8Array(own.buffer));
  const turned = view.permuted(dims.map((_, axis) => (axes.includes(axis) ? axes.indexOf(axis) : undefined)));
  const values = turned.toTensor().numbers();
  return factors instanceof Uint8Array ? Uint8Array.from(values) : values;
}

function isSameMask(one: MaskedWeight, other: MaskedWeight): boolean {
  return one.offsets === other.offsets && isSame(one.factors, other.factors);
}

function isSame(one: Factors, other: Factors): boolean {
  return one.length === other.length && one.every((factor, at) => factor === other[at]);
}

/** One transaction. */
export function applyEdits(editor: Editor, label: string, edits: readonly OperandEdit[]): void {
  const copies = new Map<Tensor, Value>();
  editor.transaction(label, () => {
    for (const { node: place, input, tensor, isForAll } of edits) {
      const node = editor.graph.nodes[place];
      const value = node?.inputs[input];
      if (node === undefined || value === undefined) throw new Error(`the model has no operand ${place}#${input}`);
      const copy = copies.get(tensor);
      if (isForAll) editor.setInitializer(rootOf(value), tensor);
      else if (copy !== undefined) editor.setInput(node, input, copy);
      else {
        const made = editor.addInitializer(`${value.name}_masked`, tensor);
        copies.set(tensor, made);
        editor.setInput(node, input, made);
      }
    }
  });
}

/** Zeros are bytes of zeros in every dtype; other factors are multiplied in double precision and rounded once. */
export function maskTensor(tensor: Tensor, factors: Factors, offsets?: Float64Array): Tensor {
  let masked: Uint8Array | undefined;
  return new Tensor(tensor.dataType, tensor.dims, () => (masked ??= multiply(tensor, factors, offsets)));
}

function multiply(tensor: Tensor, factors: Factors, offsets: Float64Array | undefined): Uint8Array {
  if (!(factors instanceof Uint8Array) || offsets !== undefined) {
    const product = Float64Array.from(
      tensor.numbers(),
      (value, at) => value * (factors[at] ?? 0) + (offsets?.[at] ?? 0),
    );
    return Tensor.fromNumbers(tensor.dataType, tensor.dims, product).bytes();
  }
  const size = elementBytes(tensor.dataType) ?? 1;
  const bytes = new Uint8Array(tensor.bytes());
  if (size === 4) {
    const words = new Uint32Array(bytes.buffer);
    for (let at = 0; at < factors.length; at++) if (factors[at] === 0) words[at] = 0;
    return bytes;
  }
  for (let at = 0; at < factors.length; at++) if (factors[at] === 0) bytes.fill(0, at * size, (at + 1) * size);
  return bytes;
}
