// Builds the native library and puts it where the package looks for it:
//   node kernels/build.mjs [--compiler g++] [--without-cmake] [--optional]
// Uses CMake if it is installed, otherwise calls the compiler directly. Exit codes: 0 built, 1
// failed, 2 no compiler (0 with --optional: only --sparse needs the library).
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const library = 'libprune_compile_kernels.so';
const { values: options } = parseArgs({
  options: {
    compiler: { type: 'string' },
    'without-cmake': { type: 'boolean', default: false },
    optional: { type: 'boolean', default: false },
  },
});

/** The folder of this platform's library. Node's report has a glibc version only if the C library is glibc. */
function target() {
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  const musl = process.platform === 'linux' && !report.header.glibcVersionRuntime;
  return join(here, 'prebuilds', `${process.platform}-${process.arch}${musl ? '-musl' : ''}`);
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function runs(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    console.error(`${command} failed.`);
    process.exit(1);
  }
}

function findCompiler() {
  const named = options.compiler ?? process.env.CXX;
  if (named && !runs(named, ['--version'])) {
    console.error(`The compiler that was named does not run: ${named}`);
    process.exit(options.optional ? 0 : 2);
  }
  return [named, 'g++', 'clang++', 'c++'].find((name) => name && runs(name, ['--version']));
}

/**
 * @param {string} compiler
 * @param {string} folder
 */
function withCMake(compiler, folder) {
  const settings = ['-DPC_TESTS=OFF', '-DCMAKE_BUILD_TYPE=Release', `-DCMAKE_CXX_COMPILER=${compiler}`];
  const generator = runs('ninja', ['--version']) ? ['-G', 'Ninja'] : [];
  run('cmake', ['-S', here, '-B', folder, '--log-level=WARNING', ...settings, ...generator]);
  run('cmake', ['--build', folder, '--parallel', '2']);
}

/**
 * Uses the flags of CMakeLists.txt: every instruction set is one object.
 * @param {string} compiler
 * @param {string} folder
 */
function withoutCMake(compiler, folder) {
  const common = ['-std=c++20', '-O2', '-fPIC', '-fvisibility=hidden', '-fvisibility-inlines-hidden'];
  const include = ['-I', join(here, 'include'), '-I', join(here, 'src')];
  const x86 = process.arch === 'x64';
  const sets = {
    'baseline.cc': [],
    ...(x86 && {
      'avx2.cc': ['-mavx2', '-mfma'],
      'avx512.cc': ['-mavx512f', '-mfma', '-mprefer-vector-width=512'],
    }),
  };
  const { version } = /** @type {{ version: string }} */ (
    JSON.parse(readFileSync(join(here, '..', 'package.json'), 'utf8'))
  );
  const define = [`-DPC_VERSION="${version}"`, ...(x86 ? ['-DPC_X86'] : [])];
  const objects = Object.entries(sets).map(([file, flags]) => {
    const object = join(folder, `${file}.o`);
    const fast = ['-O3', '-ffp-contract=fast', ...flags];
    run(compiler, [...common, ...fast, ...define, ...include, '-c', join(here, 'src', 'isa', file), '-o', object]);
    return object;
  });
  const rest = readdirSync(join(here, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.cc') && !/^isa.(avx2|avx512|baseline)\.cc$/.test(file))
    .map((file) => join(here, 'src', file));
  const link = ['-ffp-contract=off', '-shared', '-pthread', ...define, ...include];
  run(compiler, [...common, ...link, ...rest, ...objects, '-o', join(folder, library)]);
}

const compiler = findCompiler();
if (!compiler) {
  console.error('No C++ compiler was found: install g++ or clang++ (C++20) and run `node kernels/build.mjs` again.');
  if (options.optional) console.error('The package will have no native library for this platform.');
  process.exit(options.optional ? 0 : 2);
}
const folder = mkdtempSync(join(tmpdir(), 'prune-compile-kernels-'));
try {
  if (!options['without-cmake'] && runs('cmake', ['--version'])) withCMake(compiler, folder);
  else withoutCMake(compiler, folder);
  const name = existsSync(join(folder, library)) ? library : 'libprune_compile_kernels.dylib';
  mkdirSync(target(), { recursive: true });
  // Rename into place: a process that has mapped the old library keeps that file.
  const staged = join(target(), `${library}.${process.pid}`);
  copyFileSync(join(folder, name), staged);
  renameSync(staged, join(target(), library));
  console.log(join(target(), library));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
