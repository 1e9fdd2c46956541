/**
 * What the analysis may know about an operator: how the axes of its inputs and outputs belong together, what becomes of
 * a constant channel, which weights carry which axis, and what repeats an extent. One table row per operator; the
 * interpretation is in src/analysis. Whatever a row does not mention is pinned: unknown means untouched.
 */
import type { AttributeValue, Dim, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

/** One axis of one input or output of a node. */
export interface AxisRef {
  readonly side: 'in' | 'out';
  readonly index: number;
  readonly axis: number;
}

/**
 * Index i of `from` (fromStart <= i < fromStart + count) goes with the indices
 * toStart + o * period + (i - fromStart) * inner + t of `to`, for o < outer and t < inner.
 * Same index: all starts 0, inner = outer = 1. Flatten of [C, H, W]: inner = H * W. Slice: fromStart.
 */
export interface Blocks {
  readonly fromStart: number;
  readonly toStart: number;
  readonly count: number;
  readonly inner: number;
  readonly outer: number;
  readonly period: number;
}

/** `from` and `to` shrink together; the data at linked indices is the same data. Without blocks: the same index. */
export interface Link {
  readonly from: AxisRef;
  readonly to: AxisRef;
  readonly blocks?: Blocks;
}

/** A known scalar; undefined where the operand varies; null where the operand does not reach this output position. */
export type Known = number | undefined | null;

/** Each output element depends on the linked elements of the inputs only (and on everything along pinned axes). */
export interface Pointwise {
  readonly kind: 'pointwise';
  readonly links: readonly Link[];
  /** The constant that index j of output axis `axis` has when its operands have these, in input order. */
  readonly constant?: (operands: readonly Known[], axis: number) => number | undefined;
  /** Output positions without a link hold this (Pad); undefined: they vary. */
  readonly fill?: number;
  /** Indices of an input axis that are read although the axis is not linked (Gather); the axis is pinned. */
  readonly reads?: { readonly from: AxisRef; readonly indices: readonly number[] };
  /** Alternatives for axes that cannot all shrink (a Reshape that merges or splits): the analysis takes one. */
  readonly choices?: readonly Choice[];
}

/** Of the `candidates` one set of links is taken; the axes of the others are pinned. */
export interface Choice {
  readonly candidates: readonly Link[];
}

/** Y = alpha * X * W + beta * bias, linear in X along one axis: Conv, Gemm, MatMul. */
export interface Linear {
  readonly kind: 'linear';
  /** Axes that are neither reduced nor made by the weights (the batch). */
  readonly links: readonly Link[];
  readonly x: AxisRef;
  readonly y: AxisRef;
  readonly weights: { readonly index: number; readonly inAxis: number; readonly outAxis: number };
  /** Input index of the bias, and the factor it is multiplied with; undefined where the operator has none. */
  readonly bias: { readonly index: number; readonly beta: number } | undefined;
  readonly alpha: number;
  /** Whether zeros of padding enter the sums at the borders. */
  readonly padded: boolean;
}

/** A grouped or depthwise convolution: a whole group (its inputs, outputs, filters) goes or stays. */
export interface Grouped {
  readonly kind: 'grouped';
  readonly links: readonly Link[];
  readonly x: AxisRef;
  readonly y: AxisRef;
  readonly weights: { readonly index: number; readonly outAxis: number };
  readonly bias: { readonly index: number } | undefined;
  readonly groups: number;
  readonly padded: boolean;
}

/** The output holds extents of the input's axes `start`, `start` + 1, …: an extent that is read is fixed. */
export interface ExtentReader {
  readonly kind: 'extents';
  readonly start: number;
}

export type Relation = Pointwise | Linear | Grouped | ExtentReader;

/** What a rule may look at. */
export interface Site {
  readonly node: Node;
  readonly opset: number;
  /** Dims of input `index`; undefined when unknown or absent. */
  inDims(index: number): readonly Dim[] | undefined;
  outDims(index: number): readonly Dim[] | undefined;
  /** The tensor of a constant input; undefined when it is computed or absent. */
  constant(index: number): Tensor | undefined;
}

/** Kept indices of an axis, ascending; undefined when all stay. */
export type KeptOf = (ref: AxisRef) => readonly number[] | undefined;

/** A change that goes with removed channels: an attribute, or a constant input that repeats an extent. */
export type Adjustment =
  { readonly attribute: string; readonly value: AttributeValue } | { readonly input: number; readonly tensor: Tensor };

/** Inputs of a layer, and the axes of its weights. */
export interface LayerOperands {
  /** Of a grouped convolution `inAxis` counts the channels of one group. */
  readonly weights: { readonly index: number; readonly inAxis: number; readonly outAxis: number };
  readonly bias: number | undefined;
}

export interface OpRow {
  readonly op: string;
  /** Empty for ai.onnx. */
  readonly domain?: string;
  /** Undefined: pinned, for the reason that `why` gives. */
  relate(site: Site): Relation | undefined;
  /** Attributes and shape constants that repeat an extent. Slicing of weights is not the row's business. */
  adjust?(site: Site, kept: KeptOf): readonly Adjustment[];
  /** How the extent of a spatial axis follows from the input's, for symbolic sizes; undefined: not in a way that is known. */
  window?(site: Site, axis: number): ((key: string) => string) | undefined;
  /** Where a layer has its weights, known without the shapes of its data; undefined where they are not constant. */
  layer?(site: Site): LayerOperands | undefined;
  /** Multiply-accumulates of one run, from static shapes; undefined when unknown. */
  macs?(site: Site): number | undefined;
}

export const SAME: Blocks = {
  fromStart: 0,
  toStart: 0,
  count: Number.POSITIVE_INFINITY,
  inner: 1,
  outer: 1,
  period: 0,
};

export const input = (index: number, axis: number): AxisRef => ({ side: 'in', index, axis });
export const output = (index: number, axis: number): AxisRef => ({ side: 'out', index, axis });

/** All axes of input `index` except `without` go with the same axes of output 0. */
export function sameAxes(site: Site, index: number, without: readonly number[] = []): Link[] {
  const rank = site.inDims(index)?.length ?? 0;
  return Array.from({ length: rank }, (_, axis) => axis)
    .filter((axis) => !without.includes(axis))
    .map((axis) => ({ from: input(index, axis), to: output(0, axis) }));
}

export function normalAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function isStatic(dims: readonly Dim[] | undefined): dims is readonly number[] {
  return dims !== undefined && dims.every((dim) => typeof dim === 'number');
}

export function isNumber(value: Known): value is number {
  return typeof value === 'number';
}
