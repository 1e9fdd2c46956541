/** Every error code has its line in docs/errors.md, under the right exit code, and is used. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ErrorCode, messageOf, PruneCompileError } from '../../src/errors.js';
import { sourceFiles } from './sources.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const codes = [...read('src/errors.ts').matchAll(/^ {2}'(E-[A-Z-]+)':/gm)].map(([, code = '']) => code as ErrorCode);

/** Code -> exit code of the section that documents it. */
const documented = new Map<string, number>();
for (const section of read('docs/errors.md').split(/^## /m).slice(1)) {
  const exitCode = Number(/exit code (\d+)/.exec(section)?.[1]);
  for (const [, code = ''] of section.matchAll(/^\| `(E-[A-Z-]+)`/gm)) documented.set(code, exitCode);
}

test('whoever prints the message alone prints the reason and the remedy too', () => {
  const facts = [
    ['why', 'it is not there'],
    ['try', 'one of\n--this\u001B'],
  ] as const;
  const error = new PruneCompileError('E-KERNELS', { what: 'the library cannot be used', facts });
  expect(error.message).toBe('the library cannot be used\n  why: it is not there\n  try: one of\\n--this\\x1b');
  expect([error.what, messageOf(error)]).toEqual(['the library cannot be used', 'the library cannot be used']);
  expect(new PruneCompileError('E-USAGE', { what: 'no' }).message).toBe('no');
});

describe('error codes', () => {
  test('the catalogue is read', () => expect(codes.length).toBeGreaterThan(15));

  test('docs/errors.md has exactly these', () => {
    expect([...documented.keys()].toSorted()).toEqual(codes.toSorted());
  });

  test.each(codes)('%s exits with the code that is documented', (code) => {
    expect(new PruneCompileError(code, { what: '' }).exitCode).toBe(documented.get(code));
  });

  test.each(codes)('%s is thrown somewhere', (code) => {
    const users = sourceFiles(['src', 'passes']).filter(
      ({ path, text }) => path !== 'src/errors.ts' && text.includes(`'${code}'`),
    );
    expect(users.length).toBeGreaterThan(0);
  });
});
