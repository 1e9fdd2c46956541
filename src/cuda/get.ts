/**
 * `doctor --get cuda` and `doctor --remove cuda`: wheels into the cache, and the provider files
 * linked beside the runtime. What is in the cache is whole: it is made elsewhere and moved there.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import { Staging } from '../files/staging.js';
import { unwritable } from '../files/write-files.js';
import { contentsPath, cudaCache, cudaFolder } from '../runtime/cuda-cache.js';
import { runtimeVersion } from '../runtime/session.js';
import { type Catalogue, CATALOGUE, downloadBytes, pipArguments, unpackedBytes } from './catalogue.js';
import { type Beside, type Links, linkProviders, unlinkProviders } from './links.js';
import { checkWheels, type Unpacked, unpackWheel, wheelsError } from './wheels.js';

export interface GetOptions {
  /** A folder with the wheels; without it they are downloaded. */
  readonly wheels?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each part of the work. */
  readonly onProgress?: ((text: string) => void) | undefined;
  readonly catalogue?: Catalogue | undefined;
  /** Where it goes; default: the cache of the user. */
  readonly folder?: string | undefined;
  readonly beside?: Beside | undefined;
  /** The interpreter that has pip; default `python3`. */
  readonly python?: string | undefined;
}

export interface Gotten extends Links {
  readonly folder: string;
  /** Whether all of it had been there before. */
  readonly wasThere: boolean;
  readonly files: readonly Unpacked[];
}

/** What a download would be, before it is agreed to. */
export interface GetPlan {
  readonly catalogue: Catalogue;
  readonly folder: string;
  readonly isThere: boolean;
  readonly downloadBytes: number;
  readonly unpackedBytes: number;
  /** For a shell. */
  readonly pip: readonly string[];
}

/** Throws E-WHEELS on systems for which there is no such provider. */
export function planCuda({
  catalogue = CATALOGUE,
  folder = cudaFolder(),
  python = 'python3',
}: GetOptions = {}): GetPlan {
  const { platform, arch } = process;
  if (platform !== 'linux' || arch !== 'x64')
    throw wheelsError(
      'there is no CUDA provider for this system',
      `onnxruntime-node has it for Linux on x64, and this is ${platform} on ${arch}`,
      '--providers webgpu',
    );
  if (runtimeVersion() !== catalogue.runtime)
    throw wheelsError(
      'the libraries for CUDA would not fit',
      `they belong to ONNX Runtime ${catalogue.runtime}, and onnxruntime-node here is ${runtimeVersion()}`,
      `npm install onnxruntime-node@${catalogue.runtime}`,
    );
  return {
    catalogue,
    folder,
    isThere: filesThere(folder) !== undefined,
    downloadBytes: downloadBytes(catalogue),
    unpackedBytes: unpackedBytes(catalogue),
    pip: [python, ...pipArguments(catalogue, 'wheels')],
  };
}

/**
 * Afterwards the libraries are in the cache and the provider files are linked. Throws E-WHEELS,
 * E-OUTPUT-UNWRITABLE, and the signal's reason; nothing is left then but what was there before.
 */
export async function getCuda(options: GetOptions = {}): Promise<Gotten> {
  const { folder, catalogue } = planCuda(options);
  const there = filesThere(folder);
  const files = there ?? (await fillCache(folder, catalogue, options));
  return { folder, wasThere: there !== undefined, files, ...link(folder, options.beside) };
}

async function fillCache(folder: string, catalogue: Catalogue, options: GetOptions): Promise<readonly Unpacked[]> {
  const staging = stagingFor(folder);
  try {
    const isDownload = options.wheels === undefined;
    checkSpace(folder, unpackedBytes(catalogue) + (isDownload ? downloadBytes(catalogue) : 0));
    const wheels = options.wheels ?? (await download(catalogue, staging, options));
    options.onProgress?.('comparing hashes');
    await checkWheels(catalogue, wheels, options.signal);
    const made = join(staging.made, 'cuda');
    const files = catalogue.wheels.flatMap((wheel) => {
      options.signal?.throwIfAborted();
      options.onProgress?.(`unpacking ${wheel.project}`);
      const unpacked = unpackWheel(wheel, join(wheels, wheel.file), made);
      if (isDownload) rmSync(join(wheels, wheel.file));
      return unpacked;
    });
    const { runtime } = catalogue;
    const listed = catalogue.wheels.map(({ file, sha256 }) => ({ file, sha256 }));
    writeFileSync(contentsPath(made), `${JSON.stringify({ runtime, wheels: listed, files }, undefined, 2)}\n`);
    // What is there is not whole, or it would have been taken.
    rmSync(folder, { recursive: true, force: true });
    renameSync(made, folder);
    return files;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof PruneCompileError ? error : unwritable(folder, error, 'XDG_CACHE_HOME');
  } finally {
    staging.discard();
  }
}

function stagingFor(folder: string): Staging {
  try {
    mkdirSync(dirname(folder), { recursive: true });
    return new Staging(dirname(folder));
  } catch (error) {
    throw unwritable(folder, error, 'XDG_CACHE_HOME');
  }
}

function checkSpace(folder: string, needed: number): void {
  const { bavail, bsize } = statfsSync(dirname(folder));
  if (bavail * bsize >= needed) return;
  throw unwritable(
    folder,
    new Error(`it needs ${inGigabytes(needed)} and ${inGigabytes(bavail * bsize)} are free`),
    'XDG_CACHE_HOME',
  );
}

function inGigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** What an earlier one left, where that is still all there. */
function filesThere(folder: string): readonly Unpacked[] | undefined {
  if (!existsSync(contentsPath(folder))) return undefined;
  try {
    const { files } = JSON.parse(readFileSync(contentsPath(folder), 'utf8')) as { files: readonly Unpacked[] };
    return files.every(({ path, sizeBytes }) => statSync(join(folder, path)).size === sizeBytes) ? files : undefined;
  } catch {
    // A file is gone, or the list is none: it is made anew.
    return undefined;
  }
}

/** Returns the folder of the wheels. */
async function download(catalogue: Catalogue, staging: Staging, options: GetOptions): Promise<string> {
  const { signal, onProgress, python = 'python3' } = options;
  const folder = join(staging.made, 'wheels');
  onProgress?.(`downloading ${inGigabytes(downloadBytes(catalogue))}`);
  // No copy stays in pip's own cache, and its temporary files go with the staging folder.
  const argv = [...pipArguments(catalogue, folder), '--no-cache-dir', '--quiet', '--disable-pip-version-check'];
  const child = spawn(python, argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: staging.made },
    signal,
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString('utf8')));
  const problem = await new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(`${python} cannot be run: ${messageOf(error)}`));
    child.on('close', (code) => resolve(code === 0 ? undefined : lastError(said.join(''))));
  });
  signal?.throwIfAborted();
  if (problem !== undefined)
    throw wheelsError(
      'the wheels for CUDA cannot be downloaded',
      problem,
      'Python 3 with pip and a way to PyPI; or download them on another machine (prune-compile doctor --get cuda prints the command) and pass their folder: --wheels DIR',
    );
  return folder;
}

/** pip's last word on it. */
function lastError(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => line.startsWith('ERROR:')) ?? lines.at(-1) ?? 'pip says nothing').replace(
    /^ERROR: /,
    '',
  );
}

function link(folder: string, beside: Beside | undefined): Links {
  try {
    return linkProviders(folder, beside);
  } catch (error) {
    throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
      what: 'cannot link the provider files beside onnxruntime-node',
      facts: [
        ['why', messageOf(error)],
        ['left', `the libraries are in ${folder}`],
        ['try', 'the same command as a user who may write there, or an installation of your own'],
      ],
      cause: error,
    });
  }
}

export interface Removed {
  readonly folder: string;
  readonly wasThere: boolean;
  readonly unlinked: readonly string[];
}

/** All versions, and the links into them. */
export function removeCuda(cache: string = cudaCache(), beside?: Beside): Removed {
  try {
    const unlinked = unlinkProviders(cache, beside);
    const wasThere = existsSync(cache);
    rmSync(cache, { recursive: true, force: true });
    return { folder: cache, wasThere, unlinked };
  } catch (error) {
    throw unwritable(cache, error, 'XDG_CACHE_HOME');
  }
}
