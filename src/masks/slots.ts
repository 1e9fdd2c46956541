/**
 * Where masks can go: constant operands of a graph that are weights or biases. Who finds them knows
 * shapes and constants (src/masking/weight-slots.ts); here is what binding needs to know of each.
 */
import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

export interface Codes {
  /** As they are stored. */
  readonly stored: Tensor;
  /** One for all, or one per index of `axis`; undefined: 0. */
  readonly zeroPoints: Tensor | undefined;
  readonly axis: number;
}

export interface WeightSlot {
  /** Whether a layer's rule says so; any other stored tensor can be masked by its own name. */
  readonly isLayer: boolean;
  /** The layer, or the tensor's first reader. */
  readonly node: Node;
  /** Which of its inputs. */
  readonly index: number;
  /** weight, bias; of stored tensors what their name says. */
  readonly parameter: string;
  readonly value: Value;
  /** What that is an alias of: the same numbers, perhaps in another layout or type. */
  readonly root: Value;
  /** Set where it holds codes: what stands for 0 in them. */
  readonly codes?: Codes;
  /** What it holds, computed where the file only says how. Of a part: in the framework's order. */
  readonly tensor: Tensor;
  /**
   * Where the slot is a part of an operand: the operand, and where in it each of the slot's
   * elements is.
   */
  readonly part?: { readonly whole: Tensor; readonly places: Int32Array };
  /**
   * Stored tensors that it is computed from, nearest first; one name when it is an initializer
   * itself.
   */
  readonly names: readonly string[];
  /** One of the names, where the tensor that bore it had its two axes the other way round. */
  readonly turnedFrom?: string;
  /** Whether the operand has the axes of the first of them, as it is stored. */
  readonly isAsStored: boolean;
  /** Whether the file says that a normalisation was folded into its layer. */
  readonly isFolded: boolean;
  /** Modules that the file says it belongs to, most likely first. */
  readonly modulePaths: readonly string[];
  /** What its reader says of that, apart from the names of its weights. */
  readonly nodePaths: readonly string[];
  /**
   * Axes of filters (-1: not known) and of input channels; a bias has the first alone, a grouped
   * convolution's second counts per group.
   */
  readonly outAxis: number;
  readonly inAxis: number | undefined;
  /** Where no rule says which parameter it is: what its reader does with it. */
  readonly role?: 'scale' | 'shift';
  /** Of a product without a bias: what the node after it adds, where that is stored. */
  readonly added?: WeightSlot;
}

/** The axis permutation from PyTorch's [out, in, …] to the operand's layout. */
export function fromTorchLayout({ outAxis, tensor }: Pick<WeightSlot, 'outAxis' | 'tensor'>): readonly number[] {
  const axes = tensor.dims.map((_, axis) => axis);
  return outAxis === 1 && axes.length === 2 ? [1, 0] : axes;
}
