/**
 * The whole flow in one page: bytes -> graph -> passes to a fixpoint -> bytes, with a report. Nothing is printed, nothing is
 * written until `write` is called; verification and benchmark are the caller's next steps (src/verify, src/bench).
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Target } from './analysis/cost.js';
import { countModel } from './analysis/figures.js';
import { concreteSizes } from './analysis/sizes.js';
import { countSparse, storedFigures } from './analysis/sparse-layers.js';
import { EAGER } from './analysis/sparse-tables.js';
import { chooseTable, type SparseTarget } from './analysis/sparse-target.js';
import { unreadWeights } from './analysis/unread-weights.js';
import { type Channels, KeptChannels } from './channels/channels.js';
import { requireDense } from './channels/dense-only.js';
import { encodeStateDict, stateDictOf } from './channels/state-dict.js';
import { traceWeights } from './channels/trace.js';
import { compileReport } from './compile-report.js';
import { PruneCompileError } from './errors.js';
import { writeFiles } from './files/write-files.js';
import { asksForMasks, maskingText, type Masking, maskModel, type MaskOptions, UNMASKED } from './masked-model.js';
import { encodedSize, encodeModel, writeModel, type WriteOptions } from './onnx/write.js';
import { type Model, readModel } from './onnx/read.js';
import type { Pass } from '../passes/pass.js';
import { choosePasses, passContext, type PipelineResult, remarkBy, runOnce, runPasses } from './pipeline.js';
import type { CompileReport, Remark, StepTime } from './report/types.js';
import { requireSizes, type Timer, type Timing, Tuner, wholeText } from './tuning.js';
import type { MaskPlan } from './verify/masked-reference.js';
import { TOOL } from './version.js';

export interface CompileOptions extends MaskOptions {
  /** Remove dead channels. The default, unless only `sparse` is asked for. */
  structured?: boolean;
  /** Make layers with scattered zeros sparse operators (native library needed to run the result). */
  sparse?: boolean;
  /** The machine that sparse operators are to pay on: avx512, avx2, baseline, a file of `doctor --calibrate`, or a table. Default: this one. */
  sparseTarget?: SparseTarget;
  /** Measures layers and the whole model with and without sparse operators, instead of believing a table: `sparseTimer`. */
  tune?: Timer;
  /** Width multiple; 1 makes the smallest model, 'auto' the fastest for the target. */
  align?: number | 'auto';
  target?: Target;
  /** Fixes symbolic dims of inputs for costs, by input name. */
  shapes?: Readonly<Record<string, readonly number[]>>;
  /** Names of passes to run instead of the preset, in order. */
  passes?: readonly string[];
  skip?: readonly string[];
  /** Stop after so many edits: bisects a wrong result. */
  stopAfter?: number;
  signal?: AbortSignal;
  onStep?: (step: StepTime & { readonly detail?: string }) => void;
}

export interface Compiled {
  readonly input: Model;
  readonly report: CompileReport;
  /** The compiled model as bytes; the input's own bytes when nothing was to do. */
  encode(): Uint8Array;
  /** Writes the compiled model (see writeModel) and returns its size in bytes. A file that is there is replaced. */
  write(path: string): number;
  /** What the compiled model must compute besides the input: undefined without masks. For src/verify/masked-reference.ts. */
  readonly maskPlan: MaskPlan | undefined;
  /** The input with its masks in its weights, nothing removed: a contender for benchmarks. */
  masked(): string | Uint8Array;
  /** Which channels of the original weights are still there; plain data (see docs/retrain.md). */
  channels(): Channels;
  /** The small weights under their PyTorch names and in PyTorch's layouts, as a safetensors file. Throws E-STATE-DICT. */
  stateDict(): Uint8Array;
}

/** Compiles a model given as path or bytes. Throws PruneCompileError for input that cannot be compiled. */
export async function compileModel(source: string | Uint8Array, options: CompileOptions = {}): Promise<Compiled> {
  checkAlign(options.align);
  checkTuning(options);
  checkSparse(options);
  const { sparse = false, structured = !sparse } = options;
  const list = choosePasses(structured ? 'structured' : 'inspection', options.passes, options.skip);
  const steps: StepTime[] = [];
  const timed = async <Result>(
    step: string,
    work: () => Result | Promise<Result>,
    detail?: (result: Result) => string,
  ) => {
    options.signal?.throwIfAborted();
    const start = performance.now();
    const result = await work();
    const entry = { step, ms: performance.now() - start };
    steps.push(entry);
    options.onStep?.(detail === undefined ? entry : { ...entry, detail: detail(result) });
    return result;
  };

  const model = await timed(
    'load',
    () => readModel(source),
    ({ graph }) => `${graph.nodes.length} nodes, opset ${graph.opset}`,
  );
  // Masks rename weights: whose they are is asked before.
  const asRead = asksForMasks(options) ? await passContext(model).knowledge() : undefined;
  const traced = asRead && traceWeights(asRead, model.proto);
  const masking = asRead ? await timed('masks', () => maskModel(model, options, asRead), maskingText) : UNMASKED;
  const tuner = options.tune === undefined ? undefined : new Tuner(options.tune, model, allSparse, options.signal);
  const context = passContext(model, options, tuner?.measure);
  const { editor, knowledge } = context;
  if (tuner !== undefined) requireSizes(model, (await knowledge()).shapes, options.shapes);
  const count = async () => countModel(await knowledge(), await context.sparse.sized());
  const before = await timed('analyse', count);
  const kept = new KeptChannels(model.graph, traced ?? traceWeights(await knowledge(), model.proto), context.kept);

  const passed = await timed('passes', () => runPasses(list, context, options.signal));
  const counted = await timed('count', count);
  const known = await knowledge();
  const unread = unreadWeights(known, model.proto, masking.masked);
  const macsShape = concreteSizes(model.graph, known.shapes, options.shapes);
  const written: WriteOptions = { shapes: known.shapes.byName, metadata: metadataOf(options, masking) };
  const stored = sparse ? storedFigures(model.graph) : undefined;
  const tuning = tuner && { tuner, dense: encodeModel(model, written), revert: editor.checkpoint() };
  // Last of all: no rule knows what it makes.
  const lastPasses = choosePasses('sparse', undefined, options.skip);
  const sparsePass = lastPasses.find(({ about }) => about === 'sparse');
  let scattered = sparse
    ? await timed('sparse', () => runOnce(lastPasses, context), tuner && (() => tuner.text))
    : undefined;
  if (tuning !== undefined && sparsePass !== undefined && scattered?.gains === true) {
    const compare = () => tuning.tuner.compare(tuning.dense, encodeModel(model, written), macsShape);
    const timing = await timed('tune', compare, wholeText);
    if (!timing.isFaster) tuning.revert();
    scattered = judged(scattered, timing, sparsePass);
  }
  const after = stored !== undefined && scattered?.gains === true ? countSparse(counted, stored, model.graph) : counted;
  const gains = passed.gains || scattered?.gains === true;
  const said = scattered?.remarks ?? [];
  const isTold = scattered?.gains !== false || editor.stopped || (!gains && !masking.changed);
  const unsaid = isTold || sparsePass === undefined ? [] : [nothingSparse(said, sparsePass)];
  const remarks = [...passed.remarks, ...said, ...unsaid];

  const original = () => (typeof source === 'string' ? readFileSync(source) : source);
  const maskedAgain = () => {
    const again = readModel(source);
    masking.apply(again);
    return again;
  };
  /** Without gains the passes only prepared things: then nothing but the masks is written, or nothing at all. */
  const result = () => (gains ? model : masking.changed ? maskedAgain() : undefined);
  const report = compileReport({
    model,
    source,
    options: plainOptions(options),
    masks: masking.report,
    isMasked: masking.changed,
    gains,
    before,
    after,
    sizeBytes: gains ? encodedSize(model, written) : model.sizeBytes,
    macsShape,
    sparseLayers: scattered?.sparseLayers,
    remarks,
    unread,
    edits: editor.history,
    steps,
  });
  return {
    input: model,
    report,
    encode: () => {
      const made = result();
      return made === undefined ? original() : encodeModel(made, written);
    },
    write: (path) => {
      const made = result();
      if (made !== undefined) return writeModel(made, path, written);
      // Its data file gets another name, so that it is no copy of the input anyway.
      if (model.hasExternalData) return writeModel(readModel(source), path, { metadata: metadataOf(options, masking) });
      return writeFiles([{ path, chunks: [original()] }]);
    },
    maskPlan: masking.plan,
    masked: () => (masking.changed ? encodeModel(maskedAgain()) : source),
    channels: () => {
      requireDense(options);
      return kept.channels(gains);
    },
    stateDict: () => {
      requireDense(options);
      return encodeStateDict(stateDictOf(kept.smallState(known.constants)), kept.channels(gains));
    },
  };
}

/** The model with everything sparse that can be: what a layer is measured with. Undefined where nothing can. */
async function allSparse(dense: Uint8Array): Promise<Uint8Array | undefined> {
  const made = await compileModel(dense, { sparse: true, sparseTarget: EAGER });
  return made.report.changed ? made.encode() : undefined;
}

/** What is left of the pass for sparse operators once the whole model was measured: all, or what was not done. */
function judged(done: PipelineResult, timing: Timing, pass: Pass): PipelineResult {
  const whole = (kind: Remark['kind']) => remarkBy(pass, { kind, message: wholeText(timing) });
  if (timing.isFaster) return { ...done, remarks: [...done.remarks, whole('applied')] };
  const undone = done.remarks.filter(({ kind }) => kind !== 'applied');
  return { gains: false, remarks: [...undone, whole('missed')] };
}

/** Where something else was done, no other word would say it. */
function nothingSparse(remarks: readonly Remark[], pass: Pass): Remark {
  const isMissed = remarks.some(({ kind }) => kind === 'missed');
  const why = isMissed ? 'no layer would be faster as one' : 'no layer has scattered zeros';
  return remarkBy(pass, { kind: 'note', message: `nothing became a sparse operator: ${why}` });
}

/** What the file says of its own making: the masks by name and hash, so that it can be made again. */
function metadataOf(options: CompileOptions, { report }: Masking): Record<string, string> {
  const files = report?.files.map(({ path, sha256 }) => ({ file: basename(path), sha256 }));
  return {
    'prune-compile.version': TOOL.version,
    'prune-compile.options': JSON.stringify(plainOptions(options)),
    ...(files !== undefined && files.length > 0 && { 'prune-compile.masks': JSON.stringify(files) }),
  };
}

function checkAlign(align: CompileOptions['align']): void {
  if (align === undefined || align === 'auto' || (Number.isSafeInteger(align) && align >= 1)) return;
  throw new PruneCompileError('E-USAGE', {
    what: `align cannot be ${align}`,
    facts: [['try', "'auto', 1 for the smallest model, or the width multiple that the processor likes: 4, 8, 16"]],
  });
}

function checkSparse({ sparse, target = 'cpu' }: CompileOptions): void {
  if (sparse !== true || target === 'cpu') return;
  throw new PruneCompileError('E-USAGE', {
    what: `--sparse does not fit --target ${target}: sparse operators run on the CPU only`,
    facts: [['try', 'one of the two']],
  });
}

function checkTuning({ sparse, sparseTarget, tune }: CompileOptions): void {
  const [option, why] =
    sparse !== true && tune !== undefined
      ? ['--tune', 'it measures sparse operators, which nothing asks for']
      : sparse !== true && sparseTarget !== undefined
        ? ['--sparse-target', 'it is about sparse operators, which nothing asks for']
        : tune !== undefined && sparseTarget !== undefined
          ? ['--tune', 'it measures this machine, and --sparse-target names another']
          : [];
  // A table that cannot be used is said before any work is done.
  if (sparseTarget !== undefined) chooseTable(sparseTarget);
  if (option === undefined || why === undefined) return;
  const remedy =
    sparse === true ? 'one of the two: --tune here, or --sparse-target for a machine elsewhere' : '--sparse';
  throw new PruneCompileError('E-USAGE', {
    what: `${option} does not fit the other options`,
    facts: [
      ['why', why],
      ['try', remedy],
    ],
  });
}

function plainOptions(options: CompileOptions): Record<string, unknown> {
  const {
    sparse = false,
    structured = !sparse,
    align = 'auto',
    target = 'cpu',
    passes: names,
    skip,
    stopAfter,
  } = options;
  const { meaning = 'zero', maskPrefix, maskSoft, maskLayout, allowUnmatched, sparseTarget, tune } = options;
  return {
    structured,
    sparse,
    ...(sparseTarget !== undefined && {
      sparseTarget: typeof sparseTarget === 'string' ? sparseTarget : sparseTarget.name,
    }),
    ...(tune !== undefined && { tune: true }),
    align,
    target,
    meaning,
    ...(maskPrefix !== undefined && { maskPrefix }),
    ...(maskSoft !== undefined && { maskSoft }),
    ...(maskLayout !== undefined && { maskLayout }),
    ...(allowUnmatched !== undefined && { allowUnmatched }),
    ...(names && { passes: names }),
    ...(skip && { skip }),
    ...(stopAfter !== undefined && { stopAfter }),
  };
}
