// The virtual environments of Python that tests use: folders under out/, one per list of
// requirements.
//   node kernels/test/venv.mjs torch    makes that of test/languages/retrain.test.ts: several GB
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
/** By folder under out/. */
const REQUIREMENTS = {
  python: join(here, 'requirements.txt'),
  torch: join(here, '..', '..', 'test', 'languages', 'requirements-torch.txt'),
};

/** @param {keyof typeof REQUIREMENTS} name */
function placesOf(name) {
  const folder = join(here, '..', '..', 'out', name);
  return {
    folder,
    python: join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python'),
    requirements: REQUIREMENTS[name],
    // Written last: the requirements that the environment was made from.
    stamp: join(folder, 'made-of.txt'),
  };
}

const MOST_MS = { python: 300_000, torch: 1_800_000 };

/**
 * Its interpreter, if the environment exists and is complete.
 * @param {keyof typeof REQUIREMENTS} name
 */
export function findVenv(name = 'python') {
  const { python, requirements, stamp } = placesOf(name);
  const isReady =
    existsSync(python) && existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(requirements, 'utf8');
  return isReady ? python : undefined;
}

/**
 * The same; makes the environment first if it does not exist.
 * @param {keyof typeof REQUIREMENTS} name
 * @returns {{ python: string } | { reason: string }}
 */
export function makeVenv(name = 'python') {
  const { folder, python, requirements, stamp } = placesOf(name);
  const ready = findVenv(name);
  if (ready !== undefined) return { python: ready };
  const base = ['python3', 'python'].find((command) => runs(command, ['--version']).status === 0);
  if (base === undefined) return { reason: 'there is no Python' };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const made = runs(base, ['-m', 'venv', folder], name);
  if (made.status !== 0) return { reason: `no virtual environment can be made: ${lastLine(made)}` };
  // Ends soon without a network.
  const patience = ['--retries', '1', '--timeout', '15', '--no-input', '--disable-pip-version-check'];
  const installed = runs(python, ['-m', 'pip', 'install', '--quiet', ...patience, '-r', requirements], name);
  if (installed.status !== 0)
    return { reason: `pip cannot install what ${requirements} names: ${lastLine(installed)}` };
  writeFileSync(stamp, readFileSync(requirements));
  return { python };
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {keyof typeof REQUIREMENTS} name
 */
function runs(command, args, name = 'python') {
  return spawnSync(command, args, { encoding: 'utf8', timeout: MOST_MS[name] });
}

/** @param {{ stdout?: string, stderr?: string, error?: Error }} result */
function lastLine({ stdout, stderr, error }) {
  const lines = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  return error?.message ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'it says nothing';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = makeVenv(process.argv[2] === 'torch' ? 'torch' : 'python');
  console.log('python' in made ? made.python : `not made: ${made.reason}`);
  process.exitCode = 'python' in made ? 0 : 1;
}
