// Builds the native tests and runs them:
//   node kernels/test.mjs [--cases 5000] [--sanitize address,undefined | --sanitize thread] [--python python3]
// Skips, and says so, what the machine has no tools for. Exit codes: 0 passed, 1 failed, 2 no compiler or no CMake.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '5000' },
    sanitize: { type: 'string', default: '' },
    python: { type: 'string', default: process.env.PRUNE_COMPILE_PYTHON ?? 'python3' },
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

/** Every emitted instruction form must read as intended in a disassembler. */
function checkAssembler() {
  if (process.arch !== 'x64' || !has('objdump')) return console.log('assembler: skipped, there is no objdump');
  const file = join(folder, 'forms.bin');
  const { stdout: wanted, status } = spawnSync(join(folder, 'test_assembler'), [file], { encoding: 'utf8' });
  const dump = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '--no-show-raw-insn', file];
  const { stdout } = spawnSync('objdump', dump, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const read = [...stdout.matchAll(/^\s+[0-9a-f]+:\t(.*)$/gm)].map((line) => line[1].replace(/\s+/, ' ').trim());
  const lines = wanted.trim().split('\n');
  const wrong = lines.findIndex((line, i) => line !== read[i]);
  if (status !== 0 || wrong >= 0 || lines.length !== read.length) {
    console.error(`assembler: form ${wrong} should be "${lines[wrong]}" and reads "${read[wrong]}"`);
    process.exit(1);
  }
  console.log(`assembler: ${lines.length} instructions read as they should`);
}

function checkInOnnxRuntime() {
  // A sanitized library cannot be loaded into a Python that is not.
  if (options.sanitize) return;
  const library = join(folder, 'libprune_compile_kernels.so');
  if (!existsSync(library) || !has(options.python)) return console.log(`onnxruntime: skipped, no ${options.python}`);
  run(options.python, [join(here, 'test', 'integration.py'), library], [0, 77]);
  const packaged = join(here, '..', 'node_modules/onnxruntime-node/bin/napi-v6', process.platform, process.arch);
  const runtime = join(packaged, 'libonnxruntime.so.1');
  if (existsSync(runtime)) run(options.python, [join(here, 'test', 'other_runtime.py'), library, runtime], [0, 77]);
}

const cmake = has('cmake') && existsSync(join(here, 'CMakeLists.txt'));
if (!cmake || !['g++', 'clang++', 'c++'].some(has)) {
  console.error('The native tests need CMake and a C++20 compiler (g++ or clang++).');
  process.exit(2);
}
// A folder that another checkout configured is of no use to this one.
const cache = join(folder, 'CMakeCache.txt');
const fresh = existsSync(cache) && !readFileSync(cache, 'utf8').includes(`HOME_DIRECTORY:INTERNAL=${here}`);
const generator = has('ninja') && !existsSync(cache) ? ['-G', 'Ninja'] : [];
const settings = ['-S', here, '-B', folder, `-DPC_SANITIZE=${options.sanitize}`, '--log-level=WARNING'];
run('cmake', settings.concat(fresh ? ['--fresh'] : generator));
run('cmake', ['--build', folder, '--parallel', '2']);
run(join(folder, 'test_kernels'), [options.cases]);
run(join(folder, 'test_planes'), [options.cases]);
if (options.sanitize !== 'thread') run(join(folder, 'fuzz'), [String(Number(options.cases) * 4)]);
checkAssembler();
checkInOnnxRuntime();
