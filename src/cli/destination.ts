/**
 * Where the compiled model goes. It is written into a folder of its own beside the destination and moved when all checks
 * have passed: the names of its data files hold, and neither a crash nor a failed check touches what was there before.
 */
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import { noteTemporary } from './guard.js';

export const STDOUT = '-';

/** `model.onnx` -> `model.pruned.onnx` */
export function defaultOutput(model: string): string {
  const extension = extname(model);
  return `${extension === '' ? model : model.slice(0, -extension.length)}.pruned${extension === '' ? '.onnx' : extension}`;
}

/** `model.onnx` -> `model.masks.safetensors` */
export function defaultMaskOutput(model: string): string {
  const extension = extname(model);
  return `${extension === '' ? model : model.slice(0, -extension.length)}.masks.safetensors`;
}

/** Throws unless `output` is a place that may be written, and none of `inputs` (compared as files, not as names). */
export function checkOutput(output: string, inputs: readonly string[], option: string): void {
  const there = statOf(output);
  if (there !== undefined && inputs.some((input) => isSameFile(there, statOf(input)))) {
    throw new PruneCompileError('E-OUTPUT-IS-INPUT', {
      what: `${output} is the input itself`,
      facts: [
        ['why', 'the input is never overwritten: the result is proven equal to it'],
        ['try', `${option} with another name`],
      ],
    });
  }
  const why =
    there?.isDirectory() === true
      ? 'it is a folder'
      : statOf(dirname(resolve(output)))?.isDirectory() === true
        ? undefined
        : `there is no folder ${dirname(output)}`;
  if (why !== undefined) {
    throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
      what: `cannot write ${output}`,
      facts: [
        ['why', why],
        ['try', `${option} with a path in a folder that exists`],
      ],
    });
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // Whatever is wrong with it, it is no file that could be replaced.
    return undefined;
  }
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.dev === other.dev && one.ino !== 0;
}

export class StagedOutput {
  /** Where the model is: first beside the destination, then there. */
  path: string;
  readonly #destination: string;
  readonly #folder: string;

  constructor(destination: string) {
    this.#destination = destination;
    try {
      this.#folder = mkdtempSync(join(dirname(destination), `.${basename(destination)}.`));
      noteTemporary(resolve(this.#folder));
    } catch (error) {
      throw unwritable(destination, error);
    }
    this.path = join(this.#folder, basename(destination));
  }

  /** Moves the files to their destination, the model last: it is what others look for. `inputs` are never replaced. */
  publish(inputs: readonly string[]): void {
    const model = basename(this.#destination);
    const names = readdirSync(this.#folder).toSorted((one, other) => Number(one === model) - Number(other === model));
    const folder = dirname(this.#destination);
    for (const name of names) checkOutput(join(folder, name), inputs, '--output');
    try {
      for (const name of names) renameSync(join(this.#folder, name), join(folder, name));
    } catch (error) {
      throw unwritable(this.#destination, error);
    }
    this.path = this.#destination;
    this.discard();
  }

  discard(): void {
    if (existsSync(this.#folder)) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function unwritable(path: string, cause: unknown): PruneCompileError {
  return new PruneCompileError('E-OUTPUT-UNWRITABLE', {
    what: `cannot write ${path}`,
    facts: [
      ['why', messageOf(cause)],
      ['try', '--output with a path in a folder you may write to'],
    ],
    cause,
  });
}
