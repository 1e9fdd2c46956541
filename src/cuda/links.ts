/**
 * ONNX Runtime looks for its providers beside its own library and nowhere else, so the provider
 * files of the cache are linked there.
 */
import { existsSync, lstatSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { cudaCache } from '../runtime/cuda-cache.js';
import { runtimeFolder } from '../runtime/runtime-folder.js';

export interface Links {
  /** Paths beside the runtime that lead into the cache. */
  readonly linked: readonly string[];
  /** Paths at which something else was, and stays: a provider file that was installed. */
  readonly kept: readonly string[];
}

/** Where the links go; by default beside the runtime that this process would load. */
export type Beside = string;

/** Throws what the file system says. Does nothing where all links are there. */
export function linkProviders(folder: string, beside: Beside = runtimeFolder()): Links {
  const [linked, kept]: [string[], string[]] = [[], []];
  for (const file of readdirSync(join(folder, 'provider'))) {
    const [target, place] = [join(folder, 'provider', file), join(beside, file)];
    // A link of ours to a version that is gone is in the way of the new one.
    if (isOurs(place, dirname(folder)) && readlinkSync(place) !== target) unlinkSync(place);
    if (lstatSync(place, { throwIfNoEntry: false }) === undefined) symlinkSync(target, place);
    (isOurs(place, dirname(folder)) ? linked : kept).push(place);
  }
  return { linked, kept };
}

/** Removes links into the cache, and nothing else. Returns their paths. */
export function unlinkProviders(cache: string = cudaCache(), beside: Beside = runtimeFolder()): string[] {
  if (!existsSync(beside)) return [];
  const ours = readdirSync(beside)
    .map((file) => join(beside, file))
    .filter((place) => isOurs(place, cache));
  for (const place of ours) unlinkSync(place);
  return ours;
}

function isOurs(place: string, cache: string): boolean {
  const isLink = lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink && readlinkSync(place).startsWith(cache + sep);
}
