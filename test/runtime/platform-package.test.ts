/** The native library as a package of its own, found beside prune-compile. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { kernelsPath } from '../../src/runtime/kernels.js';
import { TOOL } from '../../src/version.js';
import { needsLibrary } from '../support/needs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'prune-compile-platform-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the package of a platform is for that alone, and its library is used where none was built', needsLibrary, () => {
  const made = spawnSync(process.execPath, [join(root, 'kernels/platform-package.mjs'), folder], { encoding: 'utf8' });
  expect(made.stderr).toBe('');
  const name = basename(made.stdout.trim());
  expect(JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8'))).toMatchObject({
    name,
    version: TOOL.version,
    os: [process.platform],
    cpu: [process.arch],
  });

  const main = join(folder, 'node_modules', 'prune-compile');
  mkdirSync(main, { recursive: true });
  writeFileSync(join(main, 'package.json'), '{}');
  const own = kernelsPath(main);
  expect(own.startsWith(join(main, 'kernels', 'prebuilds'))).toBe(true);
  renameSync(join(folder, name), join(folder, 'node_modules', name));
  const found = kernelsPath(main);
  expect(found.endsWith(join('node_modules', name, basename(own)))).toBe(true);
  expect(readFileSync(found)).toEqual(readFileSync(kernelsPath()));
});

test.each(readdirSync(join(root, 'docs/examples')).filter((name) => name.endsWith('.yml')))(
  '%s is a workflow',
  (name) => {
    const { jobs } = parse(readFileSync(join(root, 'docs/examples', name), 'utf8')) as {
      jobs: Record<string, { steps: readonly { run?: string }[] }>;
    };
    const scripts = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts)
      expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  },
);
