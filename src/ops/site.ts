/** What a row may look at: a node with what is known around it. */
import type { Dim, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

/** A node as a row may look at it. */
export interface Site {
  readonly node: Node;
  readonly opset: number;
  /** Dims of input `index`; undefined when unknown or absent. */
  inDims(index: number): readonly Dim[] | undefined;
  outDims(index: number): readonly Dim[] | undefined;
  /** The tensor of a constant input; undefined when it is computed or absent. */
  constant(index: number): Tensor | undefined;
  /**
   * Per element of the integers in input `index` the axis of input 0 whose extent it is, whatever
   * that is when the model runs; undefined for other elements.
   */
  ownExtents(index: number): readonly (number | undefined)[] | undefined;
  /** The integers in input `index` that are the same in every run; undefined for other elements. */
  integers(index: number): readonly (number | undefined)[] | undefined;
}

/** An extent, or a symbol for one that only the run knows: equal symbols are equal numbers. */
export type Extent = number | string;
/** Of a small integer tensor that carries shapes; undefined elements are unknown. */
export type Elements = readonly (Extent | undefined)[];

/** What is known of the integers that a node computes shapes from. */
export interface ShapeSite {
  readonly node: Node;
  readonly opset: number;
  /** The elements of input `index`, where it is a number or a short list of integers. */
  elements(index: number): Elements | undefined;
  /** The extents of input `index`. */
  extents(index: number): readonly Extent[] | undefined;
  constant(index: number): Tensor | undefined;
}
