/**
 * Cost tables in files (docs/sparse.md): written by `doctor --calibrate`, read strictly, because a
 * wrong number is a slow model.
 */
import { readFileSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import type { CostTable, KindCosts, SpeedupPoint } from './sparse-cost.js';
import { MACHINES } from './sparse-tables.js';

const FORMAT = 'prune-compile sparse costs';
const VERSION = 1;

/** Where a table was measured: figures of another processor, build or runtime are other figures. */
export interface MeasuredOn {
  readonly cpu: string;
  readonly isa: string;
  readonly kernel: string;
  readonly build: string;
  readonly onnxruntime: string;
}

export interface MeasuredTable extends CostTable {
  readonly machine: MeasuredOn;
}

/** The text of a cost table's file, as `sparseTarget` reads it. */
export function encodeTable({ name, machine, secondsPerMovedElement, chainsFromBatch, layers }: MeasuredTable): string {
  const text = JSON.stringify(
    { format: FORMAT, version: VERSION, name, machine, secondsPerMovedElement, chainsFromBatch, layers },
    null,
    2,
  );
  // A point on one line, as people write a table.
  return `${text.replaceAll(/\[\s+([\d.e+-]+),\s+([\d.e+-]+)\s+\]/g, '[$1, $2]')}\n`;
}

/**
 * Throws E-INPUT-UNREADABLE, or E-COST-TABLE with the place in the file and what is wrong there.
 */
export function readTable(path: string): MeasuredTable {
  const text = readText(path);
  try {
    return parseTable(text);
  } catch (error) {
    throw new PruneCompileError('E-COST-TABLE', {
      what: `${path} is not a cost table of sparse operators`,
      facts: [
        ['why', messageOf(error)],
        ['try', 'prune-compile doctor --calibrate --output FILE makes one on the machine that it is for'],
      ],
      cause: error,
    });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new PruneCompileError('E-INPUT-UNREADABLE', {
      what: `cannot read the cost table ${path}`,
      facts: [
        ['why', messageOf(error)],
        ['try', `--sparse-target ${MACHINES.join(', ')}, or a file of prune-compile doctor --calibrate`],
      ],
      cause: error,
    });
  }
}

/** Throws an Error that names the place. */
export function parseTable(text: string): MeasuredTable {
  const { format, version, name, machine, secondsPerMovedElement, chainsFromBatch, layers } = fields(
    'the file',
    parseJson(text),
    ['format', 'version', 'name', 'machine', 'secondsPerMovedElement', 'layers'],
    ['chainsFromBatch'],
  );
  if (format !== FORMAT) throw new Error(`format is not "${FORMAT}"`);
  if (version !== VERSION) throw new Error(`version is ${JSON.stringify(version)}, this release reads ${VERSION}`);
  const on = fields('machine', machine, ['cpu', 'isa', 'kernel', 'build', 'onnxruntime']);
  const { conv1x1, conv, matmul } = fields('layers', layers, ['conv1x1', 'conv', 'matmul']);
  return {
    name: words('name', name),
    machine: {
      cpu: words('machine.cpu', on.cpu),
      isa: words('machine.isa', on.isa),
      kernel: words('machine.kernel', on.kernel),
      build: words('machine.build', on.build),
      onnxruntime: words('machine.onnxruntime', on.onnxruntime),
    },
    secondsPerMovedElement: positive('secondsPerMovedElement', secondsPerMovedElement),
    ...(chainsFromBatch !== undefined && { chainsFromBatch: positive('chainsFromBatch', chainsFromBatch) }),
    layers: {
      conv1x1: kindCosts('layers.conv1x1', conv1x1),
      conv: kindCosts('layers.conv', conv),
      matmul: kindCosts('layers.matmul', matmul),
    },
  };
}

/** The parser's own message repeats bytes of the file, which may be anything. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error('it is not JSON', { cause: error });
  }
}

function kindCosts(place: string, value: unknown): KindCosts {
  const { denseMacsPerSecond, speedups } = fields(place, value, ['denseMacsPerSecond', 'speedups']);
  if (!Array.isArray(speedups) || speedups.length === 0) throw new Error(`${place}.speedups is not a list of points`);
  const points = speedups.map((entry: unknown, index) => point(`${place}.speedups[${index}]`, entry));
  for (const [index, [zeros, speedup]] of points.entries()) {
    const [zerosBefore, speedupBefore] = points[index - 1] ?? [-1, 0];
    if (zeros <= zerosBefore) throw new Error(`${place}.speedups[${index}]: shares of zeros have to rise`);
    if (speedup < speedupBefore) throw new Error(`${place}.speedups[${index}]: speed-ups must not fall`);
  }
  return { denseMacsPerSecond: positive(`${place}.denseMacsPerSecond`, denseMacsPerSecond), speedups: points };
}

function point(place: string, value: unknown): SpeedupPoint {
  const [zeros, speedup, ...more] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  if (typeof zeros !== 'number' || !(zeros >= 0 && zeros <= 1) || more.length > 0)
    throw new Error(`${place} is not [a share of zeros from 0 to 1, a speed-up]`);
  return [zeros, positive(place, speedup)];
}

/** Exactly these keys: a misspelt one would be a figure that nobody reads. */
function fields<Key extends string, Optional extends string = never>(
  place: string,
  value: unknown,
  keys: readonly Key[],
  optional: readonly Optional[] = [],
): Readonly<Record<Key, unknown> & Partial<Record<Optional, unknown>>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${place} is not an object`);
  const missing = keys.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) throw new Error(`${place} has no ${missing}`);
  const all: readonly string[] = [...keys, ...optional];
  const unknown = Object.keys(value).find((key) => !all.includes(key));
  if (unknown !== undefined) throw new Error(`${place} has an unknown key ${unknown}`);
  return value as Readonly<Record<Key, unknown> & Partial<Record<Optional, unknown>>>;
}

function positive(place: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
    throw new Error(`${place} is not a number above 0`);
  return value;
}

function words(place: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${place} is not a string`);
  return value;
}
