/** Where this tool keeps what it may make again: tables of calibration, libraries that were got. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Per user: what one user measured or fetched need not be what another one may read. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env['XDG_CACHE_HOME'];
  // The specification has relative paths ignored.
  const folder = cache?.startsWith('/') === true ? cache : join(homedir(), '.cache');
  return join(folder, 'prune-compile');
}
