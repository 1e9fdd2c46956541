// The native library of this platform as an npm package of its own, which npm installs where its
// os, cpu and libc fit:
//   node kernels/platform-package.mjs FOLDER
// The library must be built (kernels/build.mjs). The package is found beside prune-compile
// (src/runtime/kernels.ts).
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const library = 'libprune_compile_kernels.so';
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('Usage: node kernels/platform-package.mjs FOLDER');
  process.exit(2);
}

const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
const isLinux = process.platform === 'linux';
const isMusl = isLinux && !report.header.glibcVersionRuntime;
const target = `${process.platform}-${process.arch}${isMusl ? '-musl' : ''}`;
const built = join(here, 'prebuilds', target, library);
if (!existsSync(built)) {
  console.error(`${built} is not there: npm run build:kernels`);
  process.exit(1);
}
const { version, license } = /** @type {{ version: string, license: string }} */ (
  JSON.parse(readFileSync(join(here, '..', 'package.json'), 'utf8'))
);
const name = `prune-compile-kernels-${target}`;
const to = join(folder, name);
mkdirSync(to, { recursive: true });
copyFileSync(built, join(to, library));
copyFileSync(join(here, '..', 'LICENSE'), join(to, 'LICENSE'));
const described = {
  name,
  version,
  description: `Sparse operators of prune-compile for ${target}`,
  license,
  os: [process.platform],
  cpu: [process.arch],
  ...(isLinux && { libc: [isMusl ? 'musl' : 'glibc'] }),
  files: [library],
};
writeFileSync(join(to, 'package.json'), `${JSON.stringify(described, undefined, 2)}\n`);
console.log(to);
