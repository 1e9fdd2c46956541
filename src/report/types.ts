/** The one report object. Everything the command prints, and every `--json`, is drawn from it. */
import type { TensorFate } from '../masks/fates.js';
import type { Provider } from '../runtime/session.js';

export const REPORT_SCHEMA = 1;

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
}

/** Counts of one model. */
export interface ModelFigures {
  /** Elements of floating-point constants that nodes read. */
  readonly parameters: number;
  /** Of those, exactly zero. */
  readonly zeros: number;
  /** Multiply-accumulates of Conv, Gemm and MatMul at `macsShape`; undefined when shapes stay unknown. */
  readonly macs: number | undefined;
  /** Model file plus external data, in bytes. */
  readonly sizeBytes: number;
  /** Output channels of all Conv, Gemm and MatMul nodes with constant weights. */
  readonly channels: number;
  readonly nodes: number;
}

/** One layer with constant weights, before and after; counts of channels. */
export interface LayerFigures {
  readonly node: string;
  readonly opType: string;
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** Undefined when the layer is gone. */
  readonly keptInputChannels: number | undefined;
  readonly keptOutputChannels: number | undefined;
  /** Share of exactly zero weights before. */
  readonly sparsity: number;
  /** Set where it is a sparse operator now. */
  readonly isSparse?: true;
}

export interface StepTime {
  readonly step: string;
  readonly ms: number;
}

export interface VerificationCase {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly seed: number;
  /** Largest |a - b| over all outputs, divided by the largest |a| of that output. */
  readonly difference: number;
}

/** One output over all cases; differences are divided by the output's largest absolute value. */
export interface OutputVerification {
  readonly name: string;
  readonly difference: number;
  readonly bound: number;
  readonly noise: number;
  /** Set where the reference's own output holds NaN or infinities. */
  readonly hasNonFinite?: true;
}

export interface Verification {
  readonly equal: boolean;
  /** Of the output that is closest to its bound: its largest difference of all cases. 1 where outputs cannot be compared. */
  readonly difference: number;
  /** What was allowed that output, and from what it follows. */
  readonly bound: number;
  readonly noise: number;
  readonly boundReason: string;
  readonly cases: readonly VerificationCase[];
  /** Node or output where the worst difference was, when not equal. */
  readonly worstOutput?: string;
  /** Why not equal, in a sentence. */
  readonly reason?: string;
  readonly outputs?: readonly OutputVerification[];
  /** Set where both models ran with graph optimisations, because the reference runs with them only. */
  readonly optimised?: true;
  /** Set where outputs, or what they follow from, may be chosen otherwise where values are tied within rounding. */
  readonly upToTies?: true;
  /** Set where the candidate cannot be loaded or run. */
  readonly fails?: true;
  readonly notes: readonly string[];
}

export interface Contender {
  readonly name: string;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly sdMs: number;
  /** Bootstrap 95 % interval of the median. */
  readonly interval: readonly [low: number, high: number];
  readonly samplesMs: readonly number[];
}

/** `baseline` time / `contender` time; above 1 the contender is faster. */
export interface Comparison {
  readonly baseline: string;
  readonly contender: string;
  readonly speedup: number;
  readonly interval: readonly [low: number, high: number];
  /** Paired over rounds. */
  readonly t: number;
  readonly degreesOfFreedom: number;
  readonly p: number;
  /** 'faster', 'slower' or 'no significant difference'. */
  readonly verdict: 'faster' | 'slower' | 'no significant difference';
}

export interface Benchmark {
  readonly provider: Provider;
  readonly threads: number;
  readonly rounds: number;
  readonly warmUps: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
  readonly notes: readonly string[];
}

/** One mask and the weight it is for. */
export interface BoundMask {
  readonly file: string;
  /** As the file says it. */
  readonly key: string;
  /** Initializer, or layer where the weight is computed. */
  readonly weight: string;
  readonly node: string;
  /** Of the weight, in the model's layout. */
  readonly shape: readonly number[];
  /** By what it was bound: the user's map, the name, the module in the node's name, the weight's values, the shape alone. */
  readonly evidence: 'map' | 'name' | 'module' | 'values' | 'shape';
  readonly granularity: 'element' | 'kernel' | 'filter' | 'channel' | 'pattern';
  /** Elements of the weight that it prunes. */
  readonly zeros: number;
  /** Whether it is made of the zeros in a checkpoint's weights. */
  readonly isFromZeros: boolean;
  /** Whether the file's own copy of the weight is the model's, up to a scale per filter; absent when it has none. */
  readonly values?: 'same' | 'different' | 'unknown';
}

export interface MaskFileReport {
  readonly path: string;
  readonly format: string;
  readonly sha256: string;
  /** Every tensor of the file, and what became of it. */
  readonly tensors: readonly TensorFate[];
}

export interface MaskReport {
  readonly meaning: 'zero' | 'drop';
  readonly files: readonly MaskFileReport[];
  readonly masks: readonly BoundMask[];
  /** Elements that are pruned, of all weights: what several masks prune counts once. */
  readonly zeros: number;
  /** Keys that were left out: no weight, and --allow-unmatched or the map said so. */
  readonly unmatched: readonly string[];
  /** Layers without a mask. */
  readonly unmaskedLayers: readonly string[];
  /** With `drop`: filters without a weight, whose bias and shift went too. */
  readonly droppedFilters: number;
}

/** What it takes to run a model with sparse operators. */
export interface SparseReport {
  /** Those that are sparse operators now. */
  readonly layers: number;
  /** By what these were chosen: which cost table decided, what was measured. */
  readonly decided: readonly string[];
  /** Path of the native library on this machine, whether it is there or not. */
  readonly library: string;
  /** Whether it was there. */
  readonly libraryFound: boolean;
  /** One line of each language that gives ONNX Runtime the operators; `path` in it stands for the library's. */
  readonly registration: Readonly<Record<'node' | 'python' | 'cpp' | 'csharp' | 'java', string>>;
}

/** Weights that no rule reads, of one operator and one type. */
export interface UnreadWeights {
  /** With what stands between it and its weights, or what it is inside of: `Conv behind DequantizeLinear`, `Conv inside If`. */
  readonly op: string;
  readonly dataType: string;
  readonly weights: number;
  readonly elements: number;
  /** Elements that stand for 0: zero, or at their zero point; absent where that cannot be told. */
  readonly zeros?: number;
}

export interface CompileReport {
  readonly schema: typeof REPORT_SCHEMA;
  readonly tool: { readonly name: string; readonly version: string };
  readonly input: string;
  readonly output: string | undefined;
  readonly options: Readonly<Record<string, unknown>>;
  /** False when there was nothing to do: the output is then the input. */
  readonly changed: boolean;
  /** Absent without mask files and with the meaning `zero`. */
  readonly masks?: MaskReport;
  /** Absent where no layer became a sparse operator. */
  readonly sparse?: SparseReport;
  /** Absent where every weight was looked at. */
  readonly unreadWeights?: readonly UnreadWeights[];
  readonly before: ModelFigures;
  readonly after: ModelFigures;
  /** Shapes of the inputs that MACs are counted at. */
  readonly macsShape: Readonly<Record<string, readonly number[]>>;
  readonly layers: readonly LayerFigures[];
  readonly remarks: readonly Remark[];
  readonly edits: readonly string[];
  readonly steps: readonly StepTime[];
  readonly verification?: Verification;
  readonly benchmarks?: readonly Benchmark[];
}
