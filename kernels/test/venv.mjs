// The Python that tests use: a virtual environment under out/, with what requirements.txt names.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, '..', '..', 'out', 'python');
const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
const requirements = join(here, 'requirements.txt');
/** Written last: what the environment was made of. */
const stamp = join(folder, 'made-of.txt');
const MOST_MS = 300_000;

/** Its interpreter, where it is there and complete. */
export function findVenv() {
  const isReady =
    existsSync(python) && existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(requirements, 'utf8');
  return isReady ? python : undefined;
}

/**
 * The same, made first where it is not there.
 * @returns {{ python: string } | { reason: string }}
 */
export function makeVenv() {
  const ready = findVenv();
  if (ready !== undefined) return { python: ready };
  const base = ['python3', 'python'].find((name) => runs(name, ['--version']).status === 0);
  if (base === undefined) return { reason: 'there is no Python' };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const made = runs(base, ['-m', 'venv', folder]);
  if (made.status !== 0) return { reason: `no virtual environment can be made: ${lastLine(made)}` };
  // Without a network this should end soon.
  const patience = ['--retries', '1', '--timeout', '15', '--no-input', '--disable-pip-version-check'];
  const installed = runs(python, ['-m', 'pip', 'install', '--quiet', ...patience, '-r', requirements]);
  if (installed.status !== 0)
    return { reason: `pip cannot install onnxruntime, onnx and numpy: ${lastLine(installed)}` };
  writeFileSync(stamp, readFileSync(requirements));
  return { python };
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function runs(command, args) {
  return spawnSync(command, args, { encoding: 'utf8', timeout: MOST_MS });
}

/** @param {{ stdout?: string, stderr?: string, error?: Error }} result */
function lastLine({ stdout, stderr, error }) {
  const lines = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  return error?.message ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'it says nothing';
}
