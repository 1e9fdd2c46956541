/** The file of an exploration: written after every point, read where it goes on or is merged. */
import { readFileSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import { type Exploration, EXPLORATION_FORMAT, EXPLORATION_SCHEMA } from './exploration.js';

/** Throws E-INPUT-MISSING, E-INPUT-UNREADABLE and E-EXPLORATION. */
export function readExploration(path: string): Exploration {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new PruneCompileError(isMissing ? 'E-INPUT-MISSING' : 'E-INPUT-UNREADABLE', {
      what: isMissing ? `there is no file ${path}` : `cannot read ${path}`,
      facts: [...(isMissing ? [] : [['why', messageOf(error)] as const]), ['try', 'a file that explore wrote']],
      cause: error,
    });
  }
  const lack = lackOf(value);
  if (lack === undefined) return value as Exploration;
  throw new PruneCompileError('E-EXPLORATION', {
    what: `${path} is no exploration that can be read`,
    facts: [
      ['why', lack],
      ['try', 'a file that this version of explore wrote'],
    ],
  });
}

/** Undefined where it is one: what is computed with is looked at, the rest is only told. */
function lackOf(value: unknown): string | undefined {
  if (!isObject(value) || value['format'] !== EXPLORATION_FORMAT) return 'it is of another kind';
  if (value['schema'] !== EXPLORATION_SCHEMA) return 'another version wrote it';
  const { model, settings, grid, points, notes, conclusions, machine } = value;
  if (!isObject(model) || !isText(model['name']) || !isText(model['sha256'])) return 'it names no model';
  if (!isObject(settings) || !isObject(conclusions) || !isObject(machine)) return 'parts of it are missing';
  if (!isObject(grid) || !isList(grid['granularities'], isText) || !isList(grid['criteria'], isText))
    return 'it has no grid';
  if (!isList(grid['ratios'], isNumber)) return 'it has no grid';
  if (!isList(notes, isText)) return 'its notes are damaged';
  return isList(points, isPoint) ? undefined : 'its points are damaged';
}

function isPoint(value: unknown): boolean {
  if (!isObject(value) || !isText(value['granularity']) || !isText(value['criterion']) || !isNumber(value['ratio']))
    return false;
  const { cpu, seconds, timing } = value;
  return isText(cpu) && isNumber(seconds) && (timing === undefined || isTiming(timing));
}

function isTiming(value: unknown): boolean {
  return (
    isObject(value) && isNumber(value['speedup']) && isList(value['interval'], isNumber) && isText(value['verdict'])
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

function isList(value: unknown, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isEntry);
}
