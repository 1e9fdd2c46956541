/** The machine at hand, as far as speed depends on it. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
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
}

export function thisMachine(): Machine {
  return { cpu: cpus()[0]?.model.trim() ?? 'unknown', runtime: runtimeVersion(), kernels: kernelsHere() };
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
