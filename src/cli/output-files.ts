/**
 * All files that a command writes. They are written in staging folders beside their places and
 * moved there together when all checks have passed: the names of data files hold, and neither a
 * crash, a failed check nor a failed move touches what was there before.
 */
import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { type Move, moveTogether } from '../files/move.js';
import { Staging } from '../files/staging.js';
import { requirePlace, unwritable } from '../files/write-files.js';
import { checkEarlier, checkOutput, type Wanted } from './destination.js';

interface Staged {
  readonly wanted: Wanted;
  /** The file itself, behind links. */
  readonly to: string;
  readonly staging: Staging;
}

export class OutputFiles {
  readonly #mayReplace: boolean;
  #staged: Staged[] = [];

  /** `mayReplace`: also what this tool did not write. */
  constructor(mayReplace = false) {
    this.#mayReplace = mayReplace;
  }

  /**
   * What `write` puts at the path that it is given, and beside it, is moved by `publish`. The model
   * comes first: it is moved last. Errors name the file that was asked for.
   */
  write<Result>(wanted: Wanted, write: (staged: string) => Result): { readonly path: string; readonly result: Result } {
    const to = requirePlace(wanted.path, wanted.option, wanted.canStream);
    const staging = this.#stage(wanted, to);
    const path = join(staging.made, basename(to));
    try {
      return { path, result: write(path) };
    } catch (error) {
      throw renamed(error, wanted, staging.made, dirname(to));
    }
  }

  add(wanted: Wanted, contents: string | Uint8Array): void {
    this.write(wanted, (path) => writeFileSync(path, contents));
  }

  #stage(wanted: Wanted, to: string): Staging {
    try {
      const staging = new Staging(dirname(to));
      this.#staged.push({ wanted, to, staging });
      return staging;
    } catch (error) {
      throw unwritable(wanted.path, error, wanted.option);
    }
  }

  /** Moves all files to their places, or none of them. `inputs` are never replaced. */
  publish(inputs: readonly string[]): void {
    const moves = this.#staged.toReversed().flatMap((entry) => this.#movesOf(entry, inputs));
    try {
      moveTogether(moves);
    } catch (error) {
      const { path, option } = this.#staged[0]?.wanted ?? { path: 'the output', option: '--output' };
      throw unwritable(path, error, option);
    }
    this.discard();
  }

  /** What was not published is gone. */
  discard(): void {
    for (const { staging } of this.#staged) staging.discard();
    this.#staged = [];
  }

  #movesOf({ wanted, to, staging }: Staged, inputs: readonly string[]): Move[] {
    const file = basename(to);
    const made = readdirSync(staging.made);
    const others = made.filter((name) => name !== file);
    const move = (name: string): Move => ({
      from: join(staging.made, name),
      to: join(dirname(to), name),
      earlier: staging.earlier,
    });
    checkOutput(wanted, inputs);
    if (!this.#mayReplace) checkEarlier(wanted, inputs[0], join(staging.made, file));
    for (const name of others) this.#checkData({ ...wanted, path: move(name).to }, to, inputs, move(name).from);
    return [...others, file].map(move);
  }

  /** A data file belongs to the model beside it: it is ours where that is. */
  #checkData(wanted: Wanted, model: string, inputs: readonly string[], made: string): void {
    checkOutput(wanted, inputs);
    // The model names it as a file beside itself, which a link leads away from.
    if (lstatSync(wanted.path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      throw unwritable(wanted.path, 'it is a link, and data files are not written through links', wanted.option);
    if (!this.#mayReplace) checkEarlier({ ...wanted, markedBy: model }, undefined, made);
  }
}

/**
 * What cannot be written is told of the place that the user knows. Other errors are none of the
 * output's.
 */
function renamed(error: unknown, { path, option }: Wanted, staged: string, folder: string): unknown {
  const isOurs = error instanceof PruneCompileError;
  if (isOurs && error.code !== 'E-OUTPUT-UNWRITABLE') return error;
  const cause = isOurs ? error.cause : error;
  if (!(cause instanceof Error && 'code' in cause && 'syscall' in cause)) return error;
  return unwritable(path, new Error(cause.message.replaceAll(staged, folder), { cause }), option);
}
