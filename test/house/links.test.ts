/**
 * Nodes, values and passes are linked by fields. A name that the compiler composed is for people: a
 * model may have it already.
 */
import { expect, test } from 'vitest';
import { passes } from '../../passes/index.js';
import { sourceFiles } from './sources.js';

const code = sourceFiles(['src', 'passes']);
const findings = (pattern: RegExp, isChecked?: (path: string) => boolean) =>
  code
    .filter(({ path }) => isChecked?.(path) !== false)
    .flatMap(({ path, text }) => [...text.matchAll(pattern)].map(([found]) => `${path}: ${found}`));

const outsidePasses = (path: string) => path.startsWith('src/');

test('no code outside passes knows a name that a pass composes', () => {
  const composed = code
    .filter(({ path }) => path.startsWith('passes/'))
    .flatMap(({ text }) => [...text.matchAll(/\}(_[a-z]+(?:_[a-z]+)*)`/g)].map(([, suffix = '']) => suffix));
  expect(composed).toContain('_sparse');
  const literal = new RegExp(`['"\`/}](?:${[...new Set(composed)].join('|')})['"\`/$(]`, 'g');
  expect(findings(literal, outsidePasses)).toEqual([]);
});

test('no code looks for the prefix of composed names, or for a composed name', () => {
  expect(findings(/\.(startsWith|includes|test|match)\([^)]*COMPILER_PREFIX/g)).toEqual([]);
  expect(findings(/\b(values|nodes)\.(get|find)\([^)]*`/g)).toEqual([]);
});

test('every renderer begins by escaping what is not to be seen', () => {
  const renderers = code.filter(
    ({ path, text }) => path.startsWith('src/report/') && /^export (async )?function render[A-Z]/m.test(text),
  );
  expect(renderers.length).toBeGreaterThan(5);
  const without = renderers.filter(({ text }) => !/\b(shown|jsonText)\(/.test(text));
  expect(without.map(({ path }) => path)).toEqual([]);
});

test('no code outside passes has the name of a pass as text', () => {
  const names = passes.map(({ name }) => name).join('|');
  expect(findings(new RegExp(`['"\`](${names})['"\`]`, 'g'), outsidePasses)).toEqual([]);
});
