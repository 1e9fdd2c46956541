/** What compile found and did, as the one report object. */
import { existsSync } from 'node:fs';
import type { Remark } from '../../passes/pass.js';
import { compareLayers, type Counts, type LayerFigures, macsOfBoth } from '../figures/figures.js';
import type { UnreadWeights } from '../figures/unread-weights.js';
import type { Sizes } from '../graph-info/sizes.js';
import type { MaskReport } from '../masking/mask-report.js';
import type { Model } from '../onnx/read.js';
import { type SparseReport, sparseReport } from '../report/sparse.js';
import { type CompileReport, REPORT_SCHEMA, type StepTime } from '../report/types.js';
import { unreadText } from '../report/unread.js';
import { kernelsPath } from '../runtime/kernels.js';
import { TOOL } from '../version.js';

export interface CompileFindings {
  readonly model: Model;
  readonly source: string | Uint8Array;
  readonly options: Readonly<Record<string, unknown>>;
  /** Without gains the output is the input, and what was only prepared is not told. */
  readonly gains: boolean;
  readonly masks: MaskReport | undefined;
  /** Whether masks changed weights: then the output is not the input even without gains. */
  readonly isMasked: boolean;
  readonly before: Counts;
  readonly after: Counts;
  /** Size of the compiled model. */
  readonly sizeBytes: number;
  readonly macsShape: Sizes;
  /** Layers that are sparse operators now; undefined where nothing is one. */
  readonly sparseLayers: number | undefined;
  readonly remarks: readonly Remark[];
  readonly unread: readonly UnreadWeights[];
  readonly edits: readonly string[];
  /** Filled further while the report is in use. */
  readonly steps: readonly StepTime[];
}

export function compileReport(findings: CompileFindings): CompileReport {
  const { model, source, options, gains, masks, isMasked, before, after } = findings;
  const { sizeBytes, macsShape, remarks, unread, edits, steps } = findings;
  const { sparseLayers } = findings;
  const macs = macsOfBoth(before, after);
  const layers = compareLayers(before.layers, gains ? after.layers : before.layers);
  const sparse = gains && sparseLayers !== undefined ? sparseFindings(sparseLayers, remarks) : undefined;
  const input = { ...before.figures, macs: macs.before, sizeBytes: model.sizeBytes };
  return {
    schema: REPORT_SCHEMA,
    tool: TOOL,
    input: typeof source === 'string' ? source : '(bytes)',
    output: undefined,
    options,
    changed: gains || isMasked,
    ...(masks !== undefined && { masks }),
    ...(sparse && { sparse }),
    ...(unread.length > 0 && { unreadWeights: unread }),
    before: input,
    after: gains ? { ...after.figures, macs: macs.after, channels: keptChannels(layers), sizeBytes } : input,
    macsShape,
    layers,
    remarks: [
      ...(gains ? [...remarks, ...overridable(model)] : remarks.filter(({ kind }) => kind !== 'applied')),
      ...(unread.length > 0 ? [{ pass: 'pipeline', kind: 'note' as const, message: unreadText(unread) }] : []),
    ],
    edits: gains ? edits : [],
    steps,
  };
}

/** What is said of sparse operators, and of no layer, tells how they were chosen. */
function sparseFindings(layers: number, remarks: readonly Remark[]): SparseReport {
  const decided = remarks
    .filter(({ about, kind, node }) => about === 'sparse' && kind !== 'missed' && node === undefined)
    .map(({ message }) => message);
  const library = kernelsPath();
  return sparseReport(layers, decided, { path: library, isFound: existsSync(library) });
}

/** Channels of the input's layers; convolutions that the compiler added are not counted. */
function keptChannels(layers: readonly LayerFigures[]): number {
  return layers.reduce((total, { keptOutputChannels }) => total + (keptOutputChannels ?? 0), 0);
}

/**
 * From IR 4 on a caller may feed other values for initializers that are listed as inputs; nothing
 * was proved about those.
 */
function overridable({ graph }: Model): Remark[] {
  const count = graph.inputs.filter(({ initializer }) => initializer !== undefined).length;
  if (count === 0) return [];
  const message = `${count} initializers that are also inputs of the model were taken as constants: they can no longer be fed`;
  return [{ pass: 'pipeline', kind: 'applied', message }];
}
