/** Masks into a graph: pruned weights become zeros. What a fully masked filter adds besides goes with `drop`. */
import type { Editor } from '../ir/editor.js';
import type { Node, Value } from '../ir/graph.js';
import { elementBytes, Tensor } from '../ir/tensor.js';
import type { Binding } from './bind.js';

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
  return [...byPlace.values()].map((list) => ({ bindings: list, factors: multiplyAll(list.map(({ mask }) => mask.factors)) }));
}

type Factors = MaskedWeight['factors'];

function multiplyAll(all: readonly Factors[]): Factors {
  const [first = new Uint8Array(0), ...others] = all;
  if (others.length === 0) return first;
  const isSoft = all.some((factors) => !(factors instanceof Uint8Array));
  const product = isSoft ? Float64Array.from(first) : Uint8Array.from(first);
  for (const factors of others) for (let at = 0; at < product.length; at++) product[at] = (product[at] ?? 0) * (factors[at] ?? 0);
  return product;
}

/** One transaction. A stored weight is changed in place for all its readers when its mask is for it by name. */
export function applyMasks(editor: Editor, weights: readonly MaskedWeight[]): void {
  editor.transaction('apply masks', () => {
    const done = new Set<Value>();
    for (const { bindings, factors } of weights) {
      const [{ slot, evidence }] = bindings;
      const { value, node, index, tensor } = slot;
      if (done.has(value)) continue;
      const isForAll = value.hasSoleReader || evidence === 'name' || evidence === 'map';
      const masked = maskTensor(tensor, factors);
      if (value.initializer !== undefined && isForAll) {
        done.add(value);
        editor.setInitializer(value, masked);
      } else editor.setInput(node, index, editor.addInitializer(`${value.name}_masked`, masked));
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
  for (let at = 0; at < factors.length; at++) if (factors[at] === 0) bytes.fill(0, at * size, (at + 1) * size);
  return bytes;
}

/** A constant operand that becomes zero at some channels, for this reader alone. */
export interface Silenced {
  readonly node: Node;
  readonly index: number;
  readonly tensor: Tensor;
  readonly channels: readonly number[];
}

/** One transaction: biases, normalisations' scales and shifts of filters that are gone altogether. */
export function silence(editor: Editor, operands: readonly Silenced[]): void {
  editor.transaction('drop biases and shifts of masked filters', () => {
    for (const { node, index, tensor, channels } of operands) {
      const factors = new Uint8Array(tensor.size).fill(1);
      for (const channel of channels) factors[channel] = 0;
      const name = `${node.inputs[index]?.name ?? node.label}_dropped`;
      const value = node.inputs[index];
      const silenced = maskTensor(tensor, factors);
      if (value?.initializer !== undefined && value.hasSoleReader) editor.setInitializer(value, silenced);
      else editor.setInput(node, index, editor.addInitializer(name, silenced));
    }
  });
}
