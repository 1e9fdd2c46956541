// Builds the native tests and runs them:
//   node kernels/test.mjs [--cases 5000] [--sanitize address,undefined | --sanitize thread]
//                         [--python python3 | --venv]
// Uses the given Python, otherwise the one of the virtual environment out/python, which --venv
// makes if it is missing. Reports and skips the tests for which the machine lacks a tool. Exit
// codes: 0 passed, 1 failed, 2 no compiler or no CMake.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findVenv, makeVenv } from './test/venv.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '5000' },
    sanitize: { type: 'string', default: '' },
    python: { type: 'string' },
    venv: { type: 'boolean', default: false },
  },
});
const folder = join(here, '..', 'out', `kernels-${options.sanitize.replace(',', '-') || 'release'}`);

/** @param {string} command */
function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {(number | null)[]} allowed
 */
function run(command, args, allowed = [0]) {
  const { status, signal } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (allowed.includes(status)) return;
  console.error(`${command} ${args.join(' ')}: ${signal ?? `exit code ${status}`}`);
  process.exit(1);
}

/**
 * Compares instructions that a program writes to a file with the disassembly that it prints. Lines
 * may start with the place of the instruction.
 * @param {string} program
 * @param {string[]} args
 */
function checkListing(program, ...args) {
  if (process.arch !== 'x64' || !has('objdump'))
    return console.log(`${program}: not disassembled, there is no objdump`);
  const file = join(folder, `${program}.bin`);
  const listed = spawnSync(join(folder, program), [...args, file], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const dump = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '--no-show-raw-insn', file];
  const { stdout } = spawnSync('objdump', dump, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const read = [...stdout.matchAll(/^\s+([0-9a-f]+:)\t(.*)$/gm)].map(
    ([, place, text]) => `${place} ${text?.replace(/\s+/, ' ').trim()}`,
  );
  const lines = listed.stdout.trim().split('\n');
  const wrong = lines.findIndex((line, i) => line !== read[i] && line !== read[i]?.replace(/^[0-9a-f]+: /, ''));
  if (listed.status !== 0 || wrong >= 0 || lines.length !== read.length) {
    console.error(`${program}: instruction ${wrong} should be "${lines[wrong]}" and reads "${read[wrong]}"`);
    process.exit(1);
  }
  console.log(`${program}: ${lines.length} instructions read as they should`);
}

/** The Python to use, or the reason why there is none. */
function choosePython() {
  if (options.python !== undefined)
    return has(options.python) ? { python: options.python } : { reason: `there is no ${options.python}` };
  if (options.venv) return makeVenv();
  const python = findVenv();
  return python === undefined ? { reason: 'npm run test:kernels makes the Python for it' } : { python };
}

function checkInOnnxRuntime() {
  // A Python without sanitizers cannot load a sanitized library.
  if (options.sanitize) return;
  const library = join(folder, 'libprune_compile_kernels.so');
  const chosen = choosePython();
  if ('reason' in chosen) return console.log(`onnxruntime: skipped, ${chosen.reason}`);
  const { python } = chosen;
  run(python, [join(here, 'test', 'integration.py'), library], [0, 77]);
  const packaged = join(here, '..', 'node_modules/onnxruntime-node/bin/napi-v6', process.platform, process.arch);
  const runtime = join(packaged, 'libonnxruntime.so.1');
  if (existsSync(runtime)) run(python, [join(here, 'test', 'other_runtime.py'), library, runtime], [0, 77]);
}

/** Some compilers lack the libraries of their sanitizers, and some kernels do not run them. */
function hasSanitizer() {
  const compiler = process.env.CXX || ['c++', 'g++', 'clang++'].find(has) || 'c++';
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'sanitizer');
  const flags = [`-fsanitize=${options.sanitize}`, '-x', 'c++', '-', '-o', program];
  const built = spawnSync(compiler, flags, { input: 'int main() {}\n', stdio: ['pipe', 'ignore', 'ignore'] });
  return built.status === 0 && spawnSync(program, { stdio: 'ignore' }).status === 0;
}

const cmake = has('cmake') && existsSync(join(here, 'CMakeLists.txt'));
if (!cmake || !['g++', 'clang++', 'c++'].some(has)) {
  console.error('The native tests need CMake and a C++20 compiler (g++ or clang++).');
  process.exit(2);
}
if (options.sanitize && !hasSanitizer()) {
  console.log(`sanitizers: skipped, programs with -fsanitize=${options.sanitize} cannot be built or run here`);
  process.exit(0);
}
// A build folder that another checkout configured must be configured anew.
const cache = join(folder, 'CMakeCache.txt');
const fresh = existsSync(cache) && !readFileSync(cache, 'utf8').includes(`HOME_DIRECTORY:INTERNAL=${here}`);
const generator = has('ninja') && !existsSync(cache) ? ['-G', 'Ninja'] : [];
const settings = ['-S', here, '-B', folder, `-DPC_SANITIZE=${options.sanitize}`, '--log-level=WARNING'];
run('cmake', settings.concat(fresh ? ['--fresh'] : generator));
// With sanitizers, only the test programs are built: other programs cannot load the library.
const programs = [
  'test_kernels',
  'test_chains',
  'test_planes',
  'test_sharing',
  'test_host',
  'test_assembler',
  'test_interpret',
  'test_emitted',
  ...(options.sanitize === 'thread' ? [] : ['fuzz']),
];
run('cmake', ['--build', folder, '--parallel', '2', ...(options.sanitize ? ['--target', ...programs] : [])]);
run(join(folder, 'test_kernels'), [options.cases]);
run(join(folder, 'test_chains'), [options.cases]);
run(join(folder, 'test_planes'), [options.cases]);
run(join(folder, 'test_sharing'), []);
const host = join(folder, 'test_host');
if (existsSync(host)) run(host, [join(folder, 'libprune_compile_kernels.so')]);
if (options.sanitize !== 'thread') run(join(folder, 'fuzz'), [String(Number(options.cases) * 4)]);
run(join(folder, 'test_interpret'), [String(Number(options.cases) / 2)]);
run(join(folder, 'test_emitted'), [String(Number(options.cases) / 5)]);
checkListing('test_assembler');
checkListing('test_interpret', '--listing');
checkListing('test_emitted', '--listing');
checkInOnnxRuntime();
