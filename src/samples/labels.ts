/**
 * The right class of each sample: whole numbers, one a line or as an array; or an array with a row
 * of scores for each sample, of which the largest is the class (outputs of another model, one-hot).
 */
import { extname } from 'node:path';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { readArrays, readWhole } from './arrays.js';
import { type GivenArray, unusable } from './samples.js';
import { largest } from './scores.js';

export interface ReadLabels {
  readonly path: string;
  readonly classes: readonly number[];
  readonly note?: string;
}

const HINT = 'one whole number for each sample: a .txt file with one a line, or an array (.npy, .npz, .pb)';

/** Names that an array of labels has in a file of several. */
export const LABEL_NAMES: readonly string[] = ['labels', 'label', 'targets', 'target', 'y', 'classes'];

/** Throws E-INPUT-… and E-INPUTS. `of` names the samples. */
export function readLabels(path: string, samples: number, of: string): ReadLabels {
  const read = extname(path).toLowerCase() === '.txt' ? { classes: fromText(path) } : fromArray(path, samples);
  const { classes } = read;
  if (classes.length !== samples)
    throw unusable(path, `it has ${classes.length} labels, and ${of} has ${samples} samples`, HINT);
  const wrong = classes.find((label) => !Number.isSafeInteger(label) || label < 0);
  if (wrong !== undefined) throw unusable(path, `${wrong} is no class: classes are counted from 0`, HINT);
  return { path, ...read };
}

function fromText(path: string): number[] {
  const lines = Buffer.from(readWhole(path)).toString('utf8').split(/\r?\n/);
  while (lines.at(-1)?.trim() === '') lines.pop();
  return lines.map((line, at) => {
    if (/^\s*\d+\s*$/.test(line)) return Number(line);
    throw unusable(path, `line ${at + 1} is not a whole number`, HINT);
  });
}

function fromArray(path: string, samples: number): { classes: number[]; note?: string } {
  const { tensor, from } = labelArray(readArrays(path), path);
  const values = tensor.numbers();
  const [rows = 0, columns = 1] = tensor.dims;
  const isFlat = tensor.size === rows || columns === 1;
  if (isFlat && (!isFloating(tensor.dataType) || values.every(Number.isInteger))) return { classes: [...values] };
  if (tensor.dims.length !== 2 || rows !== samples || !isFloating(tensor.dataType))
    throw unusable(path, `${from} has the shape [${tensor.dims.join(', ')}]`, HINT);
  const classes = Array.from({ length: rows }, (_, row) =>
    largest(values.subarray(row * columns, (row + 1) * columns)),
  );
  return { classes, note: `${from}: the label of a sample is the largest of its ${columns} scores` };
}

function labelArray(arrays: readonly GivenArray[], path: string): { tensor: Tensor; from: string } {
  const [only] = arrays;
  if (arrays.length === 1 && only !== undefined) return only;
  const named = LABEL_NAMES.flatMap((name) => arrays.find((array) => array.name === name) ?? [])[0];
  if (named !== undefined) return named;
  throw unusable(path, `none of its ${arrays.length} arrays is called labels`, HINT);
}
