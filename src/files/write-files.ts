/** Files at once: written beside their places, then moved there together. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import { type Move, moveTogether, NotRestored } from './move.js';
import { placeOf } from './place.js';
import { Staging } from './staging.js';

const LARGEST_WRITE = 2 ** 30;

/**
 * Either all are there afterwards or none, and what was there before. Files are replaced; other
 * things are refused. Returns total bytes.
 */
export function writeFiles(files: readonly { path: string; chunks: Iterable<Uint8Array> }[]): number {
  const stagings: Staging[] = [];
  let total = 0;
  try {
    const moves = files.map(({ path, chunks }): Move => {
      const to = requirePlace(path);
      const staging = new Staging(dirname(to));
      stagings.push(staging);
      const from = join(staging.made, basename(to));
      total += writeChunks(from, chunks);
      return { from, to, earlier: staging.earlier };
    });
    moveTogether(moves);
  } catch (error) {
    throw error instanceof PruneCompileError ? error : unwritable(files.at(-1)?.path ?? 'the output', error);
  } finally {
    for (const staging of stagings) staging.discard();
  }
  return total;
}

/**
 * Where a file of this name really goes. `canStream`: whether the option takes `-` for standard
 * output. Throws E-OUTPUT-UNWRITABLE.
 */
export function requirePlace(path: string, option = '--output', canStream = false): string {
  const place = placeOf(path);
  if ('path' in place) return place.path;
  throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
    what: `cannot write ${path}`,
    facts: [
      ['why', place.why],
      [
        'try',
        `${option} with ${place.remedy}${canStream && place.isStream === true ? `; or ${option} - > ${path}` : ''}`,
      ],
    ],
  });
}

export function unwritable(path: string, cause: unknown, option = '--output'): PruneCompileError {
  const kept = cause instanceof NotRestored ? cause.kept : [];
  const why = messageOf(cause instanceof NotRestored ? cause.cause : cause);
  return new PruneCompileError('E-OUTPUT-UNWRITABLE', {
    what: `cannot write ${path}`,
    facts: [
      ['why', why],
      ...(kept.length === 0
        ? []
        : [['left', `what was there before could not be put back: ${kept.join(', ')}`] as const]),
      ['try', `${option} with a path in a folder you may write to`],
    ],
    cause,
  });
}

function writeChunks(path: string, chunks: Iterable<Uint8Array>): number {
  let total = 0;
  const file = openSync(path, 'w');
  try {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at, Math.min(chunk.length - at, LARGEST_WRITE));
      total += chunk.length;
    }
  } finally {
    closeSync(file);
  }
  return total;
}
