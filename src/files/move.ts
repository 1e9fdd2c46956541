/** Several files to their places: all of them, or none. */
import { copyFileSync, linkSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface Move {
  readonly from: string;
  readonly to: string;
  /** A folder on the same file system, for what is there now. */
  readonly earlier: string;
}

interface Done {
  readonly to: string;
  /** What was there; undefined where nothing was. */
  readonly kept: string | undefined;
}

/** Thrown where the files that had been moved could not be taken back, either. */
export class NotRestored extends Error {
  override readonly name = 'NotRestored';
  readonly kept: readonly string[];

  constructor(kept: readonly string[], cause: unknown) {
    super('what was there before could not be put back', { cause });
    this.kept = kept;
  }
}

/**
 * In this order: the last one is what others wait for. A rename that fails takes back those before
 * it, and is thrown.
 */
export function moveTogether(moves: readonly Move[]): void {
  const done: Done[] = [];
  try {
    for (const [index, { from, to, earlier }] of moves.entries()) {
      const kept = keep(to, join(earlier, String(index)));
      done.push({ to, kept });
      renameSync(from, to);
    }
  } catch (error) {
    takeBack(done, error);
    throw error;
  }
  for (const { kept } of done) if (kept !== undefined) rmSync(kept, { force: true });
}

/** A second name of the file: then there is no moment at which nothing is at its place. */
function keep(to: string, kept: string): string | undefined {
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    linkSync(to, kept);
  } catch {
    // Not all file systems have links.
    copyFileSync(to, kept);
  }
  return kept;
}

function takeBack(done: readonly Done[], cause: unknown): void {
  const left: string[] = [];
  for (const { to, kept } of done.toReversed()) {
    try {
      if (kept === undefined) rmSync(to, { force: true });
      else {
        renameSync(kept, to);
        // Two names of one file are left alone by a rename.
        rmSync(kept, { force: true });
      }
    } catch {
      left.push(kept ?? to);
    }
  }
  if (left.length > 0) throw new NotRestored(left, cause);
}
