/**
 * Masks without tensors: what JSON files say with numbers and words, and the history that
 * Torch-Pruning saves. The forms are documented in docs/masks.md.
 */
import { PruneCompileError } from '../errors.js';
import { UINT8, DOUBLE } from '../ir/tensor.js';
import type { Claim, MaskSource } from './claim.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { nearestNames } from '../nearest.js';
import { parseKey } from './names.js';

/** The words that a mask is said with; an object that has one of them is a mask, or a mistake. */
const ACTIONS = ['remove', 'keep', 'runs', 'pattern'];
const WORDS = [...ACTIONS, 'shape', 'axis'];

export function isJsonMask(entry: ReadonlyMap<string, Entry>, isJson: boolean): boolean {
  // A checkpoint's configuration has shapes as well; there only what prunes is a mask.
  const words = isJson ? WORDS : ACTIONS;
  // Where a word leads to another object or to a tensor, it is the name of a module.
  return words.some((word) => {
    const value = entry.get(word);
    return value !== undefined && !isMap(value) && !(value instanceof FileTensor);
  });
}

/**
 * { remove: [...] }, { keep: [...], axis: 1 }, { runs: [...], shape }, { pattern: '2:4' }; `where`
 * names file and mask.
 */
export function jsonSource(entry: ReadonlyMap<string, Entry>, where: string): MaskSource {
  const said = (what: string, hint: string) => badJson(where, what, hint);
  const unknown = [...entry.keys()].find((word) => !WORDS.includes(word));
  if (unknown !== undefined) throw said(`"${unknown}" is not a field of a mask`, WORDS.join(', '));
  const shape = wholeNumbers(entry.get('shape'));
  if (entry.has('shape') && shape === undefined)
    throw said('"shape" is not a list of extents', '"shape": [64, 32, 3, 3]');
  const actions = ACTIONS.filter((word) => entry.has(word));
  const [action, other] = actions;
  if (other !== undefined) throw said(`it has both "${action}" and "${other}"`, 'one of the two');
  switch (action) {
    case 'runs': {
      const runs = wholeNumbers(entry.get('runs'));
      if (runs === undefined || shape === undefined)
        throw said('"runs" needs a list of lengths and a "shape"', '"shape": [2, 3], "runs": [4, 2]');
      return { kind: 'runs', shape, runs };
    }
    case 'pattern':
      if (entry.size > 1) throw said('a "pattern" has no other fields', '"pattern": "2:4"');
      return patternOf(entry.get('pattern'), said);
    case 'remove':
    case 'keep': {
      const indices = wholeNumbers(entry.get(action));
      if (indices === undefined) throw said(`"${action}" is not a list of indices`, `"${action}": [0, 3, 17]`);
      const axis = axisOf(entry.get('axis'), said);
      return { kind: 'indices', axis, action, indices, ...(shape && { shape }) };
    }
    default:
      throw said('it has no "keep", "remove", "runs" or "pattern"', '"remove": [0, 3, 17]');
  }
}

type Said = (what: string, hint: string) => PruneCompileError;

function patternOf(pattern: Entry | undefined, said: Said): MaskSource {
  const [, keep, of] = (typeof pattern === 'string' ? /^(\d+):(\d+)$/.exec(pattern) : undefined) ?? [];
  if (keep === undefined || of === undefined || Number(keep) >= Number(of) || Number(keep) === 0)
    throw said(`the pattern ${JSON.stringify(pattern)} is not N:M with 0 < N < M`, '"pattern": "2:4"');
  return { kind: 'pattern', keep: Number(keep), of: Number(of) };
}

function axisOf(axis: Entry | undefined, said: Said): number {
  if (axis === undefined || axis === 0 || axis === 'out') return 0;
  if (axis === 1 || axis === 'in') return 1;
  throw said(`"axis" is ${JSON.stringify(axis)}`, '"axis": 0 for filters, 1 for input channels');
}

function badJson(where: string, what: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', { what: `${where}: ${what}`, facts: [['try', hint]] });
}

/**
 * A word that is nearly one of a mask's: `remov` would else be taken for a parameter of that name.
 */
export function misspeltWord(entry: ReadonlyMap<string, Entry>, where: string): PruneCompileError | undefined {
  for (const [word, value] of entry) {
    const [near] = isList(value) ? nearestNames(word, WORDS, 1) : [];
    if (near !== undefined) return badJson(where, `"${word}" is not a field of a mask`, `"${near}"`);
  }
  return undefined;
}

function wholeNumbers(entry: Entry | undefined): number[] | undefined {
  if (!isList(entry)) return undefined;
  const numbers = entry.filter((item): item is number => typeof item === 'number' && Number.isSafeInteger(item));
  return numbers.length === entry.length && numbers.every((item) => item >= 0) ? numbers : undefined;
}

/**
 * Nested lists of numbers or booleans, of equal lengths, as a tensor; undefined for anything else.
 */
export function numbersOf(list: readonly Entry[]): FileTensor | undefined {
  const dims: number[] = [];
  for (let level: Entry | undefined = list; isList(level); level = level[0]) dims.push(level.length);
  const values: number[] = [];
  const walk = (entry: Entry, depth: number): boolean => {
    if (isList(entry)) return entry.length === dims[depth] && entry.every((item) => walk(item, depth + 1));
    if (depth !== dims.length) return false;
    if (typeof entry === 'boolean') values.push(entry ? 1 : 0);
    else if (typeof entry === 'number') values.push(entry);
    else return false;
    return true;
  };
  if (!walk(list, 0)) return undefined;
  const isByte = values.every((value) => Number.isInteger(value) && value >= 0 && value < 256);
  const bytes = isByte ? Uint8Array.from(values) : new Uint8Array(Float64Array.from(values).buffer);
  return FileTensor.contiguous(isByte ? UINT8 : DOUBLE, dims, () => bytes);
}

/**
 * Torch-Pruning, DependencyGraph.pruning_history(): a list of (module, prunes outputs?, indices).
 */
export function pruningHistory(file: MaskContents): Claim[] {
  const list = isMap(file.root) ? (file.root.get('pruning') ?? file.root.get('pruning_history')) : file.root;
  if (!isList(list) || list.length === 0) return [];
  const claims: Claim[] = [];
  for (const item of list) {
    if (!isList(item) || item.length !== 3) return [];
    const [module_, isOutput, listed] = item;
    const indices = wholeNumbers(listed);
    if (typeof module_ !== 'string' || typeof isOutput !== 'boolean' || indices === undefined) return [];
    const name = parseKey(module_);
    if (name === undefined) return [];
    const source: MaskSource = { kind: 'indices', axis: isOutput ? 0 : 1, action: 'remove', indices };
    claims.push({ key: module_, file: file.path, name, source, isOnnx: false, isCoupled: true });
  }
  return claims;
}
