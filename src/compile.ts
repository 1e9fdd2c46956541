/**
 * The whole flow in one page: bytes -> graph -> masks -> passes to a fixpoint -> sparse operators
 * -> report. Nothing is printed, and nothing is written until `write` is called. Verification and
 * benchmark are the caller's next steps (src/verify, src/bench).
 */
import { basename } from 'node:path';
import type { PassContext } from '../passes/pass.js';
import { countModel } from './figures/figures.js';
import { inspectGraph } from './graph-info/inspect-graph.js';
import { concreteSizes } from './graph-info/sizes.js';
import { EAGER } from './cost/sparse-tables.js';
import { unreadWeights } from './figures/unread-weights.js';
import { KeptChannels } from './retraining/channels.js';
import { type Trace, traceWeights } from './retraining/trace.js';
import { type Compiled, compiledOf } from './compile/compiled.js';
import { checkOptions, type CompileOptions, recordedOptions } from './compile/options.js';
import { compileReport } from './compile/report.js';
import { makeSparse, nothingSparse } from './compile/sparse-stage.js';
import { Stages } from './compile/stages.js';
import { requireSizes, Tuner } from './compile/tuning.js';
import { asksForMasks, maskingText, type Masking, UNMASKED } from './masking/masking.js';
import { type Model, readModel } from './onnx/read.js';
import { encodedSize, type WriteOptions } from './onnx/write.js';
import { choosePasses, passContext, deviceRemarks, runPasses } from './pipeline.js';
import { TOOL } from './version.js';

export type { Compiled } from './compile/compiled.js';
export type { CompileOptions } from './compile/options.js';

/**
 * Compiles a model given as path or bytes. Throws PruneCompileError for input that cannot be
 * compiled.
 */
export async function compileModel(source: string | Uint8Array, options: CompileOptions = {}): Promise<Compiled> {
  checkOptions(options);
  const { sparse = false, structured = !sparse } = options;
  const list = choosePasses(structured ? 'structured' : 'inspection', options.passes, options.skip);
  const stages = new Stages(options);

  const model = await stages.run('load', () => readModel(source), loadText);
  const { masking, traced } = await applyMasks(model, options, stages);

  const tuner = options.tune && new Tuner(options.tune, model, allSparse, options.signal);
  const context = passContext(model, options, tuner?.measure);
  const { editor, graphInfo } = context;
  if (tuner !== undefined) requireSizes(model, (await graphInfo()).shapes, options.shapes);
  const before = await stages.run('analyse', () => count(context));
  const kept = new KeptChannels(model.graph, traced ?? traceWeights(await graphInfo(), model.proto), editor.provenance);

  const passed = await stages.run('passes', () => runPasses(list, context, options.signal));
  const counted = await stages.run('count', () => count(context));

  // What follows makes operators that no rule knows: whatever is asked of the model as a whole is
  // asked before.
  const known = await graphInfo();
  const unread = unreadWeights(
    known,
    model.proto,
    masking.masked,
    list.some(({ entersSubgraphs }) => entersSubgraphs === true),
  );
  const sizes = concreteSizes(model.graph, known.shapes, options.shapes);
  const written: WriteOptions = {
    shapes: known.shapes.byName,
    metadata: metadataOf(options, masking),
    fixesInitializers: true,
  };
  const device = sparse ? [] : deviceRemarks(known, context.cost);
  const made = sparse ? await makeSparse(options, stages, { context, tuner, counted, written, sizes }) : undefined;

  const gains = passed.gains || made?.gains === true;
  const isUntold = made?.gains === false && !editor.stopped && (gains || masking.changed);
  const notes = made !== undefined && isUntold ? nothingSparse(made, options.skip) : [];
  const report = compileReport({
    model,
    source,
    options: recordedOptions(options),
    masks: masking.report,
    isMasked: masking.changed,
    gains,
    before,
    after: made?.after ?? counted,
    sizeBytes: gains ? encodedSize(model, written) : model.sizeBytes,
    macsShape: sizes,
    sparseLayers: made?.sparseLayers,
    remarks: [...passed.remarks, ...(made?.remarks ?? []), ...notes, ...device],
    unread,
    edits: editor.history,
    steps: stages.times,
  });
  return compiledOf({ source, options, model, report, masking, gains, written, kept, constants: known.constants });
}

function loadText({ graph }: Model): string {
  return `${graph.nodes.length} nodes, opset ${graph.opset}`;
}

interface Masked {
  readonly masking: Masking;
  /**
   * Whose the weights are. Masks rename them, so that it is asked before; undefined without masks.
   */
  readonly traced?: Trace;
}

async function applyMasks(model: Model, options: CompileOptions, stages: Stages): Promise<Masked> {
  if (!asksForMasks(options)) return { masking: UNMASKED };
  const { maskModel } = await import('./masking/masked-model.js');
  const asRead = await inspectGraph(model);
  const traced = traceWeights(asRead, model.proto);
  return { traced, masking: await stages.run('masks', () => maskModel(model, options, asRead), maskingText) };
}

async function count({ graphInfo, sparse }: PassContext) {
  return countModel(await graphInfo(), await sparse.sized());
}

/**
 * The model with everything sparse that can be: what a layer is measured with. Undefined where
 * nothing can.
 */
async function allSparse(dense: Uint8Array): Promise<Uint8Array | undefined> {
  const made = await compileModel(dense, { sparse: true, sparseTarget: EAGER });
  return made.report.changed ? made.encode() : undefined;
}

/**
 * What the file says of its own making: the masks by name and hash, so that it can be made again.
 */
function metadataOf(options: CompileOptions, { report }: Masking): Record<string, string> {
  const files = report?.files.map(({ path, sha256 }) => ({ file: basename(path), sha256 }));
  return {
    'prune-compile.version': TOOL.version,
    'prune-compile.options': JSON.stringify(recordedOptions(options)),
    ...(files !== undefined && files.length > 0 && { 'prune-compile.masks': JSON.stringify(files) }),
  };
}
