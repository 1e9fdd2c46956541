/** Wheels: found by name, known by their hash, unpacked into the cache. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, PruneCompileError } from '../errors.js';
import { openZip } from '../masks/formats/zip.js';
import type { Catalogue, Wheel } from './catalogue.js';

/** A wheel's licence texts lie there, at any depth. */
const LICENCES = /(?:^|\/)licen[cs]e[^/]*$/i;

export function wheelsError(what: string, why: string, remedy: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-WHEELS', {
    what,
    facts: [
      ['why', why],
      ['try', remedy],
    ],
    cause,
  });
}

/**
 * Compares every wheel of the catalogue with its hash. Throws E-WHEELS that names all that are
 * missing or are something else.
 */
export async function checkWheels({ wheels }: Catalogue, folder: string, signal?: AbortSignal): Promise<void> {
  const problems: string[] = [];
  for (const { file, sizeBytes, sha256 } of wheels) {
    signal?.throwIfAborted();
    const path = join(folder, file);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() !== true) problems.push(`${file} is not there`);
    else if (found.size !== sizeBytes) problems.push(`${file} has ${found.size} bytes instead of ${sizeBytes}`);
    else {
      const own = await hashOf(path, signal);
      if (own !== sha256) problems.push(`the SHA-256 of ${file} is ${own} instead of ${sha256}`);
    }
  }
  if (problems.length > 0)
    throw wheelsError(
      `the folder ${folder} does not have the wheels for CUDA`,
      problems.join('; '),
      'the command that prune-compile doctor --get cuda prints; it downloads these very files',
    );
}

async function hashOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { ...(signal !== undefined && { signal }) });
  return hash.digest('hex');
}

export interface Unpacked {
  /** Below the folder, with slashes. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** Its libraries and licence texts into `folder`. Throws E-WHEELS, or what the file system says. */
export function unpackWheel(wheel: Wheel, path: string, folder: string): Unpacked[] {
  const entries = new Map(entriesOf(path).map((entry) => [entry.name, entry]));
  const unpacked: Unpacked[] = [];
  const write = (name: string, to: string, as: string) => {
    const data = contentOf(entries.get(name), name, path);
    mkdirSync(join(folder, to), { recursive: true });
    const place = `${to}/${as}`;
    writeFileSync(join(folder, place), data);
    unpacked.push({ path: place, sizeBytes: data.length });
  };
  for (const library of wheel.libraries) write(`${wheel.from}/${library}`, wheel.to, library);
  const licences = [...entries.keys()].filter((name) => LICENCES.test(name));
  // By its whole path: two may have one name.
  for (const name of licences) write(name, `licences/${wheel.project}`, name.replaceAll('/', '-'));
  return unpacked;
}

function entriesOf(path: string): ReturnType<typeof openZip> {
  try {
    return openZip(readFileSync(path), path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function contentOf(entry: ReturnType<typeof openZip>[number] | undefined, name: string, path: string): Uint8Array {
  if (entry === undefined) throw unreadable(path, new Error(`it has no ${name}`));
  try {
    return entry.bytes();
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): PruneCompileError {
  const [, why = messageOf(error)] =
    (error instanceof PruneCompileError ? error.facts.find(([label]) => label === 'why') : undefined) ?? [];
  return wheelsError(`the wheel ${path} cannot be unpacked`, why, 'download it again', error);
}
