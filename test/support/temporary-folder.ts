/**
 * One folder for whatever tests make in the system's temporary folder: it goes when all are done,
 * those that were skipped or crashed included.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of the process that starts the tests. Short: the names of sockets in it are limited. */
export const TEMPORARY = join(tmpdir(), `prune-${process.pid}`);

export function setup(): () => void {
  mkdirSync(TEMPORARY, { recursive: true });
  return () => rmSync(TEMPORARY, { recursive: true, force: true });
}
