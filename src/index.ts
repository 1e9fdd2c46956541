/**
 * The API: what the command does, as functions. They print nothing, can be cancelled by
 * AbortSignal, and throw PruneCompileError for whatever a user can do something about.
 */
export { type Compiled, type CompileOptions, compileModel as compile } from './compile.js';
export type { Channels, Unheld, WeightChannels } from './retraining/channels.js';
export { CHANNELS_SCHEMA, renderChannels } from './retraining/channels.js';
export {
  type Inspection,
  type InspectOptions,
  inspectModel as inspect,
  type LayerInspection,
  type SparseInspection,
  type SparseLayerInspection,
} from './inspect.js';
export { type Explanation, explainNode as explain, type WhyGroup, type WhyStep } from './why.js';
export type { Criterion, MakeMasksOptions } from './mask-maker/choice.js';
export { type MadeMasks, makeMasks, type MaskFormat } from './mask-maker/make-masks.js';
export type { MadeLayer, MaskMakingReport, PredictedFigures } from './mask-maker/report.js';
export type { CostTable, KindCosts, LayerKind, SpeedupPoint } from './cost/sparse-cost.js';
export type { SparseTarget } from './cost/sparse-target.js';
export { sparseTimer } from './bench/timer.js';
export { type Calibration, type CalibrationOptions, calibrate, encodeTable } from './calibrate/calibrate.js';
export { type Diagnosis, diagnose } from './doctor.js';
export type { Timer, Timing, TimingRequest } from './compile/tuning.js';
export type { MaskOptions } from './masking/masking.js';
export { maskedReference, type MaskPlan } from './verify/masked-reference.js';
export { verifyModels as verify, type VerifyOptions } from './verify/verify.js';
export { traceModels as trace, type Trace, type TracedValue } from './verify/trace.js';
export { type Given, type GivenOptions, readGiven } from './samples/given.js';
export { type Accuracy, type AccuracyOptions, measureAccuracy, type ModelAccuracy } from './samples/accuracy.js';
export { explore } from './explore/explore.js';
export { combined as combineExplorations } from './exploration/combine.js';
export { readExploration } from './exploration/file.js';
export type { ExploreOptions } from './explore/settings.js';
export type {
  Conclusions,
  Exploration,
  ExploreSettings,
  Payoff,
  Point as ExplorationPoint,
} from './exploration/exploration.js';
export { benchModels as bench, type BenchOptions, type ContenderModel } from './bench/benchmark.js';
export { type ErrorCode, type ErrorDetails, EXIT, PruneCompileError } from './errors.js';
export type { Model } from './onnx/read.js';
export { limitRuns } from './runtime/run-limit.js';
export type { Provider } from './runtime/providers.js';
export { createSession } from './runtime/user-session.js';
export { kernelsPath as sparseLibraryPath } from './runtime/kernels.js';
export { renderHtml } from './report/html.js';
export { renderJson } from './report/json.js';
export { renderMarkdown } from './report/markdown.js';
export { renderText } from './report/text.js';
export { type Benchmark, type Comparison, type Contender } from './bench/results.js';
export { type CompileReport, REPORT_SCHEMA } from './report/types.js';
export { type LayerFigures, type ModelFigures } from './figures/figures.js';
export { type OutputVerification, type Verification, type VerificationCase } from './verify/verification.js';
export { type Remark } from '../passes/pass.js';
export { type SparseReport } from './report/sparse.js';
export type { StepTime } from './report/types.js';
export { TOOL } from './version.js';
