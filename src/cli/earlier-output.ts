/**
 * Whether a file that is in the way was written by this tool before: running a command again needs
 * no flag, losing somebody's file does.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export type OutputKind = 'model' | 'report' | 'channels' | 'state dict' | 'masks' | 'cost table' | 'exploration';

/** Headers and metadata are far smaller; of large files no more is read. */
const END_BYTES = 2 ** 20;

type Pattern = RegExp | string;

/**
 * What is looked for in the bytes, one character each; where both ends are named, both have to have
 * it.
 */
interface Mark {
  readonly kind: OutputKind;
  readonly start?: Pattern;
  readonly end?: Pattern;
}

const MARKS: readonly Mark[] = [
  // metadata_props of a model: the key with its tag and length, then the tag of the value.
  { kind: 'model', end: '\n\u0015prune-compile.version\u0012' },
  // Safetensors: the length of the header, which begins with its metadata.
  { kind: 'state dict', start: /^.{8}\{"__metadata__":\{"format":"pt","prune-compile\.version":/s },
  { kind: 'masks', start: /^.{8}\{"__metadata__":\{"prune-compile\.version":/s },
  // The comment at the end of a zip archive, with its length before it.
  { kind: 'masks', end: '\u0013\u0000prune-compile masks' },
  { kind: 'masks', start: /^\{\s*"format": "prune-compile masks",/ },
  { kind: 'cost table', start: /^\{\s*"format": "prune-compile sparse costs",/ },
  { kind: 'exploration', start: /^\{\s*"format": "prune-compile exploration",/ },
  { kind: 'report', start: /^# From where on pruning pays: [^\n]*\n/, end: /\nprune-compile [^\n ]+ explore\n$/ },
  { kind: 'report', start: /^\{\s*"format": "prune-compile exploration",/ },
  { kind: 'channels', start: /^\{\n {2}"schema": \d+,\n {2}"weights": \[/ },
  { kind: 'report', start: /^\{\s*"schema": \d+,\s*"tool": \{\s*"name": "prune-compile",/ },
  { kind: 'report', start: /^<!doctype html>\s[^]*<meta name="generator" content="prune-compile" \/>/ },
  // Somebody's notes may have a report at their end.
  { kind: 'report', start: /^# [^\n]* -> [^\n]*\n/, end: /\nprune-compile [^\n ]+; [^\n]+ written\.\n$/ },
];

/** Whether the file at `path` is an output of that kind, by its own words. */
export function isEarlierOutput(path: string, kind: OutputKind): boolean {
  const { start, end } = ends(path);
  return MARKS.some((mark) => mark.kind === kind && has(start, mark.start) && has(end, mark.end));
}

function has(text: string, pattern: Pattern = ''): boolean {
  return typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text);
}

/**
 * Nothing is lost with such a file: it is empty, as `mktemp` makes it, or says what `other` says.
 */
export function isNoLoss(path: string, other: string | undefined): boolean {
  return sizeOf(path) === 0 || (other !== undefined && isSame(path, other));
}

function ends(path: string): { start: string; end: string } {
  return reading(path, (file, size) => {
    const part = (from: number) => {
      const bytes = Buffer.alloc(Math.min(END_BYTES, size - from));
      return bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, from));
    };
    return { start: part(0), end: part(Math.max(0, size - END_BYTES)) };
  });
}

function sizeOf(path: string): number {
  return reading(path, (_, size) => size);
}

function isSame(one: string, other: string): boolean {
  return reading(one, (file, size) =>
    reading(other, (otherFile, otherSize) => {
      if (size !== otherSize) return false;
      const [a, b] = [Buffer.alloc(END_BYTES), Buffer.alloc(END_BYTES)];
      for (let at = 0; at < size;) {
        const read = readSync(file, a, 0, END_BYTES, at);
        if (read === 0 || readSync(otherFile, b, 0, END_BYTES, at) !== read) return false;
        if (!a.subarray(0, read).equals(b.subarray(0, read))) return false;
        at += read;
      }
      return true;
    }),
  );
}

function reading<Result>(path: string, read: (file: number, size: number) => Result): Result {
  const file = openSync(path, 'r');
  try {
    return read(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}
