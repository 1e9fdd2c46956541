/**
 * The result of a compilation: what can be had of it. Nothing is encoded or written before it is
 * asked for.
 */
import { readFileSync } from 'node:fs';
import { type Channels, type KeptChannels } from '../retraining/channels.js';
import { requireDense } from '../retraining/dense-only.js';
import { encodeStateDict, stateDictOf } from '../retraining/state-dict.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { writeFiles } from '../files/write-files.js';
import type { Masking } from '../masking/masking.js';
import { type Model, readModel } from '../onnx/read.js';
import { encodeModel, writeModel, type WriteOptions } from '../onnx/write.js';
import type { CompileReport } from '../report/types.js';
import type { MaskPlan } from '../verify/masked-reference.js';
import type { CompileOptions } from './options.js';

export interface Compiled {
  readonly input: Model;
  readonly report: CompileReport;
  /** The compiled model as bytes; the input's own bytes when nothing was to do. */
  encode(): Uint8Array;
  /**
   * Writes the compiled model (see writeModel) and returns its size in bytes. A file that is there
   * is replaced.
   */
  write(path: string): number;
  /**
   * What the compiled model must compute besides the input: undefined without masks. For
   * src/verify/masked-reference.ts.
   */
  readonly maskPlan: MaskPlan | undefined;
  /** The input with its masks in its weights, nothing removed: a contender for benchmarks. */
  masked(): string | Uint8Array;
  /** Which channels of the original weights are still there; plain data (see docs/retrain.md). */
  channels(): Channels;
  /**
   * The small weights under their PyTorch names and in PyTorch's layouts, as a safetensors file.
   * Throws E-STATE-DICT.
   */
  stateDict(): Uint8Array;
}

export interface CompiledParts {
  readonly source: string | Uint8Array;
  readonly options: CompileOptions;
  /** The graph of this model was edited. */
  readonly model: Model;
  readonly report: CompileReport;
  readonly masking: Masking;
  /**
   * Without gains the passes only prepared things: then nothing but the masks is written, or
   * nothing at all.
   */
  readonly gains: boolean;
  readonly written: WriteOptions;
  readonly kept: KeptChannels;
  readonly constants: GraphInfo['constants'];
}

export function compiledOf(parts: CompiledParts): Compiled {
  const { source, options, model, report, masking, gains, written, kept } = parts;
  const original = () => (typeof source === 'string' ? readFileSync(source) : source);
  const masked = () => {
    const again = readModel(source);
    masking.apply(again);
    return again;
  };
  const result = () => (gains ? model : masking.changed ? masked() : undefined);
  return {
    input: model,
    report,
    maskPlan: masking.plan,
    encode: () => {
      const made = result();
      return made === undefined ? original() : encodeModel(made, written);
    },
    write: (path) => {
      const made = result();
      if (made !== undefined) return writeModel(made, path, written);
      // Its data file gets another name, so that it is no copy of the input anyway.
      if (model.hasExternalData) return writeModel(readModel(source), path, { metadata: written.metadata ?? {} });
      return writeFiles([{ path, chunks: [original()] }]);
    },
    masked: () => (masking.changed ? encodeModel(masked()) : source),
    channels: () => {
      requireDense(options);
      return kept.channels(gains);
    },
    stateDict: () => {
      requireDense(options);
      return encodeStateDict(stateDictOf(kept.smallState(parts.constants)), kept.channels(gains));
    },
  };
}
