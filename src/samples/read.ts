/**
 * The files that `--inputs` names: one file with arrays, or a folder. A folder is read to its end,
 * in the order of its names (2 before 10); what in it is neither arrays nor images is noted.
 */
import { readdirSync, statSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { readArrays, unreadable } from './arrays.js';
import { IMAGE_EXTENSIONS } from './images.js';
import { type SampleSet, type Samples, unusable } from './samples.js';

const ARRAY_EXTENSIONS: readonly string[] = ['.npy', '.npz', '.pb', '.pt', '.pth', '.safetensors'];

/** Arrays, or the paths of images, which are decoded when the model says how. */
export interface GivenFiles extends Samples {
  readonly images: readonly string[];
}

/** Throws E-INPUT-MISSING, E-INPUT-UNREADABLE and E-INPUTS. */
export function readSamples(path: string): GivenFiles {
  if (!isFolder(path)) {
    if (isImage(path)) return { path, sets: [], images: [path], notes: [] };
    return { path, sets: [readArrays(path)], images: [], notes: [] };
  }
  const files = filesBelow(path);
  const images = files.filter(isImage);
  const arrays = files.filter((file) => ARRAY_EXTENSIONS.includes(extensionOf(file)) && !isExpectation(file));
  if (images.length === 0 && arrays.length === 0) throw unusable(path, 'the folder has neither arrays nor images');
  if (images.length > 0 && arrays.length > 0)
    throw unusable(
      path,
      `the folder has both ${nameIn(path, images)} and ${nameIn(path, arrays)}`,
      'a folder of one kind',
    );
  const others = files.filter((file) => !images.includes(file) && !arrays.includes(file));
  return { path, sets: testSets(arrays), images, notes: othersNote(path, others) };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw unreadable(path, error);
  }
}

const collator = new Intl.Collator('en', { numeric: true });

/** Without hidden files. */
function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !/(^|[/\\])\./.test(relative(folder, file)))
      .toSorted((one, other) => collator.compare(one, other));
  } catch (error) {
    throw unreadable(folder, error);
  }
}

function extensionOf(path: string): string {
  return extname(path).toLowerCase();
}

export function isImage(path: string): boolean {
  return IMAGE_EXTENSIONS.includes(extensionOf(path));
}

/** `input_0.pb`, `input_1.pb` of one folder are one run, as in the test sets of ONNX. */
const PART = /^input_\d+\.pb$/;

/** What the model should give, which lies beside them there. */
function isExpectation(path: string): boolean {
  return /^output_\d+\.pb$/.test(path.slice(dirname(path).length + 1));
}

function testSets(arrays: readonly string[]): SampleSet[] {
  const sets: SampleSet[] = [];
  const parts = new Map<string, string[]>();
  for (const file of arrays) {
    const folder = dirname(file);
    if (PART.test(file.slice(folder.length + 1))) {
      const part = parts.get(folder);
      if (part === undefined) parts.set(folder, [file]);
      else part.push(file);
    } else sets.push(readArrays(file));
  }
  for (const files of parts.values()) sets.push(files.flatMap(readArrays));
  return sets;
}

function nameIn(folder: string, [first = '']: readonly string[]): string {
  return relative(folder, first);
}

function othersNote(folder: string, others: readonly string[]): string[] {
  const [first] = others;
  if (first === undefined) return [];
  const more = others.length === 1 ? '' : ` and ${others.length - 1} more`;
  return [`not read as inputs: ${relative(folder, first)}${more} in ${folder}`];
}
