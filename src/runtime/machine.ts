/** The machine at hand, as far as speed depends on it. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { loadKernels, type NativeKernels } from './kernels.js';
import { runtimeVersion } from './session.js';

export interface Machine {
  /** As the system names the processor. */
  readonly cpu: string;
  /** Version of ONNX Runtime. */
  readonly runtime: string;
  /** Undefined where the native library does not load. */
  readonly kernels: NativeKernels | undefined;
  /** Of the first core; undefined where the system does not list them (anything but Linux). */
  readonly caches: Caches | undefined;
}

/** Bytes of the caches that one core has to itself, as the system lists them. */
export interface Caches {
  readonly firstLevelData: number;
  readonly secondLevel: number;
}

/** What a reader of measurements asks first. Loads nothing that is not there already. */
export function describeMachine() {
  const sets = instructionSets();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    ...(sets !== undefined && { instructionSets: sets }),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    runtime: runtimeVersion(),
  };
}

export function thisMachine(): Machine {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  return { cpu, runtime: runtimeVersion(), kernels: kernelsHere(), caches: cachesOf(CACHES) };
}

/** A folder per cache, each with files of a line: level, type (Data, Instruction, Unified), size. */
const CACHES = '/sys/devices/system/cpu/cpu0/cache';

/** Undefined where either size is not listed. */
export function cachesOf(folder: string): Caches | undefined {
  try {
    const listed = readdirSync(folder)
      .filter((name) => /^index\d+$/.test(name))
      .map((name) => ['level', 'type', 'size'].map((file) => readFileSync(join(folder, name, file), 'utf8').trim()));
    const sizeOf = (level: string, type: string) => {
      const [, , size = ''] = listed.find((cache) => cache[0] === level && cache[1] === type) ?? [];
      const [, kilobytes] = /^(\d+)K$/.exec(size) ?? [];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    };
    const [firstLevelData, secondLevel] = [sizeOf('1', 'Data'), sizeOf('2', 'Unified')];
    return firstLevelData && secondLevel ? { firstLevelData, secondLevel } : undefined;
  } catch {
    // Told, not needed.
    return undefined;
  }
}

/**
 * Of what the system lists, what decides how fast networks run: vectors, their multiply-add, and
 * what quantised ones use.
 */
const TELLING = /^(avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|i8mm|bf16)$/;

/** Undefined where the system has no list (anything but Linux). */
export function instructionSets(): readonly string[] | undefined {
  try {
    const [, names] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    return names?.split(' ').filter((name) => TELLING.test(name));
  } catch {
    // Told, not needed.
    return undefined;
  }
}

function kernelsHere(): NativeKernels | undefined {
  try {
    return loadKernels();
  } catch (error) {
    if (error instanceof PruneCompileError) return undefined;
    throw error;
  }
}
