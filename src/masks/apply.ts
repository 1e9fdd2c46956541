/** Masks into a graph: pruned weights become zeros. What a fully masked filter adds besides goes with `drop`. */
import type { Editor } from '../ir/editor.js';
import type { Graph, Use, Value } from '../ir/graph.js';
import { DOUBLE, elementBytes, Tensor } from '../ir/tensor.js';
import { axesInRoot, rootOf, storedAs } from '../ops/aliases.js';
import type { Binding } from './bind.js';
import { FileTensor } from './contents.js';

/** A weight with all its masks, of all files: one factor per element. */
export interface MaskedWeight {
  readonly bindings: readonly [Binding, ...Binding[]];
  readonly factors: Uint8Array | Float32Array | Float64Array;
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
    factors: multiplyAll(list.map(({ mask }) => mask.factors)),
  }));
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

export function countZeros(factors: Factors): number {
  let zeros = 0;
  for (const factor of factors) if (factor === 0) zeros++;
  return zeros;
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
 * A stored weight changes where it is stored when all its readers have the mask; else those of them that have the same mask share a copy.
 * An Identity reads nothing for itself, and what the transpose of a masked weight holds is masked already.
 */
export function maskEdits({ nodes }: Graph, weights: readonly MaskedWeight[]): OperandEdit[] {
  const byValue = new Map<Value, MaskedWeight[]>();
  for (const weight of weights) {
    const { value } = weight.bindings[0].slot;
    byValue.set(value, [...(byValue.get(value) ?? []), weight]);
  }
  const places = new Map(nodes.map((node, place) => [node, place]));
  const whole = new Map<Value, MaskedWeight>();
  for (const [value, list] of byValue) {
    const [first] = list;
    if (first !== undefined && value.initializer !== undefined && isWhole(value, first, list)) whole.set(value, first);
  }
  const edits: OperandEdit[] = [];
  for (const [value, list] of byValue) {
    const [first] = list;
    if (first === undefined || isMaskedAtRoot(first, list, whole)) continue;
    const copies: { readonly factors: Factors; readonly tensor: Tensor }[] = [];
    for (const { bindings, factors } of whole.has(value) ? [first] : list) {
      const { node, index, tensor } = bindings[0].slot;
      const known = copies.find((copy) => isSame(copy.factors, factors));
      const copy = known ?? { factors, tensor: maskTensor(tensor, factors) };
      if (known === undefined) copies.push(copy);
      edits.push({ node: places.get(node) ?? -1, input: index, tensor: copy.tensor, isForAll: whole.has(value) });
    }
  }
  return edits;
}

/** Whether all that read the value, through Identity too, have one mask. */
function isWhole(value: Value, first: MaskedWeight, list: readonly MaskedWeight[]): boolean {
  return readersOf(value)?.length === list.length && list.every(({ factors }) => isSame(factors, first.factors));
}

/** Undefined where somebody else sees it. */
function readersOf(value: Value): readonly Use[] | undefined {
  if (value.isSeenOutside) return undefined;
  const readers: Use[] = [];
  for (const use of value.uses) {
    const [alias] = use.node.outputs;
    const found = alias !== undefined && storedAs(alias) === storedAs(value) ? readersOf(alias) : [use];
    if (found === undefined) return undefined;
    readers.push(...found);
  }
  return readers;
}

/** Whether these masks say of an alias what the mask of the whole stored weight says of it. */
function isMaskedAtRoot(
  { bindings: [{ slot }], factors }: MaskedWeight,
  list: readonly MaskedWeight[],
  whole: ReadonlyMap<Value, MaskedWeight>,
): boolean {
  const root = rootOf(slot.value);
  const masked = root === slot.value ? undefined : whole.get(root);
  if (masked === undefined || list.some((other) => !isSame(other.factors, factors))) return false;
  const dims = masked.bindings[0].slot.tensor.dims;
  const axes = axesInRoot(slot.value, (value) =>
    value === root ? dims : value === slot.value ? slot.tensor.dims : undefined,
  );
  if (axes === undefined) return false;
  const own = Float64Array.from(masked.factors);
  const view = FileTensor.contiguous(DOUBLE, dims, () => new Uint8Array(own.buffer));
  return isSame(view.permuted(axes).toTensor().numbers(), factors);
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
      if (isForAll) editor.setInitializer(storedAs(value), tensor);
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
export function maskTensor(tensor: Tensor, factors: Factors): Tensor {
  let masked: Uint8Array | undefined;
  return new Tensor(tensor.dataType, tensor.dims, () => (masked ??= multiply(tensor, factors)));
}

function multiply(tensor: Tensor, factors: Factors): Uint8Array {
  if (!(factors instanceof Uint8Array)) {
    const product = Float64Array.from(tensor.numbers(), (value, at) => value * (factors[at] ?? 0));
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
