/** The one report object. Everything the command prints, and every `--json`, is drawn from it. */
import type { Remark } from '../../passes/pass.js';
import type { Benchmark } from '../bench/results.js';
import type { LayerFigures, ModelFigures } from '../figures/figures.js';
import type { UnreadWeights } from '../figures/unread-weights.js';
import type { MaskReport } from '../masking/mask-report.js';
import type { Verification } from '../verify/verification.js';
import type { SparseReport } from './sparse.js';

export const REPORT_SCHEMA = 1;

export interface StepTime {
  readonly step: string;
  readonly ms: number;
}

/** Where it ran. */
export interface MachineFacts {
  /** As the system names the processor. */
  readonly cpu: string;
  readonly cores: number;
  /** Of the processor: what decides how fast networks run. Absent where the system lists none. */
  readonly instructionSets?: readonly string[];
  readonly memoryBytes: number;
  /** `linux x64` */
  readonly platform: string;
  /** `20.20.2` */
  readonly node: string;
  /** Of ONNX Runtime: `1.30.0` */
  readonly runtime: string;
}

export interface CompileReport {
  readonly schema: typeof REPORT_SCHEMA;
  readonly tool: { readonly name: string; readonly version: string };
  /** When the command was run, in ISO 8601; absent where the API was called, as the next two are. */
  readonly date?: string;
  readonly machine?: MachineFacts;
  /** What to type to repeat it. */
  readonly command?: string;
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
