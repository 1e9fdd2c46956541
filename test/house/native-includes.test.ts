/** Folders of kernels/src include one way; kernels/README.md gives the order. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../kernels/src', import.meta.url));

/** Folder -> the folders that its files may include. */
const DIRECTION: ReadonlyMap<string, readonly string[]> = new Map([
  ['support', []],
  ['isa', ['support']],
  ['layout', ['isa', 'support']],
  ['program', ['layout', 'isa', 'support']],
  ['jit', ['program', 'layout', 'isa', 'support']],
  ['operators', ['program', 'layout', 'isa', 'support']],
  ['ort', ['operators', 'program', 'layout', 'isa', 'support']],
  ['node', ['program', 'jit', 'isa']],
]);

/** The units with compiler flags of their own, and what they consist of. */
const PER_INSTRUCTION_SET = /^isa\/(avx512|avx2|baseline)\.cc$|\.inc$|^isa\/(isa|activation|plane_routines)\.h$/;

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(cc|h|inc)$/.test(file));

function includes(file: string, form: RegExp): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(form)].map(([, included = '']) => included);
}

test('every folder has a direction', () => {
  expect(new Set(files.map((file) => dirname(file)))).toEqual(new Set(DIRECTION.keys()));
});

test('folders include only what is below them', () => {
  const wrong = files.flatMap((file) => {
    const folder = dirname(file);
    return includes(file, /^#include "(.+)"$/gm)
      .filter((included) => included !== 'ort_abi.h')
      .filter((included) => ![folder, ...(DIRECTION.get(folder) ?? [])].includes(dirname(included)))
      .map((included) => `${file} includes ${included}`);
  });
  expect(wrong).toEqual([]);
});

// The linker keeps one copy of an inline function: it might have instructions that the machine
// lacks.
test('units of one instruction set include no C++ headers', () => {
  const parts = files.filter((file) => PER_INSTRUCTION_SET.test(file));
  expect(parts).toHaveLength(9);
  expect(
    parts.flatMap((file) => includes(file, /^#include <(.+)>$/gm).filter((name) => !/^std\w+\.h$/.test(name))),
  ).toEqual([]);
  const own = parts.flatMap((file) => includes(file, /^#include "(.+)"$/gm));
  expect(own.filter((included) => !PER_INSTRUCTION_SET.test(included))).toEqual([]);
});
