/**
 * What the compiler knows of an operator. One row per operator, in one file per operator or family;
 * registry.ts lists them. Every field but the name is optional. Absent means nothing is known: the
 * analysis then pins the axes, and nothing is changed.
 */
import type { AttributeValue, Dim, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { AxisRef, Codes, Relation } from './axes.js';
import type { Elements, Extent, ShapeSite, Site } from './site.js';
import type { NativeWeights, StoredWeights } from './stored-weights.js';

/** Kept indices of an axis, ascending; undefined when all stay. */
export interface Kept {
  input(ref: AxisRef): readonly number[] | undefined;
  output(ref: AxisRef): readonly number[] | undefined;
}

/**
 * A change that goes with removed channels: an attribute (undefined: it goes), or a constant input
 * that repeats an extent.
 */
export type Adjustment =
  | { readonly attribute: string; readonly value: AttributeValue | undefined }
  | { readonly input: number; readonly tensor: Tensor };

/** Inputs of a layer, and the axes of its weights. */
export interface LayerOperands {
  /** Of a grouped convolution `inAxis` counts the channels of one group. */
  readonly weights: { readonly index: number; readonly inAxis: number; readonly outAxis: number };
  readonly bias: number | undefined;
  /** Axes of the output after that of the channels; absent: as many as the weights have but two. */
  readonly axesBehind?: number;
  /** Whether the operator makes something else of the sums: what follows is no shift of theirs. */
  readonly isJoined?: true;
  /** Set where both are codes. */
  readonly codes?: Codes | undefined;
}

/** Maps an input extent to the output extent: equal symbols stay equal. */
export type ExtentMap = (extent: Extent) => Extent;

/**
 * Axes whose extents ONNX Runtime's shape inference states otherwise than its kernels then make
 * them.
 */
export interface Doubt {
  /** Of the first input and output; negative ones count from the last. */
  readonly axes: readonly number[];
  /** Attributes that the inference goes by and must not see. */
  readonly misleading?: readonly string[];
  /** Whether the operator changes no other axis, and should not be asked at all. */
  readonly isAll?: boolean;
}

/** The names that PyTorch's modules have for their parameters. */
export type ParameterName = 'weight' | 'bias' | 'running_mean' | 'running_var';

/** `ai.onnx` where `domain` is absent. */
export interface Operator {
  readonly type: string;
  readonly domain?: string;

  // Channels.

  /** How axes belong together. Undefined: pinned, for the reason that `why` gives. */
  axes?(site: Site): Relation | undefined;
  /**
   * Attributes and shape constants that repeat an extent. Slicing of weights is not the row's
   * business.
   */
  adjust?(site: Site, kept: Kept): readonly Adjustment[];

  /**
   * Whether each output depends on all channels (a mean over them). Without `axes` this says that no
   * rule is missing: nothing that could be known would let channels go.
   */
  readonly needsAllChannels?: true;

  // Layers.

  /**
   * Where a layer has its weights, known without the shapes of its data; undefined where they are
   * not constant.
   */
  weights?(site: Site): LayerOperands | undefined;
  /** Multiply-accumulates of one run, from static shapes; undefined when unknown. */
  macs?(site: Site): number | undefined;
  /** Per input the parameter that it is of a module. */
  readonly parameters?: readonly (ParameterName | undefined)[];
  /**
   * Whether the weight has the axes of the module's parameter in reverse: [in, out] for [out, in].
   */
  isReversed?(node: Node): boolean;
  /**
   * Which axes of a parameter of these extents are the module's; absent: all, or those of
   * `isReversed`.
   */
  parameterAxes?(dims: readonly number[]): readonly number[];
  /**
   * How many filters a layer with a weight of these extents has; absent: the extent of the
   * parameter's first axis.
   */
  filters?(node: Node, dims: readonly number[]): number;
  /** Whether there are groups of channels (the attribute `group`). */
  readonly hasGroups?: true;
  /** Weights that no relation reads, and what stands for 0 in them. */
  storedWeights?(node: Node): readonly StoredWeights[];
  /** Of a native operator: an entry per layer in it. */
  nativeWeights?(node: Node): readonly NativeWeights[];
  /** Of a recurrent layer: per gate of the operator's order its place in PyTorch's. */
  readonly gates?: readonly number[];

  // Extents.

  /**
   * How the extent of output axis `axis` follows from the input's, for symbolic sizes; undefined:
   * not in a way that is known.
   */
  extentKey?(site: Site, axis: number): ExtentMap | undefined;
  /** The integers that a node computes shapes with. */
  shapeElements?(site: ShapeSite): Elements | undefined;
  /**
   * Extents of output 0 where those of the inputs tell more than ONNX Runtime's inference, which
   * does not follow computed shapes; the whole undefined where not even the rank is known.
   */
  resultExtents?(site: ShapeSite): Elements | undefined;
  /** The same of an operator that makes parts, for each of its outputs. */
  partExtents?(site: ShapeSite, output: number): Elements | undefined;
  /** Extents of the output that may not be believed. `constant` knows inputs by index. */
  doubt?(node: Node, constant: (input: number) => Tensor | undefined): Doubt;
  /** Axes of the output that are in doubt for what is known of the operands. */
  doubtByOperands?(
    node: Node,
    operands: readonly (readonly Dim[] | undefined)[],
    result: readonly Dim[],
  ): readonly number[];
  /**
   * Axes of output 0 that have another extent than those of input 0, where the operator copies the
   * others from a Shape of it: what ONNX Runtime's inference does not see.
   */
  changedAxes?(site: Site): readonly number[] | undefined;
  /** Whether doubt is so rare that a subgraph with such an operator is believed all the same. */
  readonly isRarelyDoubtful?: true;
  /**
   * Whether its attributes describe a window that slides over places: ONNX Runtime divides by them,
   * or loops over them, unseen.
   */
  readonly hasWindow?: true;
  /** Why the extents of its operands contradict each other; undefined where nothing is wrong. */
  problem?(site: Site): string | undefined;

  // Values.

  /**
   * Input 0 under another name or type, with its elements in the same order under other extents, or
   * with its axes turned.
   */
  readonly alias?: 'same' | 'reshaped' | 'transposed';
  /** Whether the output holds the same as input 0, bit for bit. */
  readonly isCopy?: true;
  /**
   * Operands whose zeros are zeros of the output, element by element; of matrices alone where axes
   * are turned. In codes the zero point is zero.
   */
  readonly keepsZeros?: 'first' | 'all';
  /** The input that is read for its type alone, which the output has. */
  readonly typeOperand?: number;
  /** Inputs of which only extents or the type are read. */
  readonly ignoresElementsOf?: readonly number[];
  /** Whether it moves data: a table of numbers in it is no weight. */
  readonly movesData?: true;
  /** The tensor that the node itself holds; undefined for strings. */
  stored?(node: Node): Tensor | undefined;
  /** Whether it makes numbers of codes: scale * (code - zero point). */
  readonly isDecoder?: true;
  /**
   * Why its result is not computed in advance: it differs between runs, or the type of the weights
   * is what the user wants.
   */
  readonly notFolded?: 'random' | 'quantised';
}
