/**
 * Which cost table decides: the one that is named, the one that was calibrated on this machine, or
 * a shipped one for what its processor runs.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { nearestNames } from '../nearest.js';
import { cacheFolder } from '../runtime/cache-folder.js';
import { unheededSettings } from '../runtime/kernels.js';
import { type Machine, thisMachine } from '../runtime/machine.js';
import type { CostTable } from './sparse-cost.js';
import { type MeasuredOn, type MeasuredTable, readTable } from './sparse-table-file.js';
import { type CoreTraits, MACHINES, MEASURED_CORES, TABLES } from './sparse-tables.js';

/**
 * The machine that a sparse model is for: a shipped table by name, a file, or a table itself.
 * Without one: this machine.
 */
export type SparseTarget = string | CostTable;

export interface TableChoice {
  readonly table: CostTable;
  /** Where it comes from: `shipped`, or a path. */
  readonly from: string;
  /** In which respects this machine is like the one that a shipped table was measured on. */
  readonly likeness?: string;
  /**
   * What was expected and did not come about: a calibrated table of another machine, no library to
   * ask.
   */
  readonly notes: readonly string[];
}

export function calibratedPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), 'sparse-costs.json');
}

/**
 * Throws for a file that is named and cannot be used; a calibrated table that does not fit is a
 * note.
 */
export function chooseTable(target?: SparseTarget, machine: () => Machine = thisMachine): TableChoice {
  if (typeof target === 'object') return { table: target, from: 'given', notes: [] };
  if (target === undefined) return tableFor(machine());
  const named = MACHINES.find((name) => name === target.toLowerCase());
  if (named !== undefined) return { table: TABLES[named], from: 'shipped', notes: [] };
  if (!existsSync(target)) throw unknownTarget(target);
  return { table: readTable(target), from: target, notes: [] };
}

function unknownTarget(target: string): PruneCompileError {
  const machines = MACHINES.join(', ');
  const [near] = nearestNames(target, MACHINES, 1);
  return new PruneCompileError('E-INPUT-MISSING', {
    what: `there is no machine and no cost table called ${target}`,
    facts: [
      ['why', `it is none of ${machines}, and no file`],
      [
        'try',
        near === undefined
          ? `--sparse-target with one of ${machines}, or with a file of prune-compile doctor --calibrate`
          : `--sparse-target ${near}`,
      ],
    ],
  });
}

function tableFor(machine: Machine): TableChoice {
  const { kernels } = machine;
  const { name, likeness, why } = shippedFor(machine);
  const shipped = { table: TABLES[name], from: 'shipped', ...(likeness !== undefined && { likeness }) };
  const remedy = kernels === undefined ? '--sparse-target names one' : 'prune-compile doctor --calibrate measures it';
  const doubts = why === undefined ? [] : [`${why}: the cautious table "${name}" decides; ${remedy}`];
  if (kernels === undefined) return { ...shipped, notes: doubts };
  const unheeded = unheededSettings(kernels);
  const path = calibratedPath();
  if (!existsSync(path)) return { ...shipped, notes: [...unheeded, ...doubts] };
  const measured = readCalibrated(path);
  const difference = typeof measured === 'string' ? measured : differenceOf(measured.machine, measuredOn(machine));
  if (typeof measured !== 'string' && difference === undefined) return { table: measured, from: path, notes: unheeded };
  const note = `the calibrated table ${path} is not used: ${difference}; prune-compile doctor --calibrate measures again`;
  return { ...shipped, notes: [...unheeded, note] };
}

/** The table of a core like this one, and in which respects; or why there is none. */
export interface Shipped {
  readonly name: (typeof MACHINES)[number];
  readonly likeness?: string;
  readonly why?: string;
}

/**
 * A table holds for cores with the same instructions, kernel and multiply-adds per cycle, and caches
 * that are at least as large; of the second level half is enough. On another core dense kernels gain
 * more, or sparse ones less: the baseline is on the safe side.
 */
export function shippedFor({ kernels, caches }: Pick<Machine, 'kernels' | 'caches'>): Shipped {
  if (kernels === undefined)
    return { name: 'baseline', why: 'the native library does not load here, so nothing is known of the processor' };
  const { isa, kernel } = kernels;
  if (isa === 'baseline') return { name: 'baseline' };
  const measured = isa === 'avx512' ? kernels.fmaPerCycle() : undefined;
  const here = { isa, kernel, caches, ...(measured !== undefined && { fmaPerCycle: Math.round(measured) }) };
  const [name] = MEASURED_CORES.find(([, core]) => isLike(core, here)) ?? [];
  if (name !== undefined) return { name, likeness: coreText(here) };
  return { name: 'baseline', why: `no cost table was measured on a processor like this one (${coreText(here)})` };
}

type Core = Omit<CoreTraits, 'caches'> & Pick<Machine, 'caches'>;

function isLike({ isa, kernel, fmaPerCycle, caches }: CoreTraits, here: Core): boolean {
  if (here.isa !== isa || here.kernel !== kernel || here.fmaPerCycle !== fmaPerCycle) return false;
  if (here.caches === undefined || here.caches.firstLevelData < caches.firstLevelData) return false;
  return here.caches.secondLevel >= caches.secondLevel / 2;
}

function coreText({ isa, kernel, fmaPerCycle, caches }: Core): string {
  const size = (bytes: number) => (bytes < 2 ** 20 ? `${bytes / 2 ** 10} KB` : `${bytes / 2 ** 20} MB`);
  return [
    isa,
    `the ${kernel} kernel`,
    ...(fmaPerCycle === undefined ? [] : [`${fmaPerCycle} multiply-${fmaPerCycle === 1 ? 'add' : 'adds'} per cycle`]),
    caches === undefined
      ? 'caches of unknown size'
      : `caches of ${size(caches.firstLevelData)} and ${size(caches.secondLevel)}`,
  ].join(', ');
}

/**
 * What a table of this machine says of it. Throws where the library is missing: nothing sparse was
 * measured then.
 */
export function measuredOn({ cpu, runtime, kernels }: Machine): MeasuredOn {
  if (kernels === undefined) throw new Error('without the native library nothing can be measured');
  const { isa, kernel, build } = kernels;
  return { cpu, isa, kernel, build, onnxruntime: runtime };
}

function readCalibrated(path: string): MeasuredTable | string {
  try {
    return readTable(path);
  } catch (error) {
    if (error instanceof PruneCompileError) return error.facts[0]?.[1] ?? error.what;
    throw error;
  }
}

const CALLED: Readonly<Record<keyof MeasuredOn, string>> = {
  cpu: 'the processor',
  isa: 'the instruction set',
  kernel: 'the kernel',
  build: 'the build of the native library',
  onnxruntime: 'ONNX Runtime',
};

function differenceOf(there: MeasuredOn, here: MeasuredOn): string | undefined {
  const keys = Object.keys(CALLED) as (keyof MeasuredOn)[];
  const key = keys.find((name) => there[name] !== here[name]);
  return key === undefined ? undefined : `${CALLED[key]} was ${there[key]} there and is ${here[key]} here`;
}
