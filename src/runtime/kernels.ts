/**
 * The native library of sparse operators: where it is, and how ONNX Runtime gets it in this process. Loaded when a model needs it and not
 * before: everything else works without.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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

/** What the library says it would run in this process, PRUNE_COMPILE_ISA and PRUNE_COMPILE_KERNEL heeded. */
export interface NativeKernels {
  /** The first hexadecimal digits of the library's SHA-256: another build may be faster or slower. */
  readonly build: string;
  /** avx512, avx2 or baseline. */
  readonly isa: string;
  /** jit (code made for each layer) or stream. */
  readonly kernel: string;
  /** Whether this system lets code be made at run time. */
  readonly executableMemory: boolean;
}

/** Enough to tell builds apart, few enough to be read. */
const BUILD_DIGITS = 12;

let loaded: NativeKernels | undefined;

export function hasKernels(): boolean {
  return loaded !== undefined;
}

/** Sessions made from now on have the operators. Throws E-KERNELS where the library is missing or this system cannot load it. */
export function loadKernels(): NativeKernels {
  if (loaded !== undefined) return loaded;
  const path = kernelsPath();
  if (!existsSync(path)) throw missing(path, 'it is not there');
  process.env['PRUNE_COMPILE_ONNXRUNTIME'] = runtimeLibrary();
  const addon: { exports: { isa?: string; kernel?: string; executableMemory?: boolean } } = { exports: {} };
  try {
    process.dlopen(addon, path, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw missing(path, messageOf(error), error);
  }
  // A library that was built before it could say so ran the portable code at least.
  const { isa = 'baseline', kernel = 'stream', executableMemory = false } = addon.exports;
  const build = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, BUILD_DIGITS);
  loaded = { build, isa, kernel, executableMemory };
  return loaded;
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
