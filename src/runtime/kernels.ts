/**
 * The native library of sparse operators: where it is, and how ONNX Runtime gets it in this process. Loaded when a model needs it and not
 * before: everything else works without.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, PruneCompileError } from '../errors.js';

const LIBRARY = 'libprune_compile_kernels.so';

/** kernels/prebuilds/linux-x64/…; musl is told from glibc by what process.report says of the C library. */
export function kernelsPath(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const isMusl = process.platform === 'linux' && report.header?.glibcVersionRuntime === undefined;
  const target = `${process.platform}-${process.arch}${isMusl ? '-musl' : ''}`;
  return join(packageRoot(), 'kernels', 'prebuilds', target, LIBRARY);
}

/** This file is in src/runtime or in dist/src/runtime. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** What the library exports to Node, beside changing how sessions are made (kernels/src/node_host.cc). */
interface KernelLibrary {
  readonly instructionSet?: string;
  readonly fmaPeak?: () => number | undefined;
}

let library: KernelLibrary | undefined;

export function hasKernels(): boolean {
  return library !== undefined;
}

export interface MachineFigures {
  /** What the portable kernels use here: avx512, avx2 or baseline. */
  readonly instructionSet: string;
  /** Fused multiply-adds of one core in a second, two operations each; undefined where the library cannot measure it. */
  readonly peakGflops: number | undefined;
}

/** For benchmarks: measured anew at every call, for some milliseconds. Throws E-KERNELS as loadKernels does. */
export function machineFigures(): MachineFigures {
  const { instructionSet = 'unknown', fmaPeak } = loadKernels();
  return { instructionSet, peakGflops: fmaPeak?.() };
}

/** Sessions made from now on have the operators. Throws E-KERNELS where the library is missing or this system cannot load it. */
export function loadKernels(): KernelLibrary {
  if (library !== undefined) return library;
  const path = kernelsPath();
  if (!existsSync(path)) throw missing(path, 'it is not there');
  process.env['PRUNE_COMPILE_ONNXRUNTIME'] = runtimeLibrary();
  const loaded: { exports: KernelLibrary } = { exports: {} };
  try {
    process.dlopen(loaded, path, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw missing(path, messageOf(error), error);
  }
  library = loaded.exports;
  return library;
}

function missing(path: string, why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-KERNELS', {
    what: 'the native library of sparse operators cannot be used',
    facts: [
      ['file', path],
      ['why', why],
      ['try', 'npm run build:kernels (needs a C++20 compiler), or leave out --sparse'],
    ],
    cause,
  });
}

/** The copy that onnxruntime-node has loaded: bin/napi-v6/linux/x64/libonnxruntime.so.1 in its package. */
function runtimeLibrary(): string {
  const bin = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')), '..', 'bin');
  const [napi = ''] = readdirSync(bin).filter((name) => name.startsWith('napi-'));
  const folder = join(bin, napi, process.platform, process.arch);
  const [file = ''] = readdirSync(folder).filter((name) => /^libonnxruntime\.(so|\d|dylib)/.test(name));
  return join(folder, file);
}
