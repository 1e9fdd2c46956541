/**
 * Where `doctor --get cuda` puts the libraries, and how a process finds them there:
 *
 *     ~/.cache/prune-compile/cuda/1.30.0/lib         CUDA 13 and cuDNN 9, for LD_LIBRARY_PATH
 *                                       /provider    the provider files, linked beside the runtime
 *                                       /licences    one folder for each wheel
 *                                       /contents.json
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.js';

/** Of ONNX Runtime: what the libraries in the cache belong to. */
export const CUDA_RUNTIME = '1.30.0';

/** The variable in which the loader looks for folders, before a process starts and not later. */
export const LIBRARY_PATH = 'LD_LIBRARY_PATH';

export function cudaCache(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), 'cuda');
}

export function cudaFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(cudaCache(env), CUDA_RUNTIME);
}

/** The list of what is there is written last: with it all is there. */
export function contentsPath(folder: string): string {
  return join(folder, 'contents.json');
}

/** Whether `doctor --get cuda` was done for this version of ONNX Runtime. */
export function hasCuda(env: NodeJS.ProcessEnv = process.env): boolean {
  return existsSync(contentsPath(cudaFolder(env)));
}

/** The environment with the libraries in it, after the folders that the user named. */
export function withLibraries(env: NodeJS.ProcessEnv, folder = cudaFolder(env)): NodeJS.ProcessEnv {
  const own = join(folder, 'lib');
  const given = (env[LIBRARY_PATH] ?? '').split(':').filter((path) => path !== '' && path !== own);
  return { ...env, [LIBRARY_PATH]: [...given, own].join(':') };
}
