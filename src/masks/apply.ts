/**
 * Masks into a graph: pruned weights become zeros. What a fully masked filter adds besides goes
 * with `drop`.
 */
import { elementBytes, product, Tensor } from '../ir/tensor.js';
import type { Binding } from './binding.js';
import type { Codes, WeightSlot } from './slots.js';

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

export type Factors = MaskedWeight['factors'];

export function isSameFactors(one: Factors, other: Factors): boolean {
  return one === other || (one.length === other.length && one.every((factor, at) => factor === other[at]));
}

function multiplyAll(all: readonly Factors[]): Factors {
  const [first = new Uint8Array(0), ...others] = all;
  if (others.length === 0) return first;
  const isSoft = all.some((factors) => !(factors instanceof Uint8Array));
  const combined = isSoft ? Float64Array.from(first) : Uint8Array.from(first);
  for (const factors of others)
    for (let at = 0; at < combined.length; at++) combined[at] = (combined[at] ?? 0) * (factors[at] ?? 0);
  return combined;
}

/**
 * New contents of one constant operand. Plain data: the same edit fits every reading of the same
 * model.
 */
export interface OperandEdit {
  /** Place of the node in the graph's list. */
  readonly node: number;
  readonly input: number;
  readonly tensor: Tensor;
  /** Whether the stored tensor changes for all its readers, or this reader gets its own. */
  readonly isForAll: boolean;
}

/**
 * Zeros are bytes of zeros in every dtype; other factors are multiplied in double precision and
 * rounded once.
 */
export function maskTensor(tensor: Tensor, factors: Factors, offsets?: Float64Array): Tensor {
  const { remote } = tensor;
  if (remote?.read !== undefined && factors instanceof Uint8Array && offsets === undefined) {
    const { read } = remote;
    const size = elementBytes(tensor.dataType) ?? 1;
    return Tensor.stored(tensor.dataType, tensor.dims, (start, into) => {
      read(start, into);
      clearMasked(into, factors.subarray(start / size), size);
    });
  }
  let masked: Uint8Array | undefined;
  return new Tensor(tensor.dataType, tensor.dims, () => (masked ??= multiply(tensor, factors, offsets)));
}

/** Masked codes are at their zero points. Factors are zeros and ones. */
export function maskCodes(tensor: Tensor, factors: Factors, { zeroPoints, axis }: Codes): Tensor {
  const points = zeroPoints?.numbers() ?? [0];
  const inner = product(tensor.dims.slice(axis + 1));
  const extent = tensor.dims[axis] ?? 1;
  let masked: Tensor | undefined;
  const bytes = () => {
    const values = Array.from(tensor.numbers(), (code, at) => {
      const point = points[points.length === 1 ? 0 : Math.floor(at / inner) % extent] ?? 0;
      return factors[at] === 0 ? point : code;
    });
    return (masked ??= Tensor.fromNumbers(tensor.dataType, tensor.dims, values)).bytes();
  };
  return new Tensor(tensor.dataType, tensor.dims, bytes);
}

function multiply(tensor: Tensor, factors: Factors, offsets: Float64Array | undefined): Uint8Array {
  if (!(factors instanceof Uint8Array) || offsets !== undefined) {
    const scaled = Float64Array.from(
      tensor.numbers(),
      (value, at) => value * (factors[at] ?? 0) + (offsets?.[at] ?? 0),
    );
    return Tensor.fromNumbers(tensor.dataType, tensor.dims, scaled).bytes();
  }
  const bytes = new Uint8Array(tensor.bytes());
  clearMasked(bytes, factors, elementBytes(tensor.dataType) ?? 1);
  return bytes;
}

/** `bytes`: memory of its own, whole elements of `size` bytes. */
function clearMasked(bytes: Uint8Array, factors: Uint8Array, size: number): void {
  const count = bytes.length / size;
  if (size === 4) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
    for (let at = 0; at < count; at++) if (factors[at] === 0) words[at] = 0;
    return;
  }
  for (let at = 0; at < count; at++) if (factors[at] === 0) bytes.fill(0, at * size, (at + 1) * size);
}
