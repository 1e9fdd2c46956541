/**
 * A folder beside the destination in which files are written before they are moved there. Its name
 * says whose it is and nothing of the files', so that it is legal whatever they are called. What a
 * process that is gone left behind is removed by the next one.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

const STAGING = /^\.prune-compile-(?<pid>\d+)-(?<machine>[0-9a-f]{8})-[A-Za-z0-9]{6}$/;
const MADE = 'made';
const EARLIER = 'earlier';

let listener: ((folder: string) => void) | undefined;

/**
 * `told` hears of every staging folder that is made from now on: whoever outlives this process can
 * discard it.
 */
export function onStaging(told: (folder: string) => void): void {
  listener = told;
}

export class Staging {
  readonly #folder: string;

  /** `folder` is that of the destination: a file is moved within one file system only. */
  constructor(folder: string) {
    sweep(folder);
    this.#folder = mkdtempSync(join(folder, `.prune-compile-${process.pid}-${machine()}-`));
    listener?.(resolve(this.#folder));
    mkdirSync(this.made);
    mkdirSync(this.earlier);
  }

  /** Where new files are written, under their own names. */
  get made(): string {
    return join(this.#folder, MADE);
  }

  /** Where files that were at the destination are kept until all are moved. */
  get earlier(): string {
    return join(this.#folder, EARLIER);
  }

  discard(): void {
    discardStaging(this.#folder);
  }
}

/** Nothing is removed as long as it is all that is left of a file. */
export function discardStaging(folder: string): void {
  if (!isEmpty(join(folder, EARLIER))) return;
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The next one to write here tries again.
  }
}

function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    // It was not even made.
    return true;
  }
}

/**
 * Removes what is surely ours: a folder of such a name, made on this machine by a process that is
 * gone.
 */
function sweep(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const { pid, machine: of } = STAGING.exec(entry.name)?.groups ?? {};
      if (pid !== undefined && of === machine() && entry.isDirectory() && isGone(Number(pid)))
        discardStaging(join(folder, entry.name));
    }
  } catch {
    // Left-overs are in nobody's way; what keeps us from removing them is said where it matters,
    // when files are written.
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

let known: string | undefined;

/** Process numbers mean something on one machine, and there within one container. */
function machine(): string {
  known ??= createHash('sha256')
    .update(
      [
        hostname(),
        said(() => readFileSync('/etc/machine-id', 'utf8')),
        said(() => readlinkSync('/proc/self/ns/pid')),
      ].join('\n'),
    )
    .digest('hex')
    .slice(0, 8);
  return known;
}

function said(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
