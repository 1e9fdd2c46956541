/**
 * The working process finds CUDA's libraries only where its variable names their folder before it
 * starts. So the process that starts it does that, where the libraries are in the cache and CUDA
 * may be asked for.
 */
import { cudaFolder, hasCuda, withLibraries } from '../runtime/cuda-cache.js';

/** The environment to start with. Where links beside the runtime were lost, they are made again. */
export async function startEnvironment(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<NodeJS.ProcessEnv> {
  if (!mayAskForCuda(argv, env) || !hasCuda(env)) return env;
  const { linkProviders } = await import('../cuda/links.js');
  try {
    linkProviders(cudaFolder(env));
  } catch {
    // The provider then says what it misses, where it is used.
  }
  return withLibraries(env);
}

/**
 * Before anything is parsed: the names of providers come from flags, variables and files. Once too
 * often does no harm.
 */
export function mayAskForCuda(argv: readonly string[], env: NodeJS.ProcessEnv): boolean {
  const names = [...argv, env['PRUNE_COMPILE_PROVIDERS'] ?? ''].join('\n').toLowerCase();
  const isFile = argv.some((word) => word.startsWith('--config')) || env['PRUNE_COMPILE_CONFIG'] !== undefined;
  return isFile || argv[0] === 'doctor' || /\b(?:cuda|tensorrt)\b/.test(names);
}
