/** What a part of a file holds, one after another: tensors, and masks that are said in words. */
import { PruneCompileError } from '../errors.js';
import type { MaskSource } from './claim.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { isJsonMask, jsonSource, misspeltWord, numbersOf } from './json-claims.js';
import { isMaskFormat, join, type Section } from './sections.js';

export interface Found {
  readonly key: string;
  readonly source: MaskSource;
  readonly isListed: boolean;
}

export function collectFrom({ entry }: Section, file: MaskContents, key = ''): Found[] {
  const found: Found[] = [];
  collect(entry, key, found, file);
  return found;
}

export function collect(entry: Entry, key: string, found: Found[], file: MaskContents, isListed = false): void {
  if (entry instanceof FileTensor) found.push({ key, source: { kind: 'tensor', tensor: entry }, isListed });
  else if (isMap(entry)) {
    const where = `${file.path}, mask ${key}`;
    const misspelt = isMaskFormat(file) ? misspeltWord(entry, where) : undefined;
    if (isJsonMask(entry, isMaskFormat(file))) found.push({ key, source: jsonSource(entry, where), isListed });
    else if (misspelt !== undefined) throw misspelt;
    else for (const [name, inner] of entry) collect(inner, join(key, name), found, file, isListed);
  } else if (isMaskFormat(file) && entry !== null) {
    const tensor = isList(entry) ? numbersOf(entry) : undefined;
    // Beside masks nothing else may stand, or a mistake would pass for it.
    if (tensor === undefined) throw notAMask(file.path, key);
    found.push({ key, source: { kind: 'tensor', tensor }, isListed });
  } else if (isList(entry)) {
    // RigL, SNIP and optimizers keep tensors in lists. Their places are no names, but nothing is
    // lost without a word.
    for (const [index, inner] of entry.entries()) collect(inner, `${key}[${index}]`, found, file, true);
  }
}

function notAMask(path: string, key: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', {
    what: `${path}, mask ${key}: it is neither a list of zeros and ones nor an object that describes a mask`,
    facts: [['try', '"remove": [0, 3, 17], or null for a layer without a mask']],
  });
}
