/**
 * What a pass is. A pass never throws for a model it cannot improve: it says "missed, because …".
 */
import type { CostModel } from '../src/cost/width-cost.js';
import type { Cause } from '../src/channels/reasons.js';
import type { Facts } from '../src/channels/facts.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { TableChoice } from '../src/cost/sparse-target.js';
import type { Editor } from '../src/ir/editor.js';
import type { Attribute, Node, Value } from '../src/ir/graph.js';
import type { Model } from '../src/onnx/read.js';
import type { SparseLayer } from './sparse/candidates.js';

/** What a pass did, or why it could not; a note says how that was decided. */
export interface Remark {
  readonly pass: string;
  /** Set where it is about sparse operators, not about channels. */
  readonly about?: 'sparse';
  readonly kind: 'applied' | 'missed' | 'note';
  /** Label of the node it is about; absent for remarks about the whole model. */
  readonly node?: string;
  readonly message: string;
  /** Channels removed, or kept although they were dead: remarks are sorted by it. */
  readonly channels?: number;
  /** What keeps these channels; the fields below go with it. */
  readonly cause?: Cause;
  /** The operator that the cause lies in, by qualified name. */
  readonly operator?: string;
  /** How many channels more would go if this cause alone were not there; absent: not asked. */
  readonly alone?: number;
  /** How many of them would go if the channels that they are tied to were pruned as well. */
  readonly coupled?: number;
  /** The layers that they are of, most channels first. */
  readonly layers?: readonly { readonly node: string; readonly channels: number }[];
}

/** What sparse operators are judged by. */
export interface SparseJudgement {
  /**
   * The cost table; chosen when it is first asked for, because that may load the native library.
   */
  choice(): TableChoice;
  /** The graph as it is now, at the sizes that costs are counted at. */
  sized(): Promise<GraphInfo>;
  /** Images of a batch at these sizes, where the model leaves their number open. */
  batch(): number;
  /** Times one layer in ONNX Runtime; undefined where it cannot, or has no time left. */
  readonly measure?: (layer: SparseLayer, sized: GraphInfo) => Promise<MeasuredLayer | undefined>;
}

export interface MeasuredLayer {
  readonly denseSeconds: number;
  readonly sparseSeconds: number;
}

/** A subgraph of which the passes took what they could. */
export interface CompiledSubgraph {
  readonly attribute: Attribute;
  /** What the subgraphs of the node read from outside now. */
  readonly captures: readonly Value[];
  /** Names that are defined inside. */
  readonly defined: ReadonlySet<string>;
  readonly gains: boolean;
  readonly remarks: readonly Remark[];
}

export interface PassContext {
  readonly model: Model;
  readonly editor: Editor;
  readonly cost: CostModel;
  readonly sparse: SparseJudgement;
  /** Shapes and constants of the graph as it is now; kept until the next edit. */
  graphInfo(): Promise<GraphInfo>;
  /** What the analysis says of it; kept as long. */
  facts(): Promise<Facts>;
  /**
   * Runs all passes inside the subgraph that this attribute of the node is; undefined where it is
   * none. unknown: it could not be looked at. The node stays as it is.
   */
  compileSubgraph(node: Node, name: string): Promise<CompiledSubgraph | 'unknown' | undefined>;
}

export interface PassResult {
  /** Whether the graph was edited. */
  readonly changed: boolean;
  /**
   * Whether the edit is worth a new file by itself: something pruned went. Preparations alone are
   * not written.
   */
  readonly gains: boolean;
  readonly remarks: readonly Omit<Remark, 'pass' | 'about'>[];
  /**
   * Layers of the network that are sparse operators now; absent where the pass made none of
   * anything.
   */
  readonly sparseLayers?: number;
}

export interface Pass {
  readonly name: string;
  /** One line for `--help` and the report. */
  readonly summary: string;
  /** bitwise: the outputs keep every bit; rounding: sums are taken in another order. */
  readonly exactness: 'bitwise' | 'rounding';
  /** What its remarks are about, where that is not channels. */
  readonly about?: Remark['about'];
  /** Whether it has the others run inside subgraphs. */
  readonly entersSubgraphs?: true;
  /** Whether it runs once, when the others change nothing any more. */
  readonly isLast?: true;
  run(context: PassContext): Promise<PassResult>;
}

export const UNCHANGED: PassResult = { changed: false, gains: false, remarks: [] };
