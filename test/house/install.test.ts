/**
 * `npm ci` in a checkout runs no script of a dependency: that of onnxruntime-node downloads CUDA
 * files, and fails where it cannot.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>;
}

const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');

test('npm of today is told by package.json', () => {
  const { allowScripts } = JSON.parse(read('package.json')) as { readonly allowScripts?: Record<string, boolean> };
  expect(allowScripts).toEqual({ 'onnxruntime-node': false });
});

test('npm before 11.16 looks for scripts where the lock says that there are some: a new lock says it again', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as Lock;
  const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript === true);
  // The remedy is to take the line "hasInstallScript" out of package-lock.json.
  expect(scripted.map(([name]) => name)).toEqual([]);
});

test('scripts of the checkout itself run: npm pack would leave out the code without them', () => {
  expect(read('.npmrc')).not.toMatch(/^\s*ignore-scripts/m);
});
