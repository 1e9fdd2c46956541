/**
 * The native library of sparse operators: where it is, and how ONNX Runtime gets it in this
 * process. Loaded when a model needs it and not before: everything else works without.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, PruneCompileError } from '../errors.js';
import { SPARSE_VERSION } from '../ir/graph.js';
import { TOOL } from '../version.js';
import { runtimeFolder } from './runtime-folder.js';

const LIBRARY = 'libprune_compile_kernels.so';

/** What tells builds of the library apart. */
export interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** What process.report says: of the C library it names glibc only. */
  readonly report: { readonly header?: { readonly glibcVersionRuntime?: string } };
}

/** The folder of its builds: `linux-x64`, `linux-arm64-musl`, `darwin-arm64`. */
export function kernelsTarget({ platform, arch, report }: Platform): string {
  const isMusl = platform === 'linux' && report.header?.glibcVersionRuntime === undefined;
  return `${platform}-${arch}${isMusl ? '-musl' : ''}`;
}

/**
 * kernels/prebuilds/linux-x64/… in this package; where that is not built, the package of the
 * platform (kernels/platform-package.mjs), if npm installed it.
 */
export function kernelsPath(root = packageRoot()): string {
  const { platform, arch } = process;
  const target = kernelsTarget({ platform, arch, report: process.report.getReport() });
  const built = join(root, 'kernels', 'prebuilds', target, LIBRARY);
  if (existsSync(built)) return built;
  const installed = packageFile(join(root, 'package.json'), `prune-compile-kernels-${target}`);
  return installed === undefined ? built : join(dirname(installed), LIBRARY);
}

function packageFile(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(`${name}/package.json`);
  } catch {
    // npm left it out, or nobody asked for it.
    return undefined;
  }
}

/** This file is in src/runtime or in dist/src/runtime. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export interface KernelsVersion {
  /** Of the package that the library was built in. */
  readonly version: string;
  readonly operators: number;
}

/**
 * What a build of the library says of itself; nothing where it is older than such statements, or
 * something else.
 */
export function kernelsVersion(library: Uint8Array): KernelsVersion | undefined {
  const text = Buffer.from(library.buffer, library.byteOffset, library.byteLength).toString('latin1');
  const [, version, operators] = /prune-compile-kernels;version=([^;]+);operators=(\d+);/.exec(text) ?? [];
  return version === undefined ? undefined : { version, operators: Number(operators) };
}

/** Why a library is not the one of this package, or nothing. */
export function staleReason(found: KernelsVersion | undefined): string | undefined {
  if (found === undefined) return 'it has no version, unlike the libraries of this package';
  const same = found.version === TOOL.version && found.operators === SPARSE_VERSION;
  const words = (version: string, operators: number) => `version ${version} with operators ${operators}`;
  return same
    ? undefined
    : `it was built for ${words(found.version, found.operators)}, and this package is ${words(TOOL.version, SPARSE_VERSION)}`;
}

/**
 * What the library says it would run in this process, PRUNE_COMPILE_ISA and PRUNE_COMPILE_KERNEL
 * heeded.
 */
export interface NativeKernels {
  /**
   * The first hexadecimal digits of the library's SHA-256: another build may be faster or slower.
   */
  readonly build: string;
  /** avx512, avx2 or baseline. */
  readonly isa: string;
  /** jit (code made for each layer) or stream. */
  readonly kernel: string;
  /** Whether this system lets code be made at run time. */
  readonly executableMemory: boolean;
  /**
   * Fused multiply-adds of one core, two operations each, in GFLOP/s: measured anew at every call,
   * for some milliseconds. Undefined where the library has no loop that measures it.
   */
  readonly fmaPeak: () => number | undefined;
  /**
   * Fused multiply-adds of the widest registers that one core does in a cycle: near 1 or 2, measured
   * as the peak is.
   */
  readonly fmaPerCycle: () => number | undefined;
  /**
   * Lines of KEY=VALUE for sessions on `cuda` or `tensorrt` from now on. Absent where the system has
   * no such providers.
   */
  readonly setProviderOptions?: ((provider: string, lines: string) => boolean) | undefined;
}

/** Variables that the library reads (kernels/README.md), with what they may name. */
const SETTINGS = {
  PRUNE_COMPILE_ISA: { of: 'isa', names: ['avx512', 'avx2', 'baseline'] },
  PRUNE_COMPILE_KERNEL: { of: 'kernel', names: ['jit', 'stream'] },
} as const;

/** What these variables ask for and do not get: the library takes the next best without a word. */
export function unheededSettings(
  kernels: Pick<NativeKernels, 'isa' | 'kernel'>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string[] {
  return Object.entries(SETTINGS).flatMap(([variable, { of, names }]) => {
    const [wanted = '', runs] = [env[variable], kernels[of]];
    if (wanted === '' || wanted === runs) return [];
    const why = (names as readonly string[]).includes(wanted)
      ? 'is not available here'
      : `is none of ${names.join(', ')}`;
    return [`${variable}=${wanted} is ignored: ${wanted} ${why}; ${runs} is used`];
  });
}

/** Enough to tell builds apart, few enough to be read. */
const BUILD_DIGITS = 12;

let loaded: NativeKernels | undefined;

export function hasKernels(): boolean {
  return loaded !== undefined;
}

/**
 * Sessions made from now on have the operators. Throws E-KERNELS where the library is missing,
 * stale, or does not load on this system.
 */
export function loadKernels(): NativeKernels {
  if (loaded !== undefined) return loaded;
  const path = kernelsPath();
  if (!existsSync(path)) throw unusable(path, 'it is not there');
  const bytes = readFileSync(path);
  const stale = staleReason(kernelsVersion(bytes));
  if (stale !== undefined) throw unusable(path, stale);
  // For the library alone, while it is loaded: what this process starts later should not see it.
  process.env['PRUNE_COMPILE_ONNXRUNTIME'] = runtimeLibrary();
  const addon: { exports: Partial<NativeKernels> } = { exports: {} };
  try {
    process.dlopen(addon, path, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw unusable(path, messageOf(error), error);
  } finally {
    delete process.env['PRUNE_COMPILE_ONNXRUNTIME'];
  }
  // What it does not say is not there: portable code runs on every machine.
  const { isa = 'baseline', kernel = 'stream', executableMemory = false } = addon.exports;
  const { fmaPeak = () => undefined, fmaPerCycle = () => undefined } = addon.exports;
  const { setProviderOptions } = addon.exports;
  const build = createHash('sha256').update(bytes).digest('hex').slice(0, BUILD_DIGITS);
  loaded = { build, isa, kernel, executableMemory, fmaPeak, fmaPerCycle, setProviderOptions };
  return loaded;
}

/** What makes the library, wherever this package is installed. */
export function buildCommand(): string {
  return `node ${join(packageRoot(), 'kernels', 'build.mjs')} (builds it; needs a C++20 compiler)`;
}

/** The library is loaded, and a model has an operator that it does not know. */
export function lacksOperator(operator: string, cause: unknown): PruneCompileError {
  return unusable(kernelsPath(), `it is older than the model: it has no operator ${operator}`, cause);
}

function unusable(path: string, why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-KERNELS', {
    what: 'the native library of sparse operators cannot be used',
    facts: [
      ['file', path],
      ['why', why],
      ['try', buildCommand()],
    ],
    cause,
  });
}

/** The copy that onnxruntime-node has loaded: libonnxruntime.so.1 in its folder. */
function runtimeLibrary(): string {
  const folder = runtimeFolder();
  const [file = ''] = readdirSync(folder).filter((name) => /^libonnxruntime\.(so|\d|dylib)/.test(name));
  return join(folder, file);
}
