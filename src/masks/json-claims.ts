/**
 * Masks without tensors: what JSON files say with numbers and words, and the history that Torch-Pruning saves. The forms are
 * documented in docs/masks.md.
 */
import { PruneCompileError } from '../errors.js';
import { UINT8, DOUBLE } from '../ir/tensor.js';
import type { Claim, MaskSource } from './claims.js';
import { type Entry, FileTensor, isList, isMap, type MaskFile } from './contents.js';
import { parseKey } from './names.js';

/** { remove: [...] }, { keep: [...], axis: 1 }, { runs: [...], shape }, { pattern: '2:4' }; undefined for any other object. */
export function jsonSource(entry: ReadonlyMap<string, Entry>): MaskSource | undefined {
  const shape = wholeNumbers(entry.get('shape'));
  const runs = wholeNumbers(entry.get('runs'));
  if (runs !== undefined && shape !== undefined) return { kind: 'runs', shape, runs };
  const pattern = entry.get('pattern');
  if (typeof pattern === 'string') {
    const [, keep, of] = /^(\d+):(\d+)$/.exec(pattern) ?? [];
    if (keep === undefined || of === undefined || Number(keep) >= Number(of) || Number(keep) === 0)
      throw badJson(`the pattern "${pattern}" is not N:M with 0 < N < M`, '"pattern": "2:4"');
    return { kind: 'pattern', keep: Number(keep), of: Number(of) };
  }
  for (const action of ['remove', 'keep'] as const) {
    const given = entry.get(action);
    if (given === undefined || isMap(given)) continue;
    const indices = wholeNumbers(given);
    if (indices === undefined) throw badJson(`"${action}" is not a list of indices`, `"${action}": [0, 3, 17]`);
    return { kind: 'indices', axis: axisOf(entry.get('axis')), action, indices, ...(shape && { shape }) };
  }
  return undefined;
}

function axisOf(axis: Entry | undefined): number {
  if (axis === undefined || axis === 0 || axis === 'out') return 0;
  if (axis === 1 || axis === 'in') return 1;
  throw badJson(`"axis" is ${JSON.stringify(axis)}`, '"axis": 0 for filters, 1 for input channels');
}

function badJson(what: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', { what: `a mask in JSON: ${what}`, facts: [['try', hint]] });
}

function wholeNumbers(entry: Entry | undefined): number[] | undefined {
  if (!isList(entry)) return undefined;
  const numbers = entry.filter((item): item is number => typeof item === 'number' && Number.isSafeInteger(item));
  return numbers.length === entry.length && numbers.every((item) => item >= 0) ? numbers : undefined;
}

/** Nested lists of numbers or booleans, of equal lengths, as a tensor; undefined for anything else. */
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

/** Torch-Pruning, DependencyGraph.pruning_history(): a list of (module, prunes outputs?, indices). */
export function pruningHistory(file: MaskFile): Claim[] {
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
