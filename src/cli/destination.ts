/** Where the outputs of a command go, and what may be replaced there. */
import { existsSync, type Stats, statSync } from 'node:fs';
import { extname } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { requirePlace } from '../files/write-files.js';
import { isEarlierOutput, isNoLoss, type OutputKind } from './earlier-output.js';

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

/** `model.onnx` -> `model.explore.json`; parts `model.explore.2-of-8.json` */
export function defaultExploration(model: string, shard?: { readonly index: number; readonly count: number }): string {
  const extension = extname(model);
  const stem = extension === '' ? model : model.slice(0, -extension.length);
  return `${stem}.explore${shard === undefined ? '' : `.${shard.index}-of-${shard.count}`}.json`;
}

/** A file that was asked for. */
export interface Wanted {
  readonly path: string;
  readonly kind: OutputKind;
  /** The option that names it. */
  readonly option: string;
  /** Whether the option takes `-` for standard output. */
  readonly canStream?: true;
  /** The file that tells whose this one is, where that is not itself. */
  readonly markedBy?: string;
}

/**
 * Throws unless it is a place that may be written, and none of `inputs` and `others` (compared as
 * files, not as names). The first input is the model.
 */
export function checkOutput(
  { path, option, canStream }: Wanted,
  inputs: readonly string[],
  others: readonly { readonly path: string; readonly what: string }[] = [],
): void {
  const there = statOf(path);
  const isAt = (input: string) => there !== undefined && isSameFile(there, statOf(input));
  const at = inputs.findIndex(isAt);
  const other = at < 0 ? others.find((entry) => isAt(entry.path)) : undefined;
  if (at >= 0 || other !== undefined) {
    const [what, why] =
      at === 0
        ? ['the input itself', 'the input is never overwritten, because the result is compared with it']
        : [other?.what ?? 'a file with weights of the input', 'what is read is never overwritten'];
    throw new PruneCompileError('E-OUTPUT-IS-INPUT', {
      what: `${path} is ${what}`,
      facts: [
        ['why', why],
        ['try', `${option} with another name`],
      ],
    });
  }
  requirePlace(path, option, canStream);
}

/**
 * Throws where a file would be replaced that this tool did not write, unless nothing is lost: it is
 * `copied`, or as the new one.
 */
export function checkEarlier({ path, kind, option, markedBy }: Wanted, copied?: string, made?: string): void {
  if (!existsSync(path)) return;
  try {
    const isOurs =
      markedBy === undefined ? isEarlierOutput(path, kind) : existsSync(markedBy) && isEarlierOutput(markedBy, kind);
    if (isOurs || isNoLoss(path, made) || isNoLoss(path, copied)) return;
  } catch {
    // What cannot be read is not known to be ours.
  }
  throw new PruneCompileError('E-OUTPUT-EXISTS', {
    what: `${path} already exists and was not written by prune-compile`,
    facts: [
      ['why', `only an earlier ${NAMES[kind]} is replaced without --force`],
      ['try', `${option} with another name; or --force, to replace it`],
    ],
  });
}

const NAMES: Readonly<Record<OutputKind, string>> = {
  model: 'output',
  report: 'report',
  channels: 'file of kept channels',
  'state dict': 'state dict of it',
  masks: 'mask file of it',
  'cost table': 'cost table of it',
  exploration: 'exploration',
};

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
