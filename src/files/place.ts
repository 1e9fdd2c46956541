/**
 * Where a file that is to be written really goes. Links are followed; what is no regular file is
 * refused, never replaced.
 */
import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf } from '../errors.js';

export interface Place {
  /** The file itself: links are followed, also to a file that is not there yet. */
  readonly path: string;
  /** What is there now; undefined where nothing is. */
  readonly there: Stats | undefined;
}

export interface Refusal {
  readonly why: string;
  readonly remedy: string;
  /** Whether what is there takes what a shell leads to it. */
  readonly isStream?: true;
}

/** What a link leads to is not there either. */
class Dangling extends Error {}

const MOST_LINKS = 40;

/** Most file systems take names of so many bytes. */
export const LONGEST_NAME = 255;

const OTHER_FOLDER = 'a path in a folder that exists';

export function placeOf(path: string): Place | Refusal {
  if (/[/\\]$/.test(path) && statOf(path) === undefined)
    return { why: `there is no folder ${path}`, remedy: OTHER_FOLDER };
  if (Buffer.byteLength(basename(path)) > LONGEST_NAME)
    return { why: `its name is longer than ${LONGEST_NAME} bytes`, remedy: 'a shorter name' };
  const there = statOf(path);
  if (there?.isDirectory() === true) return { why: 'it is a folder', remedy: OTHER_FOLDER };
  if (there !== undefined && !there.isFile())
    return {
      why: `it is ${kindOf(there)}, not a regular file: writing the output would replace it`,
      remedy: 'the path of a file',
      isStream: true,
    };
  try {
    return { path: there === undefined ? followed(path) : realpathSync(path), there };
  } catch (error) {
    if (error instanceof Dangling) return { why: error.message, remedy: OTHER_FOLDER };
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return { why: isMissing ? `there is no folder ${dirname(path)}` : messageOf(error), remedy: OTHER_FOLDER };
  }
}

function kindOf(there: Stats): string {
  if (there.isFIFO()) return 'a named pipe';
  return there.isSocket() ? 'a socket' : 'a device';
}

/** Whatever is wrong with a path, there is then no file that could be replaced. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Of a path at which nothing is: the folder has to be there, and a link leads to where it points.
 */
function followed(path: string): string {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const folder = folderOf(at, links > 0);
    at = join(folder, basename(at));
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) {
      if (!statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
      return at;
    }
    at = resolve(folder, readlinkSync(at));
  }
  throw new Error('its links lead in a circle');
}

function folderOf(path: string, isBehindLink: boolean): string {
  const folder = dirname(resolve(path));
  try {
    return realpathSync(folder);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isBehindLink && isMissing)
      throw new Dangling(`it is a link to ${path}, and there is no folder ${folder}`, { cause: error });
    throw error;
  }
}
