/**
 * The stage that makes sparse operators. It runs once, after all other passes: no rule knows what
 * it makes. With --tune the whole model is measured with its sparse operators and without, and they
 * are taken back where they are not faster.
 */
import type { Pass, PassContext, Remark } from '../../passes/pass.js';
import type { Counts } from '../figures/figures.js';
import { countSparse, storedFigures } from '../figures/sparse-figures.js';
import type { Sizes } from '../graph-info/sizes.js';
import { encodeModel, type WriteOptions } from '../onnx/write.js';
import { choosePasses, type PipelineResult, remarkBy, runOnce } from '../pipeline.js';
import type { CompileOptions } from './options.js';
import type { Stages } from './stages.js';
import { type Timing, type Tuner, wholeText } from './tuning.js';

/** What came of it. */
export interface SparseResult extends PipelineResult {
  /** Counts of the model as it is now. */
  readonly after: Counts;
}

export interface SparseWork {
  readonly context: PassContext;
  /** Set with --tune. */
  readonly tuner: Tuner | undefined;
  /** Counts of the model before the stage. */
  readonly counted: Counts;
  /** How the model is written, and the sizes that it is measured at. */
  readonly written: WriteOptions;
  readonly sizes: Sizes;
}

export async function makeSparse(options: CompileOptions, stages: Stages, work: SparseWork): Promise<SparseResult> {
  const { context, tuner, counted } = work;
  const { model, editor } = context;
  const stored = storedFigures(model.graph);
  const list = choosePasses('sparse', undefined, options.skip);
  const pass = list.find(({ about }) => about === 'sparse');
  const dense = tuner && encodeModel(model, work.written);
  const revert = tuner && editor.checkpoint();
  const made = await stages.run('sparse', () => runOnce(list, context), tuner && (() => tuner.text));
  if (pass === undefined || !made.gains) return { ...made, after: counted };
  const after = () => countSparse(counted, stored, model.graph);
  if (tuner === undefined || dense === undefined) return { ...made, after: after() };
  const compare = () => tuner.compare(dense, encodeModel(model, work.written), work.sizes);
  const timing = await stages.run('tune', compare, wholeText);
  if (!timing.isFaster) revert?.();
  return { ...judged(made, timing, pass), after: timing.isFaster ? after() : counted };
}

/** What is left of the pass once the whole model was measured: all, or what was not done. */
function judged(made: PipelineResult, timing: Timing, pass: Pass): PipelineResult {
  const whole = (kind: Remark['kind']) => remarkBy(pass, { kind, message: wholeText(timing) });
  if (timing.isFaster) return { ...made, remarks: [...made.remarks, whole('applied')] };
  const undone = made.remarks.filter(({ kind }) => kind !== 'applied');
  return { gains: false, remarks: [...undone, whole('missed')] };
}

/**
 * A note for a model that other passes changed while no layer became sparse: no other remark would
 * mention that.
 */
export function nothingSparse({ remarks }: PipelineResult, skip: CompileOptions['skip']): Remark[] {
  const pass = choosePasses('sparse', undefined, skip).find(({ about }) => about === 'sparse');
  if (pass === undefined) return [];
  const isMissed = remarks.some(({ kind }) => kind === 'missed');
  const why = isMissed ? 'none would be faster' : 'none has scattered zeros';
  return [remarkBy(pass, { kind: 'note', message: `no layer became a sparse operator: ${why}` })];
}
