/**
 * How the axes of a node's inputs and outputs belong together: what an operator says of itself
 * (operator.ts), and what the analysis of channels interprets. Whatever is not mentioned is pinned.
 */
import type { Dim } from '../ir/graph.js';
import type { Site } from './site.js';

/** Axis `axis` of input or output `index`. */
export interface AxisRef {
  readonly index: number;
  readonly axis: number;
}

/**
 * Index i of the axis on side `one` (oneStart <= i < oneStart + count) goes with the indices
 * manyStart + o * period + (i - oneStart) * inner + t of the axis on the other side, for o < outer
 * and t < inner. Flatten of [C, H, W]: inner = H * W. Slice: oneStart. Pad: manyStart.
 */
export interface Blocks {
  readonly one: 'input' | 'output';
  readonly oneStart: number;
  readonly manyStart: number;
  readonly count: number;
  readonly inner: number;
  readonly outer: number;
  readonly period: number;
}

/**
 * Index i of the output's axis is index `picks[i]` of the input's: a Gather. An index may be picked
 * several times, or never.
 */
export interface Picks {
  readonly one: 'picked';
  readonly picks: readonly number[];
}

/**
 * The two axes shrink together; the data at linked indices is the same data. Without blocks: the
 * same index.
 */
export interface Link {
  readonly input: AxisRef;
  readonly output: AxisRef;
  readonly blocks?: Blocks | Picks;
}

/**
 * A known scalar; undefined where the operand varies; null where the operand does not reach this
 * output position.
 */
export type Known = number | undefined | null;

/**
 * Each output element depends on the linked elements of the inputs only (and on everything along
 * pinned axes).
 */
export interface Pointwise {
  readonly kind: 'pointwise';
  readonly links: readonly Link[];
  /**
   * The constant that an index of output axis `axis` has when its operands have these, in input
   * order: one of them, or one that follows without arithmetic. Undefined where it is not known,
   * NaN where nobody may ask.
   */
  readonly constant?: (operands: readonly Known[], axis: number) => number | undefined;
  /**
   * Whether the node itself says, run by ONNX Runtime, what it makes of operands that are all
   * known.
   */
  readonly isAsked?: true;
  /**
   * Whether the result jumps, as that of Floor does: only operands count that are known to the last
   * digit. Whatever makes integers of numbers jumps anyway.
   */
  readonly jumps?: true;
  /** Whether the result is rounded once, so that every machine gives the same. */
  readonly isExact?: true;
  /**
   * Whether the runtime may compute its operand together with it, in another order: only results
   * count that the operand has as well where rounding moves it.
   */
  readonly isFused?: true;
  /** Whether the last digits of the result may be others than `constant` says: a mean. */
  readonly rounds?: true;
  /** Output positions without a link hold this (Pad); undefined: they vary. */
  readonly fill?: number;
  /**
   * Indices of an input axis that are read although the axis is not linked (Gather); the axis is
   * pinned.
   */
  readonly reads?: { readonly input: AxisRef; readonly indices: readonly number[] };
  /**
   * Whether what it makes of scalars also holds place by place: each output element depends on the
   * elements at its own place, along all axes but that of the channels (1).
   */
  readonly samePlace?: true;
  /**
   * Each output element is the mean over a window of the node, zeros of padding included: what
   * `constant` leaves open at the borders.
   */
  readonly padsMean?: true;
  /**
   * Alternatives for axes that cannot all shrink (a Reshape that merges or splits): the analysis
   * takes one.
   */
  readonly choices?: readonly Choice[];
  /**
   * Axes of several inputs that a product sums over together, index by index: where one of them
   * holds 0, the others are not read.
   */
  readonly sums?: readonly (readonly AxisRef[])[];
  readonly feedback?: Feedback;
  /** Heads of attention that lie side by side along one axis. */
  readonly heads?: Heads;
}

/**
 * What a recurrent layer makes is read again by itself, index by index of the outputs' axes, but
 * where the indices of `weights` hold 0 or the outputs do.
 */
export interface Feedback {
  readonly outputs: readonly AxisRef[];
  /** Input axis of the constant that what is fed back is multiplied with. */
  readonly weights: AxisRef;
  /** Input axes of what is there before the first step. */
  readonly states: readonly AxisRef[];
  /** Indices that stay 0 where all states are 0. */
  readonly zeros: readonly number[];
}

/** Part of an axis of input `index`, from `start` on: head by head. */
export interface HeadPart extends AxisRef {
  readonly start: number;
}

/**
 * Attention of heads that are no axis: channels [heads * channels] of the queries, keys and values,
 * and of the output. Heads of queries that one head of keys and values serves go together. Either
 * whole heads go, or as many channels of every head.
 */
export interface Heads {
  /** Of the keys and values. */
  readonly count: number;
  /** Heads of the queries for each of them. */
  readonly served: number;
  /** Of one head, of the queries and keys, which are summed over together. */
  readonly channels: number;
  /** Of one head, of the values and the output. */
  readonly valueChannels: number;
  /** Parts of several inputs that are added: [values, bias]. */
  readonly query: readonly HeadPart[];
  readonly key: readonly HeadPart[];
  readonly value: readonly HeadPart[];
  /** One index for each head of the queries. */
  readonly masks: readonly HeadPart[];
  /** Axis of output 0. */
  readonly output: number;
}

/** Of the candidates one link is taken; the axes of the others are pinned. */
export type Choice = readonly Link[];

/** Y = alpha * X * W + beta * bias, linear in X along one axis: Conv, Gemm, MatMul. */
export interface Linear {
  readonly kind: 'linear';
  /** Axes that are neither reduced nor made by the weights (the batch). */
  readonly links: readonly Link[];
  /** Axis of the input that is summed over, and axis of the output that the weights make. */
  readonly x: AxisRef;
  readonly y: AxisRef;
  readonly weights: { readonly index: number; readonly inAxis: number; readonly outAxis: number };
  /**
   * Input index of the bias, and the factor it is multiplied with; undefined where the operator has
   * none.
   */
  readonly bias: { readonly index: number; readonly beta: number } | undefined;
  readonly alpha: number;
  /** Whether zeros of padding enter the sums at the borders. */
  readonly padded: boolean;
  /** Of a convolution, whose weights are [outputs, inputs, window…]. */
  readonly hasWindow?: true;
  /** What the operator makes of the sum; undefined where that is not known. Absent: the sum. */
  readonly activation?: (sum: number) => number | undefined;
  /** Set where it computes with codes. */
  readonly codes?: Codes;
  /**
   * Whether what constants add depends on the place in a way that no map of the place gives back:
   * only a channel that stays can take them over.
   */
  readonly needsCarrier?: true;
  /** Whether a scale is made of the largest of all inputs: none goes but zeros. */
  readonly rangesInput?: true;
}

/**
 * Of a layer of codes: its sums are those of (x - zero point of x) * (w - zero point of w), whole
 * numbers, and padding is at the zero point of x.
 */
export interface Codes {
  /** What stands for 0 in x; 0 as well where constants of x count from a zero point of the run. */
  readonly inputZero: number;
  /** Input with the zero points of the weights, one or one per output; undefined: 0. */
  readonly weightZeros: number | undefined;
  /** Input with the scales of the weights, one or one per output; undefined: another node has them. */
  readonly weightScales: number | undefined;
  /**
   * Input with the scale of Y, where the sums are scaled and rounded to codes again, with a bias in
   * their own scale; undefined: the sums are Y.
   */
  readonly outputScale: number | undefined;
  /**
   * Set where the sums are scaled to real numbers by a scale of the run: of constants that are not
   * at their zero point nothing is known. What is added is in real numbers, too.
   */
  readonly isScaled?: true;
}

/**
 * A layer of which each group of outputs reads its own group of inputs. Axis 0 of the weights counts
 * the channels of all groups, axis 1 those of one. Groups go whole, or every group that stays loses
 * as many inputs, and as many outputs, as each other (src/channels/group-balance.ts).
 */
export interface Grouped extends Omit<Linear, 'kind'> {
  readonly kind: 'grouped';
  readonly groups: number;
}

/**
 * The output holds extents of the input's axes `start`, `start` + 1, …: an extent that is read is
 * fixed.
 */
export interface ExtentReader {
  readonly kind: 'extents';
  readonly start: number;
}

export type Relation = Pointwise | Linear | Grouped | ExtentReader;

/** The relation of an operator with weights. */
export type LayerRelation = Linear | Grouped;

/**
 * The axes of the weights that go with an axis of the data; undefined for the one that counts the
 * channels of one group.
 */
export function weightsRefs({ kind, weights: { index, inAxis, outAxis } }: LayerRelation): {
  readonly in: AxisRef | undefined;
  readonly out: AxisRef | undefined;
} {
  const ref = (axis: number) => (kind === 'linear' || axis === 0 ? { index, axis } : undefined);
  return { in: ref(inAxis), out: ref(outAxis) };
}

/** What a layer's input holds where it adds nothing to the sums. */
export function zeroOf({ codes }: LayerRelation): number {
  return codes?.inputZero ?? 0;
}

export function groupsOf(relation: LayerRelation): number {
  return relation.kind === 'grouped' ? relation.groups : 1;
}

export function link(input: AxisRef, output: AxisRef, blocks?: Blocks | Picks): Link {
  return blocks === undefined ? { input, output } : { input, output, blocks };
}

/** All axes of input `index` except `without` go with the same axes of output 0. */
export function sameAxes(site: Site, index: number, without: readonly number[] = []): Link[] {
  const rank = site.inDims(index)?.length ?? 0;
  return Array.from({ length: rank }, (_, axis) => axis)
    .filter((axis) => !without.includes(axis))
    .map((axis) => link({ index, axis }, { index: 0, axis }));
}

/**
 * `count` indices from `inputStart` on go with those from `outputStart` on: a Slice, a Concat, a
 * Pad.
 */
export function range(inputStart: number, outputStart: number, count: number): Blocks {
  return { one: 'input', oneStart: inputStart, manyStart: outputStart, count, inner: 1, outer: 1, period: 0 };
}

/** The result is the operand, moved. */
export function unchanged([x]: readonly Known[]): number | undefined {
  return x ?? undefined;
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
