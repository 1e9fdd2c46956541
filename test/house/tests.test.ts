/** One word for one thing in the tests themselves. */
import { expect, test } from 'vitest';
import { sourceFiles } from './sources.js';

test('every test begins with `test`: nothing is imported under the other name that Vitest has for it', () => {
  const files = sourceFiles(['test']).filter(({ path }) => path.endsWith('.test.ts'));
  expect(files.length).toBeGreaterThan(100);
  const other = files.filter(({ text }) => /^\s*it(\.\w+)*[(<]|^import \{[^}]*\bit\b[^}]*\} from 'vitest'/m.test(text));
  expect(other.map(({ path }) => path)).toEqual([]);
});

test('the name of a file with helpers tells what it holds', () => {
  const names = sourceFiles(['test']).map(({ path }) => path);
  const vague = names.filter((path) => /(^|[/-])(support|harness|checks|helpers?|utils?|common|misc)\.ts$/.test(path));
  expect(vague).toEqual([]);
});
