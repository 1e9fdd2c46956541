/** Running passes: the context they share, the order they run in, and the loop to a fixpoint. */
import { setImmediate } from 'node:timers/promises';
import { twoOfFourNote } from '../passes/channels/two-of-four.js';
import { passes, pipelines } from '../passes/index.js';
import { removeChannels } from '../passes/remove-channels.js';
import type { Pass, PassContext, PassResult, Remark, SparseJudgement } from '../passes/pass.js';
import { analyze } from './channels/facts.js';
import { chooseTable, type SparseTarget } from './cost/sparse-target.js';
import { CostModel, type Target } from './cost/width-cost.js';
import { messageOf, PruneCompileError } from './errors.js';
import type { GraphInfo } from './graph-info/graph-info.js';
import { checkModel, findGraphInfo } from './graph-info/inspect-graph.js';
import { atSizes, batchAt, concreteSizes, type Sizes } from './graph-info/sizes.js';
import { Editor } from './ir/editor.js';
import { encodeProto } from './onnx/encode.js';
import type { Model } from './onnx/read.js';
import { compileSubgraph } from './subgraph.js';
import { createGuarded } from './runtime/guarded-session.js';
import { findShapes } from './runtime/inputs.js';

/**
 * Rounds of the pass list; each round but the last removes something, and models need two or three.
 */
const MOST_ROUNDS = 16;

export interface ContextOptions {
  readonly align?: number | 'auto';
  readonly target?: Target;
  readonly stopAfter?: number;
  readonly shapes?: Sizes;
  readonly sparseTarget?: SparseTarget;
}

export function passContext(
  model: Model,
  options: ContextOptions = {},
  measure?: SparseJudgement['measure'],
): PassContext {
  const { align = 'auto', target = 'cpu', stopAfter, shapes, sparseTarget } = options;
  checkModel(model);
  const editor = new Editor(model.graph, stopAfter === undefined ? {} : { stopAfter });
  const graphInfo = untilEdited(editor, () =>
    findGraphInfo(model).catch((error: unknown) => blame(error, editor, model)),
  );
  const facts = untilEdited(editor, async () => analyze(await graphInfo()));
  const sized = async () => {
    const known = await graphInfo();
    return atSizes(known, model.proto, concreteSizes(model.graph, known.shapes, shapes));
  };
  const sparse = {
    choice: () => chooseTable(sparseTarget),
    sized,
    batch: () => batchAt(model.graph, shapes),
    ...(measure && { measure }),
  };
  const cost = new CostModel(target, align);
  // Which passes are to run inside is known to whoever runs them.
  return { model, editor, cost, sparse, graphInfo, facts, compileSubgraph: () => Promise.resolve(undefined) };
}

/**
 * A model that loaded and does not after an edit: the edit is wrong, unless the model itself does
 * not run either.
 */
async function blame(error: unknown, { history }: Editor, model: Model): Promise<never> {
  const lastEdit = history.at(-1);
  if (lastEdit === undefined) throw error;
  await requireRunning(model);
  throw new PruneCompileError('E-INTERNAL', {
    what: `after the edit "${lastEdit}" ONNX Runtime cannot load the model any more`,
    facts: [['try', `--stop-after ${history.length - 1}`]],
    cause: error,
  });
}

/**
 * Throws E-MODEL-RUNTIME. What a model computes wrongly for itself, such as the target of a
 * Reshape, shows on load once it is a constant.
 */
async function requireRunning({ path, proto }: Model): Promise<void> {
  // It may crash, and it may not end.
  const session = await createGuarded(path ?? encodeProto(proto), { optimize: false });
  try {
    await findShapes(session);
  } finally {
    await session.release();
  }
}

/** What `compute` gives for the graph as it is, computed again only after an edit. */
function untilEdited<Result>(editor: Editor, compute: () => Promise<Result>): () => Promise<Result> {
  let known: { edits: number; result: Result } | undefined;
  return async () => {
    if (known?.edits !== editor.history.length) known = { edits: editor.history.length, result: await compute() };
    return known.result;
  };
}

export interface PipelineResult {
  readonly remarks: readonly Remark[];
  /** Whether anything pruned went; without it the edits are preparations that nobody asked for. */
  readonly gains: boolean;
  /** Layers that are sparse operators now; absent where nothing is one. */
  readonly sparseLayers?: number;
}

/** What a pass says, with its name. */
export function remarkBy({ name, about }: Pass, remark: PassResult['remarks'][number]): Remark {
  return { pass: name, ...(about !== undefined && { about }), ...remark };
}

/** Notes on zeros that no pass takes and other runtimes may, and on widths that nobody measured. */
export function deviceRemarks(graphInfo: GraphInfo, { align, rule }: CostModel): Remark[] {
  const zeros = twoOfFourNote(graphInfo);
  const widths: PassResult['remarks'] =
    rule === undefined
      ? []
      : [
          {
            kind: 'note',
            message: `widths are multiples of ${align} by a rule that no device has measured here: ${rule}`,
          },
        ];
  return [...widths, ...(zeros === undefined ? [] : [zeros])].map((note) => remarkBy(removeChannels, note));
}

/**
 * Runs the list until a whole round changes nothing, and then what is to run last. What was missed
 * is said once, by the last round.
 */
export async function runPasses(
  list: readonly Pass[],
  given: PassContext,
  signal?: AbortSignal,
): Promise<PipelineResult> {
  const inside = (model: Model) => {
    const inner: PassContext = { ...passContext(model), cost: given.cost };
    return { context: inner, run: () => runPasses(list, inner, signal) };
  };
  const context: PassContext = {
    ...given,
    compileSubgraph: (node, name) => compileSubgraph(given, node, name, inside),
  };
  const repeated = list.filter(({ isLast }) => isLast !== true);
  const last = list.filter(({ isLast }) => isLast === true);
  const applied: Remark[] = [];
  let missed: Remark[] = [];
  let gains = false;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let changed = false;
    missed = [];
    for (const pass of repeated) {
      // Signals such as Ctrl-C arrive between turns of the event loop only.
      await setImmediate();
      signal?.throwIfAborted();
      const result = await runPass(pass, context);
      changed ||= result.changed;
      gains ||= result.gains;
      for (const remark of result.remarks) (remark.kind === 'applied' ? applied : missed).push(remarkBy(pass, remark));
    }
    if (changed) continue;
    const closing = await runOnce(last, context);
    return { remarks: [...applied, ...missed, ...closing.remarks], gains: gains || closing.gains };
  }
  const message = `stopped after ${MOST_ROUNDS} rounds that each changed something`;
  return { remarks: [...applied, ...missed, { pass: 'pipeline', kind: 'missed', message }], gains };
}

/** Runs each pass of the list once. */
export async function runOnce(list: readonly Pass[], context: PassContext): Promise<PipelineResult> {
  const remarks: Remark[] = [];
  let gains = false;
  let sparseLayers: number | undefined;
  for (const pass of list) {
    const result = await runPass(pass, context);
    gains ||= result.gains;
    sparseLayers = result.sparseLayers ?? sparseLayers;
    remarks.push(...result.remarks.map((remark) => remarkBy(pass, remark)));
  }
  return { remarks, gains, ...(sparseLayers !== undefined && { sparseLayers }) };
}

/**
 * A pass does not throw for a model it cannot improve; when it does, that is a bug, and says where.
 */
async function runPass(pass: Pass, context: PassContext): Promise<PassResult> {
  try {
    const result = await pass.run(context);
    if (result.changed) context.editor.verify();
    return result;
  } catch (error) {
    if (error instanceof PruneCompileError) throw error;
    throw new PruneCompileError('E-INTERNAL', {
      what: `the pass ${pass.name} failed: ${messageOf(error)}`,
      facts: [
        ['last edit', context.editor.history.at(-1) ?? 'none'],
        ['try', `--skip ${pass.name}`],
      ],
      cause: error,
    });
  }
}

const STRUCTURED: ReadonlySet<string> = new Set(pipelines.structured);
/** What these make no rule knows any more. */
const LATE: ReadonlySet<string> = new Set(pipelines.sparse.filter((name) => !STRUCTURED.has(name)));

/**
 * The passes of a preset, or those named, in order and without those skipped. Throws E-USAGE for
 * unknown names.
 */
export function choosePasses(
  preset: keyof typeof pipelines,
  names?: readonly string[],
  skip: readonly string[] = [],
): Pass[] {
  const wanted = names ?? pipelines[preset];
  const late = preset === 'sparse' ? undefined : names?.find((name) => LATE.has(name));
  if (late !== undefined) {
    throw new PruneCompileError('E-USAGE', {
      what: `${late} cannot be used with --passes: it runs once, after all other passes`,
      facts: [['try', '--sparse']],
    });
  }
  for (const name of [...wanted, ...skip]) {
    if (!passes.some((pass) => pass.name === name)) {
      throw new PruneCompileError('E-USAGE', {
        what: `there is no pass "${name}"`,
        facts: [['passes', passes.map((pass) => pass.name).join(', ')]],
      });
    }
  }
  return wanted.filter((name) => !skip.includes(name)).flatMap((name) => passes.filter((pass) => pass.name === name));
}
