/** What a user gave to run models with, before any model is asked what it takes. */
import { PruneCompileError } from '../errors.js';
import type { Tensor } from '../ir/tensor.js';

export interface GivenArray {
  /** The input that it is for; undefined where its file names none. */
  readonly name: string | undefined;
  /** Where it is from: `images.npz, array x`. */
  readonly from: string;
  readonly tensor: Tensor;
}

/** The arrays of one file, or of one folder of a test set: what belongs together in a run. */
export type SampleSet = readonly GivenArray[];

export interface Samples {
  readonly path: string;
  readonly sets: readonly SampleSet[];
  /** What was left aside, in words. */
  readonly notes: readonly string[];
}

const FORMATS =
  '.npy (numpy.save), .npz (numpy.savez), .pt (torch.save), .safetensors, .pb (TensorProto), or a folder of such files or of images';

/** A file of `--inputs` or `--labels` that does not say what it should. */
export function unusable(path: string, why: string, hint = FORMATS, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-INPUTS', {
    what: `${path} cannot be used as given data`,
    facts: [
      ['why', why],
      ['try', hint],
    ],
    cause,
  });
}
